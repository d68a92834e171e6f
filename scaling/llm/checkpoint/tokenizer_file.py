"""Read the tokenizer of a checkpoint: tokenizer.json, vocab.json and merges.txt of OPT, or the metadata of GGUF."""

from pathlib import Path
from typing import TypeAlias

from tokenizers import ByteLevelBPETokenizer, Tokenizer

from scaling.command import InputError


AnyTokenizer: TypeAlias = Tokenizer | ByteLevelBPETokenizer

MOST_TOKENS = 1 << 24  # counts of every token are held in memory


def read_tokenizer(file: Path, merges: Path | None = None) -> AnyTokenizer:
    """Read a tokenizer from a tokenizer.json, or a vocab.json and its merges. Raises InputError for other files."""
    try:
        tokenizer = ByteLevelBPETokenizer(str(file), str(merges)) if merges else Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain Exceptions
        raise InputError(f"{file}: not a tokenizer ({error})") from None
    if tokenizer_size(tokenizer) > MOST_TOKENS:
        raise InputError(f"{file}: its largest token id is {tokenizer_size(tokenizer) - 1}; corrupt file?")
    return tokenizer


def gguf_tokenizer(path: Path) -> AnyTokenizer:
    """Read the tokenizer of a GGUF file, converted by transformers. Raises InputError if it cannot be converted."""
    from transformers import AutoTokenizer  # takes seconds

    # Imported here so that the training of a tokenizer does not depend on the checkpoint readers.
    from scaling.llm.checkpoint.gguf_file import open_gguf

    open_gguf(path)  # rejects corrupt headers, which the reader of transformers does not

    try:
        return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).backend_tokenizer
    except Exception as error:  # the conversion can raise any error
        raise InputError(f"{path}: its tokenizer cannot be converted ({error})") from None


def tokenizer_size(tokenizer: AnyTokenizer) -> int:
    """Return the largest token id plus one, including added tokens; rows of a head beyond it are padding."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
