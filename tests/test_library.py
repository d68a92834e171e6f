"""The public API: `import scaling` alone costs nothing, and each name gives the numbers of the workflow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import scaling
from scaling.command import InputError
from scaling.fits import curve
from scaling.toy.measurement import measure_model
from scaling.toy.model_file import read_model


SHORT = {"steps": 60, "warmup_steps": 6, "batch_size": 64}


def python(code: str, *blocked: str, folder: Path | None = None) -> str:
    """Run code in a new interpreter in which the blocked packages cannot be imported; return what it prints."""
    block = (
        "import sys\nclass Blocked:\n    def find_spec(self, name, *rest):\n"
        f"        if name.split('.')[0] in {blocked!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
    )
    done = subprocess.run([sys.executable, "-c", block + code], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_import_loads_nothing_and_changes_no_environment_variable() -> None:
    code = (
        "import os\nbefore = dict(os.environ), set(sys.modules)\nimport scaling\n"
        "print(dict(os.environ) == before[0], sorted(name for name in set(sys.modules) - before[1] if '.' not in name))"
    )
    same, loaded = python(code).split(" ", 1)
    assert same == "True"
    assert not {"numpy", "torch", "matplotlib", "numba", "pandas"} & set(eval(loaded))


def test_every_public_name_is_listed_and_documented() -> None:
    assert set(scaling.__all__) <= set(dir(scaling))
    assert {"train", "evaluate", "measure", "fit_power_law", "read_head", "__version__"} == set(scaling.__all__)
    assert all(getattr(scaling, name).__doc__ for name in scaling.__all__)
    assert (Path(scaling.__file__).parent / "py.typed").is_file()
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        scaling.trian  # noqa: B018


def test_the_core_needs_no_extra_and_no_module_of_one_operating_system() -> None:
    """Train, evaluate, measure and fit without the packages of the extras, and without fcntl and resource."""
    extras = ("torch", "transformers", "httpx2", "huggingface_hub", "matplotlib", "seaborn", "snakemake", "diptest")
    code = (
        "import scaling\n"
        f"model = scaling.train(n=20, m=4, gamma=-0.5, **{SHORT})\n"
        "assert scaling.evaluate(model, 2048).loss > 0\n"
        "assert scaling.measure(model.W).m == 4\n"
        "assert scaling.fit_power_law([1, 2, 4], [1, 0.5, 0.25]).exponent > 0.99\n"
        "try:\n    scaling.read_head\nexcept ModuleNotFoundError as error:\n    print(error)"
    )
    message = python(code, *extras, "fcntl", "resource")
    assert message == "scaling.read_head needs httpx2; install it with pip install 'superposition-scaling[llm]'"


def test_the_command_line_and_the_library_give_the_same_bits(tmp_path: Path) -> None:
    model = scaling.train(n=30, m=4, gamma=-0.5, **SHORT)
    arguments = ["--n", "30", "--m", "4", "--gamma", "-0.5", "--folder", str(tmp_path)]
    for name, value in SHORT.items():
        arguments += [f"--{name.replace('_', '-')}", str(value)]
    subprocess.run([sys.executable, "-m", "scaling.toy.training", *arguments], check=True, env=dict(os.environ))
    saved = read_model(tmp_path / f"{model.cell.name}.safetensors")
    for name in ("W", "b", "p"):
        assert np.array_equal(getattr(model, name), getattr(saved, name))
    assert model.losses.shape == (SHORT["steps"],)
    assert model.losses.mean() == pytest.approx(saved.curve_loss.mean())
    assert scaling.evaluate(model, 4096).loss == measure_model(saved, 4096)["loss"]
    assert scaling.evaluate(saved, 4096).loss == scaling.evaluate(model, 4096).loss
    assert "30_alpha1_E1/gamma-0.5/m4_seed0" in repr(model)


def test_an_evaluation_shows_parts_that_sum_to_the_loss() -> None:
    held_out = scaling.evaluate(scaling.train(n=20, m=4, gamma=0.5, **SHORT), 4096, np.random.default_rng(1))
    assert sum(mean for mean, _ in held_out.parts.values()) == pytest.approx(held_out.loss)
    assert all(part in repr(held_out) for part in held_out.parts)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: scaling.train(m=30, n=20, gamma=1), InputError, "m = 30, n = 20"),
        (lambda: scaling.train(m=3, gamma=1, steps=5), InputError, "warmup_steps = 2000"),
        (lambda: scaling.train(m=3, gamma=1, stepz=5), TypeError, "stepz"),
        (lambda: scaling.measure(np.ones(3)), InputError, r"shape \(nu, m\)"),
        (lambda: scaling.measure([["a"]]), InputError, "real matrix"),
        (lambda: scaling.measure([[1.0, np.nan]]), InputError, "not finite"),
        (lambda: scaling.measure([[1.0, 0], [0, 0]]), InputError, "at least two rows"),
        (lambda: scaling.measure(np.eye(3), sample_rows=0), InputError, "sample_rows = 0"),
        (lambda: scaling.fit_power_law([1, 2], [1, -1]), InputError, "loss must contain finite numbers above zero"),
        (lambda: scaling.read_head("no/such/folder"), InputError, "no such folder"),
        (lambda: scaling.read_head("./missing"), InputError, "no such folder"),
    ],
)
def test_what_a_user_can_get_wrong_is_named(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_any_matrix_is_measured() -> None:
    square = scaling.measure(np.eye(3))
    assert (square.nu, square.m, square.max_overlap, square.phi_half, square.phi_1) == (3, 3, 0, 1, 0)
    with_zero = scaling.measure([[1, 0], [0, 0], [3, 4]])  # overlap 0.6 between the two rows that are not zero
    assert (with_zero.nu, with_zero.n_zero, with_zero.n_pair_rows) == (3, 1, 2)
    assert with_zero.mean_sq_overlap == pytest.approx(0.36)
    assert with_zero.norms == pytest.approx([1, 0, 5])
    assert "3 rows of dimension m = 2, 1 of them zero" in repr(with_zero)


def test_sampled_rows_keep_the_means_and_meet_each_pair_once() -> None:
    W = np.random.default_rng(0).standard_normal((40, 6))
    exact, some = scaling.measure(W), scaling.measure(W, sample_rows=39, rng=np.random.default_rng(2))
    assert some.mean_sq_overlap == pytest.approx(exact.mean_sq_overlap, rel=1e-12)
    assert some.mean_cosine == pytest.approx(exact.mean_cosine, rel=1e-9)
    # 39 of 40 rows contain every pair.
    assert some.std_sq_overlap == pytest.approx(exact.std_sq_overlap, rel=1e-12)
    assert some.max_overlap == pytest.approx(exact.max_overlap, rel=1e-12)
    few = scaling.measure(W, sample_rows=3)
    assert few.n_pair_rows == 3
    assert few.max_overlap <= exact.max_overlap
    assert "from 3 sampled rows" in repr(few)


def test_a_power_law_is_recovered_and_reported() -> None:
    m = np.array([10, 10, 20, 20, 40, 40, 80, 80])
    noise = np.exp(0.01 * np.array([1, -1, 0.5, -0.5, -1, 1, 0.2, -0.2]))
    fit = scaling.fit_power_law(m, 3 * m**-1.2 * noise)
    line = curve.line(m, 3 * m**-1.2 * noise)
    assert (fit.exponent, fit.exponent_stderr, fit.amplitude) == (line.exponent, line.exponent_stderr, line.amplitude)
    assert fit.exponent == pytest.approx(1.2, abs=0.01)
    assert fit.predict([100]) == pytest.approx(3 * 100**-1.2, rel=0.05)
    report = repr(fit)
    assert "4 widths, 10 to 80, 2 seeds per width" in report
    assert f"{fit.exponent:.4f}" in report
    assert "lack of fit" in report
    assert "too few points" in repr(scaling.fit_power_law([1, 2], [1, 0.5]))


def test_the_head_of_a_local_checkpoint_is_read(tmp_path: Path) -> None:
    W = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float16)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": 12}))
    save_file({"wte.weight": W}, tmp_path / "model.safetensors")
    for source in (tmp_path, str(tmp_path)):
        head = scaling.read_head(source)
        assert np.array_equal(head.W, W.astype(np.float32))
        assert head.W.dtype == np.float32
    assert repr(head) == f"head of {tmp_path}: 12 x 4 F16, shared with the input embedding"
