"""The toy model of superposition: features, model, two engines, training."""

import hashlib
import os
from pathlib import Path


def _compiled_code_folder() -> Path:
    """One folder of compiled code for each state of this package's source.

    Numba's cache notices a change in a function's own file, but not in the functions of other files that it calls.
    """
    here = Path(__file__).parent
    source = b"".join(file.read_bytes() for file in sorted(here.rglob("*.py")))
    return here / "__pycache__" / f"numba-{hashlib.sha256(source).hexdigest()[:16]}"


if os.access(Path(__file__).parent, os.W_OK):  # else Numba finds a folder of its own
    os.environ.setdefault("NUMBA_CACHE_DIR", str(_compiled_code_folder()))
