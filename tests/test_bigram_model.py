"""The bigram model: loss and gradient against autograd, training to the floor, measurements against brute force."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import entropy

from scaling import geometry, tables
from scaling.bigram import matrices, measurement, model, rivals, training
from scaling.bigram.matrices import Matrix
from scaling.bigram.model import Target, Weights
from scaling.bigram.study import Cell, MatrixSettings, cells, jobs, training_arguments
from scaling.command import InputError


def random_matrix(n: int, seed: int = 0) -> Matrix:
    return matrices.build(MatrixSettings(law="random", n=n, blocks=1, successors=1, seed=seed))


def sparse_matrix(n: int) -> Matrix:
    return matrices.build(MatrixSettings(law="sparse", n=n, blocks=1, successors=3))


def random_weights(n: int, m: int, seed: int = 0) -> Weights:
    rng = np.random.default_rng(seed)
    return Weights(rng.standard_normal((n, m)), rng.standard_normal((n, m)), rng.standard_normal(n))


def cell(**given: float | bool) -> Cell:
    return Cell(**{"matrix": "x", "m": 4, "gamma": 0.0, "iterations": 300, **given})


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("gamma", [-1.0, 0.0, 0.5])
@pytest.mark.parametrize("make", [random_matrix, sparse_matrix])
def test_value_and_gradient_are_those_of_autograd(tied: bool, gamma: float, make, monkeypatch) -> None:
    monkeypatch.setattr(model, "BLOCK", 7)  # several blocks, the last one smaller
    matrix, weights = make(17), random_weights(17, 3)
    if tied:
        weights = Weights(weights.W, weights.W, weights.b)
    value, gradient = model.objective(Target.of(matrix, np.float64), weights, gamma, tied)
    W, b = (torch.tensor(part, requires_grad=True) for part in (weights.W, weights.b))
    A = W if tied else torch.tensor(weights.A, requires_grad=True)
    joint = torch.tensor(matrix.r[:, None] * matrix.P)
    loss = -(joint * torch.log_softmax(A @ W.T + b, dim=1)).sum()
    for rows in [W] if tied or gamma <= 0 else [W, A]:
        norm = rows.norm(dim=1)
        loss = loss + (gamma * norm**2 if gamma >= 0 else -gamma * (norm - 1) ** 2).sum() / (2 * 17)
    loss.backward()
    assert value == pytest.approx(loss.item() - matrix.floor, abs=1e-12)
    np.testing.assert_allclose(gradient.W, W.grad, atol=1e-13)
    np.testing.assert_allclose(gradient.A, A.grad, atol=1e-13)
    np.testing.assert_allclose(gradient.b, b.grad, atol=1e-13)


def test_single_precision_differs_only_by_rounding() -> None:
    matrix, weights = random_matrix(40), random_weights(40, 5)
    double, single = (model.excess_and_gradient(Target.of(matrix, kind), weights) for kind in (np.float64, np.float32))
    assert single[0] == pytest.approx(double[0], rel=1e-5)
    np.testing.assert_allclose(single[1].W, double[1].W, atol=1e-6)


def test_decay_leaves_a_zero_row_unchanged() -> None:
    value, gradient = model.penalty_and_gradient(np.zeros((2, 3)), -1.0)
    assert value == 0.5
    np.testing.assert_array_equal(gradient, 0)


def test_vectors_and_weights_are_inverse() -> None:
    weights = random_weights(5, 2)
    for tied in (False, True):
        again = training.unflat(training.flat(weights, tied), 5, 2, tied)
        np.testing.assert_array_equal(again.W, weights.W)
        np.testing.assert_array_equal(again.b, weights.b)
        np.testing.assert_array_equal(again.A, weights.W if tied else weights.A)


@pytest.mark.parametrize("make", [random_matrix, sparse_matrix])
def test_with_as_many_dimensions_as_tokens_the_floor_is_reached(make) -> None:
    trained = training.train(make(24), cell(m=24, iterations=1500))
    assert trained.history[-1] < 1e-4


def test_independent_tokens_need_no_dimension() -> None:
    matrix = matrices.independent(matrices.power_law(30, 1.0))
    assert training.train(matrix, cell(m=1)).history[-1] < 1e-5


def test_training_finds_the_minimum_in_float64() -> None:
    matrix = random_matrix(12)
    trained = training.train(matrix, cell(m=3, gamma=0.3, iterations=3000), np.float64)
    assert trained.gradient_norm < 1e-6
    assert trained.change_last_tenth < 1e-9
    assert np.all(np.diff(trained.history) <= 1e-12)


def test_training_recovers_a_model_of_its_own_rank() -> None:
    weights = random_weights(20, 2)
    logits = weights.A @ weights.W.T + weights.b
    P = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    matrix = Matrix(matrices.power_law(20, 0.5), P)
    assert training.train(matrix, cell(m=2, iterations=2000)).history[-1] < 1e-5
    assert training.train(matrix, cell(m=1, iterations=2000)).history[-1] > 1e-2


def test_decay_moves_the_norms() -> None:
    matrix = random_matrix(30)
    norms = {
        gamma: geometry.row_norms(training.train(matrix, cell(gamma=gamma)).weights.W) for gamma in (-10.0, 0.0, 3.0)
    }
    np.testing.assert_allclose(norms[-10.0], 1, atol=0.1)
    assert geometry.phi(norms[3.0], 0.5) < 0.5 < geometry.phi(norms[0.0], 0.5)


def test_a_tied_model_has_one_matrix() -> None:
    trained = training.train(random_matrix(15), cell(tied=True))
    assert trained.weights.A is trained.weights.W
    assert trained.history[-1] < trained.history[0]


def test_excess_by_token_is_the_divergence() -> None:
    matrix, weights = random_matrix(20), random_weights(20, 3)
    by_context, by_next = measurement.excess_by_token(matrix, weights)
    logits = weights.A @ weights.W.T + weights.b
    Q = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(by_context, [r * entropy(p, q) for r, p, q in zip(matrix.r, matrix.P, Q, strict=True)])
    assert by_next.sum() == pytest.approx(by_context.sum())
    assert by_context.sum() == pytest.approx(model.excess_and_gradient(Target.of(matrix, np.float64), weights)[0])


def test_balanced_weights_give_the_same_softmax_whatever_the_gauge() -> None:
    weights, M = random_weights(20, 4), np.random.default_rng(1).standard_normal((4, 4))
    A, W = measurement.balanced(weights)
    np.testing.assert_allclose(A.T @ A, W.T @ W, atol=1e-10)
    other = Weights(weights.A @ M, weights.W @ np.linalg.inv(M).T + 5, weights.b)
    assert measurement.mean_sq_overlap(measurement.balanced(other)[1]) == pytest.approx(measurement.mean_sq_overlap(W))
    centred = weights.A @ weights.W.T
    centred = centred - centred.mean(axis=0) - centred.mean(axis=1, keepdims=True) + centred.mean()
    np.testing.assert_allclose(A @ W.T, centred, atol=1e-10)


def test_bins_contain_every_rank_once() -> None:
    for n in (1, 2, 7, 8, 20):
        covered = [rank for first, last in measurement.rank_bins(n) for rank in range(first, last + 1)]
        assert covered == list(range(1, n + 1))


def test_predictions_without_dimensions_are_the_information_and_end_at_zero() -> None:
    matrix = random_matrix(25)
    assert rivals.frequency(matrix)[0] == pytest.approx(matrix.information)
    c = matrix.next_frequency
    chi_square = (matrix.r[:, None] * (matrix.P - c) ** 2 / c).sum() / 2
    assert rivals.chi_square(matrix)[0] == pytest.approx(chi_square)
    decomposition = rivals.log_linear(matrix)
    assert decomposition is not None
    for tail in (rivals.frequency(matrix), rivals.chi_square(matrix), rivals.log_spectrum(decomposition)):
        assert len(tail) == 26
        assert np.all(np.diff(tail) <= 0)
        assert tail[-1] == 0
    assert rivals.log_linear(sparse_matrix(10)) is None


def test_a_weak_dependence_is_predicted_by_both_spectra() -> None:
    rng, r = np.random.default_rng(0), matrices.power_law(20, 0.5)
    weight = r * np.exp(0.02 * rng.standard_normal((20, 20)))
    matrix = Matrix(r, weight / weight.sum(axis=1, keepdims=True))
    measured = training.train(matrix, cell(m=4, iterations=2000), np.float64).history[-1]
    decomposition = rivals.log_linear(matrix)
    assert decomposition is not None
    assert rivals.chi_square(matrix)[4] == pytest.approx(measured, rel=0.05)
    assert rivals.log_spectrum(decomposition)[4] == pytest.approx(measured, rel=0.05)


def test_bounds_hold() -> None:
    matrix = random_matrix(30)
    decomposition = rivals.log_linear(matrix)
    assert decomposition is not None
    truncated = rivals.truncated_excess(matrix, decomposition, [2, 8, 30])
    assert truncated[-1] < 1e-12
    for m, bound in ((2, truncated[0]), (8, truncated[1])):
        measured = training.train(matrix, cell(m=m, iterations=500)).history[-1]
        assert measured <= min(bound, rivals.frequency(matrix)[m])


def test_contexts_with_few_successors_fit_into_two_dimensions_each() -> None:
    matrix = sparse_matrix(40)  # three successors each
    bound = rivals.successors(matrix)
    assert bound[:6] == pytest.approx([matrix.information] * 6)
    assert bound[6:] == pytest.approx(np.zeros(35))
    assert training.train(matrix, cell(m=6, iterations=3000)).history[-1] < 0.01 * matrix.information
    dense = rivals.successors(random_matrix(10))
    assert dense[:10] == pytest.approx([random_matrix(10).information] * 10)
    assert dense[10] == 0


SECTION = {
    "text": "python",
    "matrices": {"even": {"law": "random", "n": 30, "blocks": 1, "alpha": 0}, "few": {"law": "sparse", "n": 20}},
    "models": [
        {"matrix": ["even", "few"], "m": [2, 3, 4], "gamma": 0, "iterations": 20, "seeds": 2},
        {"matrix": "even", "m": 4, "gamma": [-1, 1], "tied": [False, True], "iterations": 20},
    ],
}
SECTION["matrices"]["few"] |= {"blocks": 2}


def test_cells_and_jobs_of_a_config() -> None:
    found = cells(SECTION)
    assert len(found) == 2 * 3 * 2 + 4
    assert "even/gamma-1_tied/m4_seed0" in found
    planned = jobs(SECTION)
    assert sorted(one.name for job in planned.values() for one in job) == sorted(found)
    assert len(planned) == 4 + 4
    large = {**SECTION, "matrices": {"even": {"law": "random", "n": 10_000}, "few": {"law": "random", "n": 10_000}}}
    assert all(len(job) == 1 for name, job in jobs(large).items() if "m4" in name)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([{"matrix": "none", "m": 2, "gamma": 0}], "matrix 'none' is not one of even, few"),
        ([{"matrix": "even", "m": 2, "gamma": [0.1, 0.10000001]}], "share a name"),
    ],
)
def test_wrong_models_are_named(models: list[dict], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cells({**SECTION, "models": models})


def test_commands_train_and_measure_what_the_config_lists(tmp_path: Path, monkeypatch) -> None:
    for job in jobs(SECTION).values():
        arguments = [*training_arguments(job, SECTION), "--folder", str(tmp_path / "models")]
        monkeypatch.setattr(sys, "argv", ["training", *arguments])
        training.main()
    paths = tmp_path / "bigram_models.csv", tmp_path / "bigram_ranks.csv"
    measurement.write(SECTION, tmp_path, tmp_path / "models", *paths)
    models, ranks = (tables.read(path.stem, path) for path in paths)
    assert list(models["model"]) == [one.name for matrix in ("even", "few") for one in by_matrix(matrix)]
    assert set(ranks["model"]) == set(models["model"])
    totals = ranks.groupby("model")[["excess_context", "excess_next", "frequency"]].sum()
    excess = models.set_index("model")["excess"].loc[totals.index].astype(float)
    np.testing.assert_allclose(totals["excess_context"], excess, rtol=1e-9)
    np.testing.assert_allclose(totals["excess_next"], excess, rtol=1e-9)
    np.testing.assert_allclose(totals["frequency"], 1)
    assert models.loc[models["matrix"] == "few", "predicted_log_spectrum"].isna().all()
    record, weights = measurement.read_model(tmp_path / "models" / "even/gamma1_tied/m4_seed0.safetensors")
    assert weights.A is weights.W
    assert record["tied"] is True
    with pytest.raises(InputError, match="no such model"):
        measurement.read_model(tmp_path / "none.safetensors")


def by_matrix(name: str) -> list[Cell]:
    return [one for one in cells(SECTION).values() if one.matrix == name]


def test_one_model_has_the_same_bits_in_any_job() -> None:
    matrix = random_matrix(20)
    first, second = (training.train(matrix, cell(m=3)).weights for _ in range(2))
    np.testing.assert_array_equal(first.W, second.W)
    assert json.dumps(cell().name)
    assert isinstance(pd.DataFrame([vars(cell())]), pd.DataFrame)
