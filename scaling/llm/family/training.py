"""Train one language model of the family: `python -m scaling.llm.family.training --m 32 --gamma -1 ...`.

The architecture is that of transformers, the loss next-token cross-entropy, the optimizer AdamW. The rows of the output
matrix start as N(0, 1/m) and decay with the toy model's signed gamma in place of AdamW's weight decay: gamma < 0 pulls
the norm of each row to 1, gamma > 0 shrinks it. The checkpoint is what save_pretrained writes. The held-out loss is
measured afterwards, by scaling.llm.losses.
"""

import argparse
import json
import logging
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    get_cosine_with_min_lr_schedule_with_warmup,
)

from scaling.command import InputError, run
from scaling.decay import decay_rows
from scaling.llm.checkpoint.tokenizer_file import read_tokenizer
from scaling.llm.documents import Document, checksum, read_documents
from scaling.llm.family.members import Member, Recipe, n_heads
from scaling.llm.family.vocabulary import END_OF_TEXT
from scaling.settings import add_options, from_options


log = logging.getLogger(__name__)

RECORD = "training.json"  # in the checkpoint's folder: the settings and statistics of the training
TAIL = 100  # last steps, whose mean loss is recorded


class DivergedError(InputError):
    """The loss of a training is no longer finite; the message names the model and the step."""


def build(member: Member, recipe: Recipe, vocabulary: int) -> PreTrainedModel:
    """The model before training: transformers' initial weights, and W ~ N(0, 1/m) for the matrix of the logits.

    Its random numbers follow from the member's seed; the global generator is left as it was.
    """
    heads = n_heads(member.m, recipe)
    shape: dict[str, Any] = {"vocab_size": vocabulary, "tie_word_embeddings": recipe.tied}
    shape |= {"bos_token_id": 0, "eos_token_id": 0}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(member.seed)
        if recipe.architecture == "gpt2":
            shape |= dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)  # no dropout
            shape |= {"n_embd": member.m, "n_layer": recipe.n_layers, "n_head": heads, "n_positions": recipe.context}
            model: PreTrainedModel = GPT2LMHeadModel(GPT2Config(**shape))
        else:
            shape |= {"hidden_size": member.m, "intermediate_size": 4 * member.m, "num_attention_heads": heads}
            shape |= {"num_hidden_layers": recipe.n_layers, "max_position_embeddings": recipe.context}
            model = LlamaForCausalLM(LlamaConfig(**shape))
        torch.nn.init.normal_(model.get_output_embeddings().weight, std=1 / math.sqrt(member.m))
    return model


def optimizer_of(model: PreTrainedModel, rate: float, body_decay: float) -> torch.optim.AdamW:
    """AdamW with decoupled decay of the body's matrices alone: not of embeddings, gains and biases."""
    embeddings = {id(layer.weight) for layer in (model.get_input_embeddings(), model.get_output_embeddings())}
    body = [part for part in model.parameters() if part.dim() > 1 and id(part) not in embeddings]
    matrices = {id(part) for part in body}
    rest = [part for part in model.parameters() if id(part) not in matrices]
    groups = [{"params": body, "weight_decay": body_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95))


def stream(documents: Sequence[Document], tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """Concatenate the token ids of all documents, each preceded by the end-of-text token; shape (tokens,), int64."""
    return torch.tensor(
        [token for document in documents for token in tokenizer(document.text, verbose=False).input_ids]
    )


def train(model: PreTrainedModel, tokens: torch.Tensor, member: Member, recipe: Recipe) -> NDArray[np.float64]:
    """Train in place on random windows of `tokens`; returns the loss of every step in nats per token.

    Raises DivergedError when the loss or its gradient is no longer finite.
    """
    if len(tokens) <= recipe.context:
        raise InputError(f"{len(tokens)} tokens to train on, fewer than a window of {recipe.context + 1}")
    generator = torch.Generator().manual_seed(member.seed)
    optimizer = optimizer_of(model, member.learning_rate_factor * recipe.rate(member.m), recipe.body_decay)
    schedule = get_cosine_with_min_lr_schedule_with_warmup(
        optimizer, recipe.warmup_steps, recipe.steps, min_lr_rate=0.05
    )
    W = model.get_output_embeddings().weight
    steps = torch.arange(recipe.context + 1)
    losses = np.zeros(recipe.steps)
    model.train()
    with tqdm(total=recipe.steps, desc=member.name, unit=" steps", disable=None) as bar:
        for step in range(recipe.steps):
            starts = torch.randint(len(tokens) - recipe.context, (recipe.batch_size, 1), generator=generator)
            window = tokens[starts + steps]
            logits = model(input_ids=window[:, :-1], use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            losses[step] = loss.item()
            if not (math.isfinite(losses[step]) and math.isfinite(norm)):
                raise DivergedError(f"{member.name} diverged at step {step}; try a smaller learning rate or gamma")
            decay_rows(W, schedule.get_last_lr()[0] * member.gamma)
            optimizer.step()
            schedule.step()
            bar.update()
            if (step + 1) % max(recipe.steps // 10, 1) == 0:
                bar.set_postfix(loss=f"{losses[step]:.4g}")
                log.info("%s: step %d of %d, loss %.4f", member.name, step + 1, recipe.steps, losses[step])
    return losses


def train_member(member: Member, recipe: Recipe, corpus: Path, tokenizer_file: Path, folder: Path) -> dict[str, Any]:
    """Train a member on the documents of `corpus` and save it with its record in `folder`, whole or not at all.

    Returns the record. Raises DivergedError, and InputError for a corpus or a tokenizer that cannot be read.
    """
    begun = time.perf_counter()
    torch.set_num_threads(1)  # the same bits whatever the number of cores
    torch.use_deterministic_algorithms(True)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=read_tokenizer(tokenizer_file), bos_token=END_OF_TEXT, eos_token=END_OF_TEXT
    )
    documents = read_documents(corpus)
    tokens = stream(documents, tokenizer)
    model = build(member, recipe, len(tokenizer))
    losses = train(model, tokens, member, recipe)
    record = {
        "model": member.name,
        "family": member.family,
        **asdict(member),
        **asdict(recipe),
        "vocabulary": len(tokenizer),
        "learning_rate": member.learning_rate_factor * recipe.rate(member.m),
        "n_parameters": sum(part.numel() for part in model.parameters()),
        "n_tokens": recipe.steps * recipe.batch_size * recipe.context,
        "n_epochs": recipe.steps * recipe.batch_size * recipe.context / len(tokens),
        "corpus_sha256": checksum(documents),
        "loss_train_tail": float(losses[-TAIL:].mean()),
        "seconds": time.perf_counter() - begun,
    }
    save(model, tokenizer, record, folder)
    log.info("%s: last losses %.4f nats per token, written to %s", member.name, record["loss_train_tail"], folder)
    return record


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, record: dict[str, Any], folder: Path) -> None:
    """Write the checkpoint and its record next to `folder`, then rename, so that no partial checkpoint is ever seen."""
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        model.save_pretrained(beside)
        tokenizer.save_pretrained(beside)
        (beside / RECORD).write_text(json.dumps(record, indent=1) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def main() -> None:
    """Parse the command line, train, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--m", type=int, required=True, help="model dimension (width)")
    parser.add_argument("--gamma", type=float, required=True, help="signed weight decay of the head's rows")
    parser.add_argument("--learning-rate-factor", type=float, default=1.0, help="factor on the recipe's learning rate")
    parser.add_argument("--seed", type=int, default=0, help="seed of the initial weights and the windows")
    add_options(parser, Recipe, "recipe")
    parser.add_argument(
        "--train", type=Path, required=True, help="training documents (.jsonl), from scaling.llm.family.corpus"
    )
    parser.add_argument(
        "--tokenizer", type=Path, required=True, help="tokenizer.json from scaling.llm.family.vocabulary"
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder of the checkpoint to write")
    options = parser.parse_args()
    recipe = from_options(Recipe, options)
    arguments = {name: value for name, value in vars(options).items() if not hasattr(recipe, name)}
    corpus, tokenizer, folder = (arguments.pop(name) for name in ("train", "tokenizer", "folder"))
    train_member(Member(**arguments), recipe, corpus, tokenizer, folder)


if __name__ == "__main__":
    run(main)
