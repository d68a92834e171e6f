"""Read the output matrix of a language model from Python: `scaling.read_head`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scaling.command import InputError
from scaling.llm.checkpoint.files import Folder
from scaling.llm.checkpoint.hub import Repository
from scaling.llm.checkpoint.store import load_head
from scaling.llm.checkpoint.tensor import Rows


@dataclass(frozen=True, eq=False)
class HeadMatrix:
    """The output matrix W of a language model, one row per token, shape (nu, m), float32."""

    W: NDArray[np.float32]
    model: str  # the folder, or the name on the Hub
    tensor: str  # its name in the checkpoint
    dtype: str  # in the checkpoint
    tied: bool  # shared with the input embedding
    commit: str  # on the Hub; empty for a folder

    def __repr__(self) -> str:
        nu, m = self.W.shape
        tied = ", shared with the input embedding" if self.tied else ""
        return f"head of {self.model}{f' at {self.commit[:12]}' if self.commit else ''}: {nu} x {m} {self.dtype}{tied}"


def read_head(
    source: str | Path, revision: str = "main", cache: str | Path = Path("results", "llm", "kept")
) -> HeadMatrix:
    """Read the matrix that makes the logits from a checkpoint: a local folder, or owner/name on the Hugging Face Hub.

    From the Hub only this matrix is read, at `revision` (a branch, tag or commit), and kept in the folder `cache`.
    Rows beyond the tokenizer's vocabulary (padding) are included, as in the checkpoint.
    Raises InputError when there is no such folder, no network, no output matrix, or a damaged file.
    """
    folder = Path(source)
    if folder.is_dir():
        checkpoint: Folder | Repository = Folder(folder)
    elif isinstance(source, Path) or source.count("/") != 1 or source.startswith((".", "/", "~")):
        raise InputError(
            f"{source}: no such folder; give a checkpoint's folder, or owner/name for the Hugging Face Hub"
        )
    else:
        checkpoint = Repository(source, revision)
    tensor, found = load_head(checkpoint, Path(cache))
    matrix = Rows(tensor)
    W = np.concatenate([block for _, block in matrix.blocks(1 << 14)])
    return HeadMatrix(W, str(source), found.tensor, tensor.dtype, found.tied, found.commit)
