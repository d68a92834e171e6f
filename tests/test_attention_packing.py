"""Packings and pair energies: autograd, known frames, the loss by sampling and by quadrature, model files."""

import json

import numpy as np
import pytest
import torch

from scaling import arrays, geometry
from scaling.attention import packing, packing_study, pair_energy, trained_rows
from scaling.attention.packing_measurement import largest_cluster, packing_columns
from scaling.command import InputError


@pytest.mark.parametrize("energy", packing.ENERGIES)
def test_forces_are_gradients(energy: packing.Energy) -> None:
    beta, w = 3.0, packing.random_rows(7, 4, np.random.default_rng(0))
    z = torch.from_numpy(w).requires_grad_()
    u = z / z.norm(dim=1, keepdim=True)
    g = u @ u.T
    value = {
        "exp": (beta * (g - 1)).exp() / beta,
        "frame": g**2 / 2,
        "cosh": torch.cosh(beta * g) / (beta * np.cosh(beta)),
    }
    total = value[energy].sum()
    total.backward()
    assert packing.pair_energy(w @ w.T, energy, beta)[0].sum() == pytest.approx(total.item())
    np.testing.assert_allclose(2 * packing.force(w, energy, beta), -z.grad.numpy(), atol=1e-12)


def test_minima_reach_frames() -> None:
    frame = packing_columns(packing.minimum(28, 7, "cosh", 4.0, np.random.default_rng(0), starts=6))
    assert frame["mean_sq"] == pytest.approx(frame["welch_bound"], rel=1e-9)
    assert frame["variance_sq"] < 1e-12  # 28 equiangular lines in 7 dimensions
    simplex = packing_columns(packing.minimum(4, 3, "exp", 2.0, np.random.default_rng(0)))
    assert simplex["mean_cosine"] == pytest.approx(-1 / 3, abs=1e-8)


def test_the_flow_reaches_both_bounds() -> None:
    start = packing.random_rows(24, 3, np.random.default_rng(0))
    path = [packing_columns(w) for w in packing.flow(start, "exp", 4.0, np.array([0.0, 20.0]))]
    assert path[1]["mean_sq"] / path[1]["welch_bound"] < 1.001 < path[0]["mean_sq"] / path[0]["welch_bound"]
    assert path[1]["variance_sq"] >= path[1]["variance_floor_at_mean"]
    assert path[1]["variance_sq"] < path[0]["variance_sq"]


def test_columns_are_those_of_geometry() -> None:
    w = packing.random_rows(40, 5, np.random.default_rng(1))
    found, expected = packing_columns(w), geometry.squared_overlaps(w)
    assert found["mean_sq"] == pytest.approx(expected.mean_sq)
    assert found["variance_sq"] == pytest.approx(expected.std_sq**2)
    assert (found["mean_cosine"], found["max_abs"]) == pytest.approx((expected.mean_cosine, expected.max_abs))
    assert largest_cluster(np.array([[1.0, 0], [1, 0], [0, 1]])) == (2 / 3, 2)


def test_random_rows_have_the_isotropic_energy() -> None:
    for row in packing_study.null_rows(0):
        assert abs(row["scaled_energy"] - row["scaled_energy_isotropic"]) < 5 * row["scaled_energy_stderr"]


def toy_model(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    W = 1.2 * packing.random_rows(12, 4, rng)
    return W, -0.3 * rng.random(12), 1 / np.arange(2, 14)


def test_loss_is_that_of_samples() -> None:
    W, b, p = toy_model()
    found = pair_energy.pair_energy(W, b, p)
    mean, error = pair_energy.sampled_loss(W, b, found.weights, 4000, np.random.default_rng(1))
    assert abs(mean - found.loss) < 4 * error
    assert found.loss == pytest.approx(found.own + found.pairs)
    assert found.weights == pytest.approx(p / (1 - p) / np.sum(p / (1 - p)))


def write_model(path: object, **changes: object) -> None:
    W, b, p = toy_model()
    record = {"model": "toy", "gamma": -1.0, "alpha": 1.0, "activation_density": 1.0, "seed": 0}
    tensors = {"W": W, "b": b, "p": p}
    arrays.write(path, {**tensors, **changes}, {"record": json.dumps(record)})  # type: ignore[arg-type]


def test_model_files_are_read(tmp_path: object) -> None:
    path = tmp_path / "model.safetensors"  # type: ignore[operator]
    write_model(path)
    record, tensors = trained_rows.read_trained(path)
    row = trained_rows.energy_row(record, tensors, 20)
    assert row["n_strong"] == 12
    assert row["loss"] == pytest.approx(pair_energy.pair_energy(*toy_model()).loss)
    (strong,) = trained_rows.packing_rows("toy", "toy", tensors["W"], {})
    assert (strong["rows"], strong["nu"], strong["m"]) == ("strong", 12, 4)
    assert {row["rows"] for row in trained_rows.packing_rows("head", "family", tensors["W"], {})} == {"raw", "centred"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: packing.minimum(1, 3, "exp", 1.0, np.random.default_rng(0)), "nu = 1 rows"),
        (lambda: packing.minimum(3, 3, "exp", 0.0, np.random.default_rng(0)), "beta = 0.0"),
        (lambda: packing.pair_energy(np.eye(2), "log"), "is not one of"),  # type: ignore[arg-type]
        (lambda: packing_study.parse_set("3by4"), "ROWSxDIMENSIONS"),
        (lambda: pair_energy.pair_energy(np.ones((2, 1)), np.zeros(2), np.ones(2)), "two features with p_i = 1"),
    ],
)
def test_bad_input_is_named(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]


def test_damaged_and_foreign_files_are_named(tmp_path: object) -> None:
    path = tmp_path / "model.safetensors"  # type: ignore[operator]
    arrays.write(path, {"V": np.ones((2, 2))}, {})
    with pytest.raises(InputError, match="no record or no W"):
        trained_rows.read_trained(path)
    with pytest.raises(InputError, match="no tensor ends in"):
        trained_rows.read_head(path)
    with pytest.raises(InputError, match="not a readable checkpoint"):
        trained_rows.read_head(tmp_path / "none.safetensors")  # type: ignore[operator]
