"""The CPU engine in other processes: the same bits on any number of cores, compiled anew or read from the cache."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher
from toy_oracle import TOLERANCE, autograd, errors

import scaling.toy.engines
from scaling.toy.features import draw_batch, frequencies


ROOT = Path(__file__).parent.parent
HAS_AVX2 = llvm.get_host_cpu_features().get("avx2", False) and llvm.get_host_cpu_features().get("fma", False)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A file with a model whose outputs fire rarely, and a batch with samples of no, one and several features."""
    rng = np.random.default_rng(0)
    W = (rng.standard_normal((190, 12)) / np.sqrt(12)).astype(np.float32)
    b = (-0.8 + 0.3 * rng.standard_normal(190)).astype(np.float32)
    batch = draw_batch(rng, frequencies("power_law", 190, 1.0, 1.0), 256)
    np.savez(tmp_path / "case.npz", W=W, b=b, **batch._asdict())
    return tmp_path / "case.npz"


def run(case: Path, *options: str, **variables: str) -> dict[str, Any]:
    """What tests/engine_process.py prints, with these environment variables."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, str(ROOT / "tests" / "engine_process.py"), str(case), *options]
    printed = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    return json.loads(printed)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to one core")
def test_the_bits_do_not_depend_on_cores_and_threads(case: Path) -> None:
    one = run(case, "--one-core", NUMBA_NUM_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    threads = str(os.cpu_count() or 1)
    all_cores = run(case, NUMBA_NUM_THREADS=threads, OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads)
    assert one["screened_steps"] == 40
    assert all_cores == one


def test_every_function_that_fast_mathematics_can_round_differently_is_inlined() -> None:
    """A copy of its own, beside the one in the training loop, would round differently: see engines/compiled.py."""
    modules = pkgutil.iter_modules(scaling.toy.engines.__path__, "scaling.toy.engines.")
    found = [vars(importlib.import_module(module.name)) for module in modules]
    compiled = {name: f for names in found for name, f in names.items() if isinstance(f, Dispatcher)}
    fast = {name for name, f in compiled.items() if f.targetoptions.get("fastmath")}
    calls = {name: set(f.py_func.__code__.co_names) & compiled.keys() for name, f in compiled.items()}
    while more := {name for name in calls if calls[name] & fast} - fast:
        fast |= more
    options = {name: compiled[name].targetoptions for name in fast}
    inlined = {name for name in fast if options[name].get("forceinline") or options[name].get("inline") == "always"}
    assert fast - inlined == {"advance"}
    assert len(fast) > 10


@pytest.mark.slow  # compiles the engine anew
def test_a_process_that_compiles_the_engine_and_one_that_reads_the_cache_give_the_same_bits(
    case: Path, tmp_path: Path
) -> None:
    compiled = run(case, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert any((tmp_path / "cache").rglob("*.nbc"))
    assert run(case, NUMBA_CACHE_DIR=str(tmp_path / "cache")) == compiled


@pytest.mark.slow  # compiles the engine anew
@pytest.mark.skipif(not HAS_AVX2, reason="this processor has no AVX2")
def test_gradients_of_code_for_avx2_are_those_of_autograd(case: Path, tmp_path: Path) -> None:
    """Relative errors against float64 below TOLERANCE, as for the code for this processor."""
    compiled = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+bmi,+bmi2,+popcnt,+sse4.2"}
    found = run(case, "--registers", NUMBA_CACHE_DIR=str(tmp_path / "cache"), **compiled)
    assert found["registers"] == "ymm"
    with np.load(case) as file:
        W, b = file["W"], file["b"]
        x = np.zeros((int(file["batch_size"]), len(b)), np.float32)
        x[file["sample"], file["feature"]] = file["value"]
    expected = autograd(W, b, x)
    for path in ("screened", "dense"):
        loss, dW, db = found[path]
        assert max(errors((loss, np.array(dW), np.array(db)), expected)) < TOLERANCE
