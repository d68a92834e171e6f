"""Split documents into windows of tokens, and windows into batches, with each scored token counted once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from scaling.command import InputError


Ids: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """How to split a document into windows; each scored token sees all preceding tokens in its window.

    first: the first `size` tokens, all scored but the first (the paper: 2048 tokens of each of 1000 documents).
    fixed: consecutive windows of `size` tokens, without the shorter remainder; the first token of each is not scored.
    strided: windows of `size` tokens that advance by `stride`; every token but the document's first is scored once,
    with at least size - stride preceding tokens, if the document has them.
    """

    kind: str
    size: int
    stride: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("first", "fixed", "strided"):
            raise InputError(f"windows {self.kind!r}: must be first, fixed or strided")
        if self.size < 2:
            raise InputError(f"a window of {self.size} tokens: at least 2 are needed to score one")
        if self.kind == "strided" and not 1 <= self.stride < self.size:
            raise InputError(f"stride {self.stride}: must lie between 1 and {self.size - 1}, one less than the window")

    def cut(self, length: int) -> Iterator[tuple[int, int, int]]:
        """Yield (start, stop, first scored token) for each window of a document of `length` tokens."""
        if self.kind == "fixed":
            yield from ((start, start + self.size, start + 1) for start in range(0, length - self.size + 1, self.size))
            return
        scored = 1
        start = 0
        while scored < length:
            stop = min(start + self.size, length)
            yield start, stop, scored
            if self.kind == "first":
                return
            start, scored = start + self.stride, stop


@dataclass(frozen=True)
class Window:
    """One window of a document: its token ids, and the index of the first scored token."""

    document: int
    ids: Ids
    scored: int
    n_bytes: int  # of text encoded by the scored tokens


def tokenize(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[Ids, NDArray[np.int64]]]:
    """Yield the token ids of each text, with the tokenizer's special tokens, and the number of bytes each encodes.

    The bytes of a token extend from the end of the previous token to its own end, so they sum to the bytes of the text.
    Raises InputError for a tokenizer that does not return token positions.
    """
    if not tokenizer.is_fast:
        raise InputError(f"{type(tokenizer).__name__} does not return token positions; a fast tokenizer is needed")
    for text in texts:
        # verbose=False: no warning about long texts, which are split into windows here
        encoded = tokenizer(text, return_offsets_mapping=True, return_attention_mask=False, verbose=False)
        ends = np.maximum.accumulate([0, *(end for _, end in encoded["offset_mapping"])])
        at = np.concatenate([[0], np.cumsum([len(letter.encode()) for letter in text])])
        yield np.asarray(encoded["input_ids"], np.int64), np.diff(at[ends])


def cut_documents(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, windows: Windows, vocabulary: int
) -> list[Window]:
    """Return all windows of all documents. Raises InputError if there are none, or for a token the model lacks."""
    found = []
    longest = 0
    for document, (ids, n_bytes) in enumerate(tokenize(texts, tokenizer)):
        longest = max(longest, len(ids))
        if len(ids) and not 0 <= ids.min() <= ids.max() < vocabulary:
            raise InputError(
                f"token {ids.max()} of the tokenizer is not in the model's vocabulary ({vocabulary} tokens)"
            )
        for start, stop, scored in windows.cut(len(ids)):
            found.append(Window(document, ids[start:stop], scored - start, int(n_bytes[scored:stop].sum())))
    if not found:
        needed = windows.size if windows.kind == "fixed" else 2
        raise InputError(
            f"the longest of {len(texts)} documents has {longest} tokens, but a window needs {needed}; "
            "give a longer text or a smaller window"
        )
    return found


def batches(windows: Sequence[Window], batch_tokens: int) -> Iterator[list[Window]]:
    """Yield batches of windows of similar length, each of one window or at most `batch_tokens` tokens with padding."""
    batch: list[Window] = []
    for window in sorted(windows, key=lambda window: -len(window.ids)):
        if batch and len(batch[0].ids) * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch
