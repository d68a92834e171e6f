"""The tokenizer of a checkpoint: tokenizer.json, or the vocab.json and merges.txt of OPT."""

from pathlib import Path
from typing import TypeAlias

from tokenizers import ByteLevelBPETokenizer, Tokenizer

from scaling.llm.files import Folder, MissingFileError
from scaling.llm.hub import Repository
from scaling.llm.store import local_copy
from scaling.llm.tensor import UnsupportedCheckpointError


AnyTokenizer: TypeAlias = Tokenizer | ByteLevelBPETokenizer

MOST_TOKENS = 1 << 24  # counts of every token are held in memory


def model_tokenizer(source: Folder | Repository, cache: Path) -> AnyTokenizer:
    """The tokenizer in a folder or a repository, kept in `cache`; UnsupportedCheckpointError without one."""
    try:
        return read_tokenizer(local_copy(source, "tokenizer.json", cache))
    except MissingFileError:
        pass
    try:
        return read_tokenizer(*(local_copy(source, name, cache) for name in ("vocab.json", "merges.txt")))
    except MissingFileError:
        raise UnsupportedCheckpointError(
            f"{source.name}: neither tokenizer.json nor vocab.json and merges.txt"
        ) from None


def read_tokenizer(file: Path, merges: Path | None = None) -> AnyTokenizer:
    """The tokenizer in a tokenizer.json, or in a vocab.json and its merges; else UnsupportedCheckpointError."""
    try:
        tokenizer = ByteLevelBPETokenizer(str(file), str(merges)) if merges else Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises no narrower kind
        raise UnsupportedCheckpointError(f"{file}: not a tokenizer ({error})") from None
    if tokenizer_size(tokenizer) > MOST_TOKENS:
        raise UnsupportedCheckpointError(
            f"{file}: its largest token id is {tokenizer_size(tokenizer) - 1}; corrupt file?"
        )
    return tokenizer


def tokenizer_size(tokenizer: AnyTokenizer) -> int:
    """One more than its largest token id, added tokens included: rows of a head from there on are padding."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
