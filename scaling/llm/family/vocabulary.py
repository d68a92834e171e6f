"""Train the family's tokenizer, byte-level BPE: `python -m scaling.llm.family.vocabulary --train train.jsonl ...`."""

import argparse
import logging
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from scaling.command import InputError, run, whole_file
from scaling.llm.documents import read_documents


log = logging.getLogger(__name__)

END_OF_TEXT = "<|endoftext|>"  # token 0, at the start of every document


def byte_pairs(texts: Iterable[str], size: int) -> Tokenizer:
    """Byte-level BPE of `size` tokens: the end of text, 256 bytes, and the most frequent merges (at least twice).

    Raises InputError if the text has too few pairs to fill the vocabulary.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=[END_OF_TEXT],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if tokenizer.get_vocab_size() != size:
        raise InputError(
            f"the text gives {tokenizer.get_vocab_size()} tokens, but {size} are needed; "
            "give more text or a smaller vocabulary"
        )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, 0)]
    )
    return tokenizer


def main() -> None:
    """Parse the command line, train, write tokenizer.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="documents to train on (.jsonl)")
    parser.add_argument("--size", type=int, default=2048, help="tokens in the vocabulary")
    parser.add_argument("--output", type=Path, required=True, help="tokenizer.json to write")
    arguments = parser.parse_args()
    tokenizer = byte_pairs((document.text for document in read_documents(arguments.train)), arguments.size)
    with whole_file(arguments.output) as temporary:
        tokenizer.save(str(temporary))
    log.info("%s: %d tokens", arguments.output, tokenizer.get_vocab_size())


if __name__ == "__main__":
    run(main)
