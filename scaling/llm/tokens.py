"""Measure token frequencies against rank: `python -m scaling.llm.tokens --tokenizer words --text python ...`.

p_r ~ r^-alpha over a vocabulary of V ranks is the truncated zeta law; alpha here is the paper's data exponent for text.
Ranks come from one half of the text and counts from the other, because a rank and its count share sampling noise.
"""

import argparse
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from scaling import arrays, tables
from scaling.command import InputError, run
from scaling.llm.checkpoint.files import Folder
from scaling.llm.checkpoint.hub import Repository
from scaling.llm.checkpoint.store import load_tokenizer
from scaling.llm.checkpoint.tokenizer_file import gguf_tokenizer, tokenizer_size
from scaling.llm.documents import read_documents
from scaling.llm.family.corpus import python_documents


log = logging.getLogger(__name__)

RUN = 1000  # tokens per run; runs are assigned alternately to the two halves
BINS_PER_DECADE = 20
GROUPS = 20  # groups of runs for the jackknife standard error
FEWEST = 10  # smallest number of tokens in a fitted bin


@dataclass(frozen=True)
class Text:
    """A text as token ids, and the size V of their vocabulary."""

    ids: NDArray[np.int64]
    vocabulary: int


def read_text(source: str) -> str:
    """The documents of `source`, joined by newlines; "python" is the documentation that comes with Python.

    Raises InputError if they are missing or not UTF-8.
    """
    found = python_documents() if source == "python" else read_documents(Path(source))
    return "\n".join(document.text for document in found)


def encode(tokenizer: str, text: str, source: Folder | Repository | Path | None = None, cache: Path = Path()) -> Text:
    """Encode a text with `tokenizer`: words (runs of letters, lower case), bytes, or that of a model in `source`.

    A path names a GGUF file. Raises InputError for an unknown tokenizer.
    """
    if tokenizer == "words":
        words, ids = np.unique(re.findall(r"[^\W\d_]+", text.lower()), return_inverse=True)
        return Text(ids.astype(np.int64), len(words))
    if tokenizer == "bytes":
        return Text(np.frombuffer(text.encode(), np.uint8).astype(np.int64), 256)
    if source is None:
        raise InputError(f"tokenizer {tokenizer!r} is unknown; use words, bytes, or a model's name")
    model = gguf_tokenizer(source) if isinstance(source, Path) else load_tokenizer(source, cache)
    lines = model.encode_batch(text.splitlines(keepends=True), add_special_tokens=False)
    return Text(np.concatenate([np.asarray(line.ids, np.int64) for line in lines]), tokenizer_size(model))


def ranked(ids: NDArray[np.int64], vocabulary: int) -> NDArray[np.int64]:
    """Token ids of the vocabulary by decreasing count in `ids`, ties by id; shape (V,)."""
    return np.argsort(-np.bincount(ids, minlength=vocabulary), kind="stable")


def zeta_exponent(counts: NDArray[np.integer]) -> float:
    """alpha of p_r ~ r^-alpha, r = 1..V, from the counts by rank (V,), by maximum likelihood.

    Minimises alpha sum_r c_r log r + N log sum_r r^-alpha; NaN without counts.
    """
    log_rank = np.log(np.arange(1, len(counts) + 1))
    total, weighted = int(counts.sum()), float(counts @ log_rank)
    if total == 0 or len(counts) < 2:
        return float("nan")

    def minus_log_likelihood(alpha: float) -> float:
        return alpha * weighted / total + float(np.log(np.exp(-alpha * log_rank).sum()))

    return float(optimize.minimize_scalar(minus_log_likelihood, bounds=(0, 10), method="bounded").x)


def counts_by_rank(text: Text) -> NDArray[np.int64]:
    """Counts by rank, shape (GROUPS, V): ranks from every other run of RUN tokens, counts from groups of the rest."""
    run_of = np.arange(len(text.ids)) // RUN
    order = ranked(text.ids[run_of % 2 == 0], text.vocabulary)
    rank_of = np.empty(text.vocabulary, np.int64)
    rank_of[order] = np.arange(text.vocabulary)
    other = run_of % 2 == 1
    group = (run_of[other] // 2) % GROUPS
    cells = group * text.vocabulary + rank_of[text.ids[other]]
    return np.bincount(cells, minlength=GROUPS * text.vocabulary).reshape(GROUPS, text.vocabulary)


def rank_bins(vocabulary: int) -> NDArray[np.int64]:
    """First ranks of logarithmic bins, BINS_PER_DECADE per decade, and V + 1 at the end."""
    steps = int(np.ceil(np.log10(vocabulary) * BINS_PER_DECADE)) if vocabulary > 1 else 1
    edges = np.unique(np.round(10 ** (np.arange(steps + 1) / BINS_PER_DECADE)).astype(np.int64))
    return np.append(edges[edges <= vocabulary], vocabulary + 1)


def frequencies(text: Text, rank_min: int, rank_max: int) -> dict[str, object]:
    """Return the fitted columns of table token_frequencies; or a note for too short a text."""
    groups = counts_by_rank(text)
    counts = groups.sum(axis=0)
    row: dict[str, object] = {
        "n_tokens": len(text.ids),
        "vocabulary": text.vocabulary,
        "n_seen": len(np.unique(text.ids)),
    }
    if (groups.sum(axis=1) == 0).any() or text.vocabulary < 3:
        return row | {"note": f"text too short: {2 * GROUPS * RUN} tokens of at least 3 kinds are needed"}
    left_out = np.array([zeta_exponent(counts - group) for group in groups])
    row["exponent"] = zeta_exponent(counts)
    row["exponent_stderr"] = float(np.sqrt((GROUPS - 1) * left_out.var()))
    edges = rank_bins(text.vocabulary)
    inside = np.add.reduceat(counts, edges[:-1] - 1)
    usable = (edges[:-1] >= rank_min) & (edges[1:] - 1 <= rank_max) & (inside >= FEWEST)
    if usable.sum() < 3:
        return row | {"note": f"fewer than 3 bins of ranks {rank_min} to {rank_max} contain {FEWEST} tokens"}
    low, high = edges[:-1][usable], edges[1:][usable] - 1
    frequency = inside[usable] / (high - low + 1) / counts.sum()
    line = stats.linregress(np.log(low * 1.0 * high) / 2, np.log(frequency))
    return row | {
        "exponent_window": -float(line.slope),
        "exponent_window_stderr": float(line.stderr),
        "rank_max": int(high[-1]),
        "rsquared": float(line.rvalue**2),
    }


def rank_table(text: Text, norms: NDArray[np.float64], kept: NDArray[np.bool_]) -> pd.DataFrame:
    """Frequency and head norm in bins of rank; ranks come from the whole text, for tokens that occur in it.

    `norms` and `kept` (nu,) are the norms of the head's rows and which rows count; empty without a head.
    """
    count = np.bincount(text.ids, minlength=text.vocabulary)
    order = ranked(text.ids, text.vocabulary)[: int(np.count_nonzero(count))]
    rows = []
    for low, end in zip(*(rank_bins(len(order))[part] for part in (slice(-1), slice(1, None))), strict=True):
        tokens = order[low - 1 : end - 1]
        inside = tokens[tokens < len(norms)]
        norm = norms[inside][kept[inside]]
        rows.append(
            {
                "rank_low": low,
                "rank_high": end - 1,
                "frequency": count[tokens].mean() / len(text.ids),
                "mean_norm": norm.mean() if len(norm) else None,
                "std_norm": norm.std() if len(norm) else None,
                "n_rows": len(norm),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Parse the command line, count, fit, write both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--tokenizer", required=True, help="words, bytes, or a model: id on the Hub, or a name for --path"
    )
    parser.add_argument("--text", default="python", help="python (the documentation of Python), or a UTF-8 file")
    parser.add_argument("--files", nargs="*", default=[], help="files with the text, instead of --text")
    parser.add_argument("--path", type=Path, help="folder with the tokenizer, or GGUF file, instead of the Hub")
    parser.add_argument("--revision", default="main", help="branch, tag or commit on the Hub")
    parser.add_argument("--cache", type=Path, default=Path("results/llm/heads"), help="folder that caches tokenizers")
    parser.add_argument("--norms", type=Path, help="safetensors file of norms from scaling.llm.overlaps")
    parser.add_argument("--rank-min", type=int, default=10, help="first rank of the window for the fit")
    parser.add_argument("--rank-max", type=int, default=10_000, help="last rank of the window for the fit")
    parser.add_argument("--record-failure", action="store_true", help="write a failure as a row and exit with code 0")
    parser.add_argument("--frequencies", type=Path, required=True, help="CSV table token_frequencies to write")
    parser.add_argument("--ranks", type=Path, required=True, help="CSV table token_ranks to write")
    arguments = parser.parse_args()
    if not 1 <= arguments.rank_min <= arguments.rank_max:
        raise InputError(f"--rank-min {arguments.rank_min}, --rank-max {arguments.rank_max}: need 1 <= min <= max")
    names = {"tokenizer": arguments.tokenizer, "text": arguments.text}
    window = {"rank_min": arguments.rank_min, "rank_max": arguments.rank_max}
    source: Folder | Repository | Path | None = None
    if arguments.path:
        source = arguments.path if arguments.path.suffix == ".gguf" else Folder(arguments.path)
    elif arguments.tokenizer not in ("words", "bytes"):
        source = Repository(arguments.tokenizer, arguments.revision)
    try:
        content = "\n".join(read_text(file) for file in arguments.files or [arguments.text])
        text = encode(arguments.tokenizer, content, source, arguments.cache)
        if not len(text.ids):
            raise InputError(f"{arguments.text}: no tokens in this text")
        row = frequencies(text, **window)
        head = read_norms(arguments.norms) if arguments.norms else (np.zeros(0), np.zeros(0, dtype=bool))
        ranks = rank_table(text, *head)
    except InputError as error:
        if not arguments.record_failure:
            raise
        log.info("failed: %s", error)
        row, ranks = {"note": str(error)}, pd.DataFrame()
    for name, frame, path in (
        ("token_frequencies", pd.DataFrame([names | window | row]), arguments.frequencies),
        ("token_ranks", ranks.assign(**names), arguments.ranks),
    ):
        tables.write(name, frame.reindex(columns=list(tables.dictionary()[name]["columns"])), path)


def read_norms(path: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the norms of the rows of a head, and which rows are kept. Raises InputError for any other file."""
    try:
        _, content = arrays.read(path)
        return content["norm"], content["kept"]
    except (InputError, KeyError) as error:
        raise InputError(
            f"{path}: not the norms of a head ({error}); delete it and recreate it with scaling.llm.overlaps"
        ) from None


if __name__ == "__main__":
    run(main)
