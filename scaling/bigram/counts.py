"""Count the bigrams of a text: `python -m scaling.bigram.counts --text train.jsonl --tokenizer tokenizer.json ...`.

The documents form one cyclic stream, so that each token is equally often the first and the second of a pair.
Tokens that do not occur are excluded; the others are numbered by decreasing frequency.
"""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from scaling.bigram.matrices import pair_counts, write_counts
from scaling.command import InputError, run


def read_texts(path: Path) -> list[str]:
    """Read the texts of a .jsonl file with one object {"text": ...} per line, or any other file as one UTF-8 text."""
    try:
        text = path.read_text(encoding="utf-8")
        return [json.loads(line)["text"] for line in text.splitlines()] if path.suffix == ".jsonl" else [text]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error})") from None
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f'{path}: a line is not an object {{"text": "..."}} ({error})') from None


def by_frequency(tokens: np.ndarray) -> tuple[np.ndarray, int]:
    """Renumber tokens 0 .. n - 1 by decreasing frequency; returns them and n, the number of distinct tokens."""
    used, index, count = np.unique(tokens, return_inverse=True, return_counts=True)
    rank = np.empty(len(used), dtype=np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(len(used))
    return rank[index], len(used)


def main() -> None:
    """Parse the command line, tokenize, count, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help=".jsonl with one text per line, or a UTF-8 file")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json of the library tokenizers")
    parser.add_argument("--output", type=Path, required=True, help="counts to write, .safetensors")
    arguments = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(arguments.tokenizer))
    encoded = tokenizer.encode_batch(read_texts(arguments.text))
    tokens = np.concatenate([np.array(part.ids, dtype=np.int64) for part in encoded])
    if len(tokens) < 2:
        raise InputError(f"{arguments.text}: fewer than two tokens; give a longer text")
    ranks, n = by_frequency(tokens)
    counts = pair_counts(ranks, n)
    write_counts(arguments.output, counts)
    logging.info(
        "%s: %d tokens, %d of %d different ones in use, %d different pairs",
        *(arguments.output, len(tokens), n, tokenizer.get_vocab_size(), counts.nnz),
    )


if __name__ == "__main__":
    run(main)
