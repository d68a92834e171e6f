"""The family of language models: its members, their construction and training, the table, the figure, the claims."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from synthetic_toy import filled
from transformers import AutoModelForCausalLM

from scaling import command, tables
from scaling.claims import local_models, registry  # noqa: F401
from scaling.claims.study import Study
from scaling.command import InputError
from scaling.figures import family as figures
from scaling.llm import losses, overlaps
from scaling.llm.documents import Document, write_documents
from scaling.llm.family import training, vocabulary
from scaling.llm.family.members import Member, Recipe, members, n_heads
from scaling.llm.family.table import family_table, read_record
from scaling.llm.family.training import RECORD, DivergedError, build, optimizer_of, train, train_member
from scaling.llm.family.vocabulary import END_OF_TEXT, byte_pairs
from scaling.llm.windows import Windows


WORDS = ["superposition", "yields", "robust", "neural", "scaling", "of", "loss", "with", "width", "and", "features"]
TINY = Recipe(vocabulary=300, context=16, steps=30, batch_size=4, warmup_steps=3, head_width=8)


def some_texts(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 40)) for _ in range(n)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with made-up sentences, for training and held out, and their tokenizer."""
    folder = tmp_path_factory.mktemp("corpus")
    for name, seed in (("train", 0), ("held_out", 1)):
        documents = [Document(str(i), text) for i, text in enumerate(some_texts(20, seed))]
        write_documents(documents, folder / f"{name}.jsonl")
    byte_pairs(some_texts(20, 0), 300).save(str(folder / "tokenizer.json"))
    return folder


def trained(member: Member, corpus: Path, folder: Path, recipe: Recipe = TINY) -> dict[str, Any]:
    """The record of a member trained on the corpus and saved in a folder."""
    return train_member(member, recipe, corpus / "train.jsonl", corpus / "tokenizer.json", folder)


# ---- which members


def test_members_are_the_product_of_the_axes() -> None:
    grids = [
        {"m": [16, 32], "gamma": [-1, 0.5], "seeds": 2},
        {"m": 16, "gamma": -1, "learning_rate_factor": [1, 2]},
    ]
    found = members(grids, Recipe())
    assert len(found) == 8 + 1
    assert found["local_gamma-1/m16_lr2_seed0"] == Member(m=16, gamma=-1, learning_rate_factor=2)
    assert found["local_gamma0.5/m32_seed1"].family == "local_gamma0.5"
    assert members([], Recipe()) == {}


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"m": [], "gamma": 1}, "m is empty"),
        ({"m": 0, "gamma": 1}, "m = 0: the width must be at least 1"),
        ({"m": 50, "gamma": 1}, "m = 50: gives 3 attention heads of an odd or broken width"),
        ({"m": 7, "gamma": 1}, "m = 7: gives 1 attention heads"),
        ({"m": 16, "gamma": math.nan}, "gamma = nan: must be finite"),
        ({"m": 16, "gamma": 1, "learning_rate_factor": 0}, "learning_rate_factor = 0: must be finite and above 0"),
        ({"m": 16, "gamma": [1, 1 + 1e-9]}, "share a name"),
    ],
)
def test_impossible_members_are_named(grid: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        members([grid], Recipe())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("architecture", "rnn"),
        ("steps", 0),
        ("vocabulary", 256),
        ("context", 1),
        ("warmup_steps", 801),
        ("learning_rate", math.inf),
        ("learning_rate_exponent", math.nan),
        ("body_decay", -1),
    ],
)
def test_impossible_recipes_are_named(key: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"{key}\b.*{value}"):
        Recipe(**{key: value})


@given(st.integers(1, 400), st.integers(1, 64))
def test_heads_divide_the_width_or_it_is_refused(m: int, head_width: int) -> None:
    try:
        heads = n_heads(m, Recipe(head_width=head_width))
    except InputError:
        return
    assert m % heads == 0
    assert (m // heads) % 2 == 0  # rotary positions turn pairs


def test_learning_rate_follows_the_width() -> None:
    recipe = Recipe(learning_rate=0.02, learning_rate_exponent=-0.5, reference_width=16)
    assert recipe.rate(16) == 0.02
    assert recipe.rate(64) == pytest.approx(0.01)


# ---- the tokenizer


def test_byte_pairs_give_back_any_text() -> None:
    tokenizer = byte_pairs(some_texts(20, 0), 300)
    for text in (*some_texts(2, 3), "naïve 平均 \x00\n\t", ""):
        encoded = tokenizer.encode(text)
        assert encoded.ids[0] == 0 == tokenizer.token_to_id(END_OF_TEXT)
        assert tokenizer.decode(encoded.ids) == text
    assert tokenizer.to_str() == byte_pairs(some_texts(20, 0), 300).to_str()


def test_too_little_text_for_a_vocabulary_is_named() -> None:
    with pytest.raises(InputError, match=r"the text gives .* tokens, but 5000 are needed"):
        byte_pairs(["a short text"], 5000)


def test_the_tokenizer_command(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "tokenizer.json"
    arguments = ["--train", str(corpus / "train.jsonl"), "--size", "300", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["vocabulary", *arguments])
    command.run(vocabulary.main)
    assert output.read_text() == (corpus / "tokenizer.json").read_text()


# ---- training


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_member_is_what_the_recipe_says(architecture: str, tied: bool) -> None:
    recipe = Recipe(architecture=architecture, tied=tied, head_width=8, n_layers=3, context=16)
    state = torch.get_rng_state()
    model = build(Member(m=64, gamma=-1, seed=3), recipe, 2000)
    assert torch.equal(torch.get_rng_state(), state)
    W = model.get_output_embeddings().weight
    assert W.shape == (2000, 64)
    assert (W is model.get_input_embeddings().weight) == tied
    assert W.norm(dim=1).square().mean().item() == pytest.approx(1, abs=0.02)
    config = model.config
    assert (config.num_hidden_layers, config.num_attention_heads, config.max_position_embeddings) == (3, 8, 16)
    again = build(Member(m=64, gamma=-1, seed=3), recipe, 2000).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())
    assert not torch.equal(W, build(Member(m=64, gamma=-1, seed=4), recipe, 2000).get_output_embeddings().weight)


@pytest.mark.parametrize("tied", [True, False])
def test_body_decay_leaves_embeddings_gains_and_biases_alone(tied: bool) -> None:
    model = build(Member(m=16, gamma=1), Recipe(tied=tied), 300)
    decayed, rest = optimizer_of(model, 0.1, 0.5).param_groups
    names = {id(part): name for name, part in model.named_parameters()}
    kept = {names[id(part)] for part in rest["params"]}
    assert {names[id(part)] for part in decayed["params"]} | kept == set(names.values())
    assert {"transformer.wte.weight", "transformer.ln_f.weight", "transformer.h.0.attn.c_attn.bias"} <= kept
    assert tied or "lm_head.weight" in kept
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.5, 0.0)
    assert all(part.dim() == 2 for part in decayed["params"])


def test_gamma_moves_the_norms_of_the_rows() -> None:
    tokens = torch.randint(1, 20, (4000,), generator=torch.Generator().manual_seed(0))  # 280 tokens never come
    norms = {}
    for gamma in (-5.0, 0.0, 5.0):
        member = Member(m=16, gamma=gamma)
        recipe = Recipe(vocabulary=300, context=16, steps=150, batch_size=4, warmup_steps=10, head_width=8)
        model = build(member, recipe, 300)
        train(model, tokens, member, recipe)
        norms[gamma] = model.get_output_embeddings().weight.detach().norm(dim=1)[20:]
    assert norms[-5.0].std() < 0.5 * norms[0.0].std()
    assert abs(norms[-5.0].mean() - 1) < 0.5 * abs(norms[0.0].mean() - 1)
    assert norms[5.0].mean() < 0.5 * norms[0.0].mean()


def test_training_learns_and_repeats_bit_for_bit(corpus: Path, tmp_path: Path) -> None:
    member = Member(m=16, gamma=-1)
    record = trained(member, corpus, tmp_path / "one" / "m16")
    again = trained(member, corpus, tmp_path / "two" / "m16")
    assert {**record, "seconds": 0} == {**again, "seconds": 0}
    weights = [load_file(tmp_path / name / "m16" / "model.safetensors") for name in ("one", "two")]
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert record["loss_train_tail"] < math.log(300) - 1
    other = trained(Member(m=16, gamma=-1, seed=1), corpus, tmp_path / "three" / "m16")
    assert other["loss_train_tail"] != record["loss_train_tail"]
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["m16"]


def test_the_checkpoint_is_measured_like_any_other(corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m16"
    record = trained(Member(m=16, gamma=-1), corpus, folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    row, norms, _ = overlaps.measure(overlaps.Request(record["model"], record["family"], path=folder, m=16))
    W = model.get_output_embeddings().weight.detach().double()
    assert (row["n_rows"], row["vocabulary"], row["n_padded"], row["tied"]) == (300, 300, 0, True)
    np.testing.assert_allclose(norms["norm"], W.norm(dim=1).numpy(), rtol=1e-6)
    assert json.loads((folder / RECORD).read_text()) == record
    windows = Windows("strided", TINY.context, TINY.stride)
    asked = losses.Request(record["model"], record["family"], "python", corpus / "held_out.jsonl", windows, folder)
    assert 0 < losses.evaluate(asked)["loss"] < math.log(300) - 1


def test_an_interrupted_training_leaves_nothing(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "family" / "m16"
    monkeypatch.setattr(training, "RECORD", "no such folder/training.json")
    with pytest.raises(FileNotFoundError):
        trained(Member(m=16, gamma=-1), corpus, folder)
    assert list(folder.parent.iterdir()) == []


def test_a_training_that_diverges_is_named(corpus: Path, tmp_path: Path) -> None:
    recipe = Recipe(vocabulary=300, context=16, steps=60, batch_size=4, warmup_steps=3, head_width=8)
    with pytest.raises(DivergedError, match=r"local_gamma-1e\+30/m16_seed0 diverged at step \d+; try a smaller"):
        trained(Member(m=16, gamma=-1e30), corpus, tmp_path / "m16", recipe)
    assert not (tmp_path / "m16").exists()


def test_a_corpus_shorter_than_a_window_is_named() -> None:
    member, recipe = Member(m=16, gamma=1), Recipe(context=16, head_width=8)
    with pytest.raises(InputError, match="10 tokens to train on, fewer than a window of 17"):
        train(build(member, recipe, 300), torch.zeros(10, dtype=torch.int64), member, recipe)


def test_the_training_command(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = {"vocabulary": 300, "context": 16, "steps": 5, "batch-size": 2, "warmup-steps": 1, "tied": "false"}
    arguments = [f"--{name}={value}" for name, value in recipe.items()]
    arguments += [f"--train={corpus / 'train.jsonl'}", f"--tokenizer={corpus / 'tokenizer.json'}"]
    monkeypatch.setattr(sys, "argv", ["training", "--m=16", "--gamma=1", *arguments, f"--folder={tmp_path}/m16"])
    command.run(training.main)
    record = read_record(tmp_path / "m16" / RECORD)
    assert (record["tied"], record["steps"], record["model"]) == (False, 5, "local_gamma1/m16_seed0")


# ---- the table, the figure, the claims


def records(seeds: int = 2) -> list[dict[str, Any]]:
    """A made-up family."""
    made = []
    for gamma in (-1.0, 1.0):
        for member in members([{"m": [16, 32], "gamma": gamma, "seeds": seeds}], Recipe()).values():
            made.append({**vars(member), "learning_rate": 0.02})
        other = Member(m=16, gamma=gamma, learning_rate_factor=2)
        made.append({**vars(other), "learning_rate": 0.04})
    for record in made:
        member = Member(**{name: record[name] for name in ("m", "gamma", "learning_rate_factor", "seed")})
        record |= {"model": member.name, "family": member.family, "architecture": "gpt2", "tied": True, "n_layers": 2}
        record |= {"vocabulary": 2048, "context": 64, "steps": 800, "batch_size": 16, "n_parameters": 40_000}
        record |= {"n_tokens": 819_200, "n_epochs": 1.2, "corpus_sha256": "0", "loss_train_tail": 4.0}
        record |= {"seconds": 1.0}
    return made


def evaluated() -> pd.DataFrame:
    """Its losses, which fall by 3/4 as much at gamma = 1, and are higher at other learning rates."""
    rows = []
    for record in records():
        height = 8.0 if record["gamma"] < 0 else 6.0
        loss = 3 + height / record["m"] + 0.1 * (record["learning_rate_factor"] != 1)
        rows.append({"model": record["model"], "source": "local", "status": "measured", "dataset": "python"})
        rows[-1] |= {"loss": loss, "loss_stderr": 0.01, "windows": "strided", "window": 64, "stride": 32}
    return tables.validate("llm_losses", filled("llm_losses", rows), "test")


def measured_heads() -> pd.DataFrame:
    rows = [
        {
            "model": record["model"],
            "source": "local",
            "status": "measured",
            "phi_half": 1.0 if record["gamma"] < 0 else 0.1,
        }
        | {
            "mean_sq_overlap": 4 / record["m"],
            "centred_mean_sq_overlap": 1 / record["m"],
            "random_mean": 1 / record["m"],
        }
        for record in records()
        if record["learning_rate_factor"] == 1
    ]
    return tables.validate("llm_overlaps", filled("llm_overlaps", rows), "test")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return tables.validate("llm_family", family_table(records(), evaluated(), measured_heads()), "test")


def test_the_table_joins_training_and_geometry(table: pd.DataFrame) -> None:
    study = table[table["learning_rate_factor"] == 1]
    assert study["phi_half"].notna().all()
    assert study["learning_rate_best"].all()
    others = table[table["learning_rate_factor"] != 1]
    assert others["phi_half"].isna().all()
    assert not others["learning_rate_best"].any()
    assert family_table([], evaluated(), measured_heads()).empty
    failed = evaluated().assign(status="failed", loss=None)
    with pytest.raises(InputError, match="no held-out loss of local_gamma-1/m16_seed0, local"):
        family_table(records(), failed, measured_heads())


def test_an_invalid_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"m": ')
    for name in ("cut.json", "missing.json"):
        with pytest.raises(InputError, match="not the record of a training"):
            read_record(tmp_path / name)


def family_claims(family: pd.DataFrame) -> pd.DataFrame:
    """The claims about models trained here, from one table."""
    study = Study.read([], Path("resources/published"), "default")
    study = replace(study, frames={**study.frames, "llm_family": family})
    names = ("phi_half_strong", "phi_half_weak", "loss_gain", "learning_rate")
    return registry.table(study, [registry.REGISTRY[f"local.{name}"] for name in names]).set_index("id")


def test_claims_follow_from_the_table(table: pd.DataFrame) -> None:
    found = family_claims(table)
    assert found["ours"].to_list() == pytest.approx([1.0, 0.1, 0.75, 1 - 3.6 / 3.5])
    assert (found.loc["local.loss_gain", "n"], found.loc["local.loss_gain", "unit"]) == (2, "seeds")


def test_a_family_that_is_not_there_claims_nothing() -> None:
    empty = pd.DataFrame(columns=list(tables.dictionary()["llm_family"]["columns"]))
    assert set(family_claims(empty)["verdict"]) == {"not_run"}
    one_seed = tables.validate("llm_family", family_table(records(seeds=1), evaluated(), measured_heads()), "test")
    gain = family_claims(one_seed).loc["local.loss_gain"]
    assert (gain["verdict"], "one seed, so no error" in gain["note"]) == ("no_verdict", True)


@pytest.mark.parametrize("rows", ["all", "none"])
def test_the_figure_is_drawn(table: pd.DataFrame, rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, pictures = tmp_path / "llm_family.csv", [tmp_path / "family.svg", tmp_path / "family.png"]
    tables.write("llm_family", table if rows == "all" else table.head(0), path)
    monkeypatch.setattr(sys, "argv", ["family", "--family", str(path), "--output", *map(str, pictures)])
    command.run(figures.main)
    assert all(picture.stat().st_size > 5000 for picture in pictures)


def test_paired_differences_have_the_pooled_interval() -> None:
    rows = [
        {"learning_rate_factor": 1.0, "m": m, "seed": seed, "gamma": gamma, "loss": loss}
        for m, seed, gamma, loss in [
            (4, 0, -1.0, 2.0), (4, 1, -1.0, 2.2), (4, 0, 1.0, 2.5), (4, 1, 1.0, 2.9),
            (8, 0, -1.0, 1.0), (8, 1, -1.0, 1.1), (8, 0, 1.0, 1.3), (8, 1, 1.0, 1.2),
        ]
    ]  # fmt: skip
    found = figures.paired_differences(pd.DataFrame(rows))
    np.testing.assert_allclose(found["difference"], [0.6, 0.2])
    variance = (2 * 0.1**2 + 2 * 0.1**2) / 2
    np.testing.assert_allclose(found["half_width"], 4.302652729911275 * np.sqrt(variance / 2))
    assert figures.paired_differences(pd.DataFrame(rows[::2]))["half_width"].isna().all()
