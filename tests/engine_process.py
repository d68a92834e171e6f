"""The CPU engine in a process of its own, so that a test can set the processor that Numba compiles for, and the cores.

    python tests/engine_process.py FILE.npz [--one-core] [--registers]

FILE holds W, b, and one batch: sample, feature, value, batch_size. The program prints one line of JSON: loss and
gradients of the screened and the dense step on this batch, a digest of W and b after 80 training steps, the last 40 of
them screened, and with --registers the widest vector registers in the compiled code, "xmm", "ymm" or "zmm".
"""

import argparse
import hashlib
import json
import os
from typing import Any

import numpy as np

from scaling.toy.engines import choice
from scaling.toy.engines.numba_engine import NumbaEngine, advance
from scaling.toy.features import Batch, frequencies
from scaling.toy.recipe import Recipe
from scaling.toy.training import one_thread


def main() -> None:
    """Read the model and the batch, run the engine, and print what the module describes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--one-core", action="store_true", help="run on the first of the cores that are allowed")
    parser.add_argument("--registers", action="store_true", help="works only where the code is not taken from a cache")
    arguments = parser.parse_args()
    if arguments.one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with np.load(arguments.file) as file:
        W, b, batch_size = file["W"], file["b"], int(file["batch_size"])
        batch = Batch(file["sample"], file["feature"], file["value"], batch_size)
    p, recipe = frequencies("power_law", len(b), 1.0, 1.0), Recipe(steps=80, warmup_steps=8, batch_size=batch_size)
    engine = NumbaEngine(W, b, p, -0.5, recipe, np.random.default_rng(1))
    found: dict[str, Any] = {}
    with one_thread():
        for path in ("screened", "dense"):
            loss, dW, db = engine.gradients(batch, path)
            found[path] = [loss, dW.tolist(), db.tolist()]
        engine.advance(40)
        engine.choice[choice.SCREENED], engine.choice[choice.GRAM_COST] = 1, np.inf
        engine.advance(40)
    found["screened_steps"] = engine.choice[choice.STEPS]
    found["digest"] = hashlib.sha256(engine.W.tobytes() + engine.b.tobytes()).hexdigest()
    if arguments.registers:
        code = "".join(advance.inspect_asm().values())
        found["registers"] = max(name for name in ("xmm", "ymm", "zmm") if name in code)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
