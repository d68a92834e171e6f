"""L = E + sum_k A_k x_k^-a_k: known answers on the Chinchilla points, independent fitters, errors, statuses."""

import os
from pathlib import Path

import lmfit
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from scaling.command import InputError
from scaling.fits import chinchilla, errors, joint, points, power_sum, published
from scaling.fits.power_sum import Problem


ROOT = Path(__file__).parents[1]
SHAPES = ROOT / "resources" / "published" / "chinchilla_model_shapes.csv"


def points_file() -> Path:
    """The 245 points; a test that needs them is skipped where they are not."""
    path = Path(os.environ.get("SCALING_CHINCHILLA_POINTS", ROOT.parent / "shared" / "data" / "chinchilla_points.csv"))
    if not path.is_file():
        pytest.skip("the Chinchilla points are not carried; name their file in SCALING_CHINCHILLA_POINTS")
    return path


@pytest.fixture(scope="module")
def all_points() -> pd.DataFrame:
    data = points.obtain(str(points_file()))
    assert data is not None
    return points.parse(data, "points")


@pytest.fixture(scope="module")
def kept(all_points: pd.DataFrame) -> pd.DataFrame:
    """The 240 points that Besiroglu et al. fit."""
    some = all_points[chinchilla.kept(all_points["loss"].to_numpy(), 5)]
    assert len(some) == 240
    return some


def fit(frame: pd.DataFrame, estimator: power_sum.Estimator = "huber") -> power_sum.PowerSum:
    return power_sum.fit([frame["parameters"], frame["tokens"]], frame["loss"], estimator)


def synthetic(seed: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """60 points of 1.8 + 480/N^0.35 + 2000/D^0.37 with noise in log L."""
    random = np.random.default_rng(seed)
    N, D = np.exp(random.uniform(17, 24, 60)), np.exp(random.uniform(20, 27, 60))
    return N, D, (1.8 + 480 * N**-0.35 + 2000 * D**-0.37) * np.exp(noise * random.standard_normal(60))


def test_huber_optimum(kept: pd.DataFrame) -> None:
    law = fit(kept)
    A, B, E, alpha, beta = law.parameters
    assert law.objective <= 0.00101827404
    assert (alpha, beta, E) == pytest.approx((0.34731, 0.36717, 1.81722), abs=1e-4)
    assert pytest.approx(477.8, rel=0.003) == A
    assert pytest.approx(2143.4, rel=0.005) == B
    assert (law.status, law.n_starts) == ("converged", law.n_starts_agreeing)


def test_least_absolute_optimum_is_what_was_published(kept: pd.DataFrame) -> None:
    law = fit(kept, "least_absolute")
    _, _, E, alpha, beta = law.parameters
    assert law.objective == pytest.approx(1.1294946, abs=1e-6)
    assert (alpha, beta, E) == pytest.approx((0.34781, 0.36585, 1.81686), abs=2e-5)
    assert law.amplitudes == pytest.approx([482.006, 2085.436], rel=5e-4)


def test_all_points_move_beta(all_points: pd.DataFrame) -> None:
    assert fit(all_points).exponents == pytest.approx([0.3493, 0.4530], abs=5e-4)


def test_least_squares_agrees_with_curve_fit_and_lmfit(kept: pd.DataFrame) -> None:
    law = fit(kept, "least_squares")
    N, D, L = (kept[name].to_numpy() for name in ("parameters", "tokens", "loss"))

    def model(x: np.ndarray, log_A: float, log_B: float, E: float, alpha: float, beta: float) -> np.ndarray:
        return np.log(E + np.exp(log_A - alpha * np.log(x[0])) + np.exp(log_B - beta * np.log(x[1])))

    start = [6.0, 7.5, 1.8, 0.35, 0.37]
    best, covariance = optimize.curve_fit(model, np.vstack([N, D]), np.log(L), p0=start)
    assert law.exponents == pytest.approx(best[3:], abs=1e-5)
    ours = np.sqrt(np.diag(errors.covariance(law)))
    assert ours[2:] == pytest.approx(np.sqrt(np.diag(covariance))[2:], rel=1e-3)
    assert ours[:2] / law.amplitudes == pytest.approx(np.sqrt(np.diag(covariance))[:2], rel=1e-3)

    parameters = lmfit.Parameters()
    for name, value in zip(("log_A", "log_B", "E", "alpha", "beta"), start, strict=True):
        parameters.add(name, value=value)
    result = lmfit.minimize(
        lambda p: model(np.vstack([N, D]), *(p[name].value for name in p)) - np.log(L), parameters, method="leastsq"
    )
    assert law.exponents == pytest.approx([result.params["alpha"].value, result.params["beta"].value], abs=1e-5)


def test_pairs_bootstrap(kept: pd.DataFrame) -> None:
    rows = errors.bootstrap(fit(kept), 600, np.random.default_rng(1))
    assert rows.std(axis=0, ddof=1)[3:] == pytest.approx([0.0154, 0.0206], rel=0.1)


@pytest.mark.slow
def test_published_bootstrap_draw_by_draw(kept: pd.DataFrame) -> None:
    """Besiroglu et al.: numpy's legacy generator, seed 42, 4000 resamples."""
    rows = errors.bootstrap(fit(kept), 4000, np.random.RandomState(42))
    spread = rows.std(axis=0, ddof=1)
    assert spread[3:] == pytest.approx([0.01540, 0.02059], abs=1e-4)
    assert spread[:3] == pytest.approx([124.5, 1293.3, 0.02566], rel=0.005)


def test_cluster_bootstrap_by_model_size(kept: pd.DataFrame) -> None:
    sizes = chinchilla.model_sizes(kept["parameters"].to_numpy())
    assert sizes.max() + 1 == 42
    rows = errors.bootstrap(fit(kept), 300, np.random.default_rng(1), sizes)
    assert rows.std(axis=0, ddof=1)[3:] == pytest.approx([0.0184, 0.0180], rel=0.15)


def test_a_resample_is_the_fit_of_its_points(kept: pd.DataFrame) -> None:
    drawn = np.random.default_rng(5).choice(240, 240)
    row = errors.bootstrap(fit(kept), 1, np.random.default_rng(5))[0]
    again = fit(kept.iloc[drawn])
    assert row == pytest.approx(again.parameters, rel=1e-3)


def test_width_exponent_of_table_a9() -> None:
    table = chinchilla.width_table(published.read(SHAPES, chinchilla.SHAPES)).set_index("subset")
    row = table.loc["all", ["exponent", "exponent_stderr", "rsquared"]].astype(float)
    assert row.tolist() == pytest.approx([2.52264, 0.02583, 0.99499], abs=1e-4)
    assert table.loc["N <= 1e10", "exponent"] == pytest.approx(2.500, abs=0.001)


@pytest.mark.parametrize(("estimator", "alpha_m"), [("huber", 0.876), ("least_absolute", 0.877)])
def test_alpha_m(kept: pd.DataFrame, estimator: power_sum.Estimator, alpha_m: float) -> None:
    k = chinchilla.width_table(published.read(SHAPES, chinchilla.SHAPES)).iloc[0]
    row = chinchilla.with_alpha_m({"alpha": fit(kept, estimator).exponents[0], "alpha_stderr": 0.0154}, k)
    assert row["alpha_m"] == pytest.approx(alpha_m, abs=0.001)
    assert row["alpha_m_stderr"] == pytest.approx(0.040, abs=0.001)


def test_joint_law_and_its_join(all_points: pd.DataFrame) -> None:
    joined = joint.join_shapes(all_points, published.read(SHAPES, chinchilla.SHAPES))
    assert not joined.isna().to_numpy().any()
    reference = points_file().parent / "chinchilla_points_with_shapes.csv"
    if reference.is_file():
        others = pd.read_csv(reference)
        assert (joined["width"] == others["d_model"]).all()
        assert (joined["depth"] == others["n_layers"]).all()
    shapes = published.read(SHAPES, chinchilla.SHAPES)
    table = joint.joint_table(all_points, shapes, [5], 20, seed=0).set_index("estimator")
    assert table.loc["least_squares", "n_points"] == 240
    low, high = table.loc["least_squares", ["width_exponent_low", "width_exponent_high"]]
    assert low < table.loc["least_squares", "width_exponent"] < high
    far = all_points.assign(parameters=1.5e12)
    assert joint.join_shapes(far, shapes)["width"].isna().all()


@pytest.mark.parametrize("estimator", ["huber", "least_squares", "least_absolute"])
def test_known_parameters_are_recovered(estimator: power_sum.Estimator) -> None:
    N, D, L = synthetic(0, 0.0)
    law = power_sum.fit([N, D], L, estimator)
    assert law.exponents == pytest.approx([0.35, 0.37], abs=1e-4)
    assert law.constant == pytest.approx(1.8, abs=1e-4)
    assert law.predict([N, D]) == pytest.approx(L, rel=1e-6)
    assert law.status == "converged"


def test_three_terms_are_recovered() -> None:
    random = np.random.default_rng(0)
    x = np.exp(random.uniform(0, 5, (3, 150)))
    L = 1.5 + 2 * x[0] ** -0.9 + 3 * x[1] ** -0.6 + 1 * x[2] ** -0.35
    law = power_sum.fit(list(x), L, "least_squares")
    assert law.exponents == pytest.approx([0.9, 0.6, 0.35], abs=1e-4)


def test_derivatives_are_those_of_the_objective() -> None:
    N, D, L = synthetic(1, 0.01)
    z = np.log([N, D]) - np.log([N, D]).mean(axis=1)[:, None]
    theta = np.array([-0.9, -1.0, 0.5, 0.3, 0.45])
    for delta in (0.03, np.inf):
        problem = Problem(z, np.zeros(2), np.log(L), np.linspace(0.5, 2, 60), delta)
        gradient = optimize.approx_fprime(theta, problem.objective, 1e-7)
        assert problem.gradient(theta) == pytest.approx(gradient, rel=1e-4, abs=1e-6)
        hessian = np.array(
            [
                (problem.gradient(theta + 1e-6 * e) - problem.gradient(theta - 1e-6 * e)) / 2e-6
                for e in np.eye(theta.size)
            ]
        )
        assert problem.hessian(theta) == pytest.approx(hessian, rel=1e-3, abs=1e-3)


def test_profile_interval_is_close_to_the_covariance_and_matches_the_profile() -> None:
    N, D, L = synthetic(2, 0.005)
    law = power_sum.fit([N, D], L, "least_squares")
    stderr = np.sqrt(np.diag(errors.covariance(law)))[3]
    low, high = errors.profile_interval(law, 0)
    assert (high - low) / (2 * 2.004 * stderr) == pytest.approx(1, abs=0.1)
    at_ends = (errors.profile(law, 0, [low, high]) / law.objective - 1) * 55
    assert at_ends == pytest.approx([4.016, 4.016], abs=0.01)  # F_{0.95; 1, 55}


@pytest.mark.slow
def test_intervals_cover_on_the_published_design(kept: pd.DataFrame) -> None:
    """200 synthetic sets on the 240 (N, D): Huber with the pairs bootstrap (40 refits), squares with the covariance."""
    truth = fit(kept)
    x = [kept["parameters"], kept["tokens"]]
    random, by_bootstrap, by_covariance = np.random.default_rng(3), np.zeros(2), np.zeros(2)
    for _ in range(200):
        L = truth.predict(x) * np.exp(0.006 * random.standard_normal(240))
        law = power_sum.fit(x, L, n_starts=1)
        spread = errors.bootstrap(law, 40, random).std(axis=0, ddof=1)[3:]
        by_bootstrap += np.abs(law.exponents - truth.exponents) < 1.97 * spread
        squares = power_sum.fit(x, L, "least_squares", n_starts=1)
        by_covariance += np.abs(squares.exponents - truth.exponents) < 1.97 * np.sqrt(
            np.diag(errors.covariance(squares))[3:]
        )
    for share in (*by_bootstrap / 200, *by_covariance / 200):
        assert 0.91 <= share <= 0.985


@pytest.mark.parametrize(
    ("n", "change", "status"),
    [
        (2, None, "too few points"),
        (5, None, "too few points"),
        (0, None, "too few points"),
        (60, "equal", "not identified"),
        (60, "collinear", "not identified"),
        (60, "no constant", "bound hit"),
    ],
)
def test_points_that_do_not_determine_the_law_are_a_status(n: int, change: str | None, status: str) -> None:
    N, D, L = (column[:n] for column in synthetic(0, 0.0))
    if change == "equal":
        N = np.full(n, 1e9)
        L = 1.8 + 2000 * D**-0.37
    if change == "collinear":
        D = 20 * N
        L = 1.8 + 480 * N**-0.35 + 2000 * D**-0.35
    if change == "no constant":
        L = 480 * N**-0.35 + 2000 * D**-0.37 - 0.01
    law = power_sum.fit([N, D], L, "least_squares")
    assert law.status == status
    assert law.note


@pytest.mark.parametrize("bad", [np.nan, -1.0, 0.0, np.inf])
def test_impossible_entries_are_named(bad: float) -> None:
    N, D, L = synthetic(0, 0.0)
    L[3] = bad
    with pytest.raises(InputError, match="loss must contain finite numbers above zero, but entry 3"):
        power_sum.fit([N, D], L)
    with pytest.raises(InputError, match="x1"):
        power_sum.fit([L, D], N)


def test_least_absolute_is_not_resampled() -> None:
    N, D, L = synthetic(0, 0.01)
    with pytest.raises(ValueError, match="not resampled"):
        errors.bootstrap(power_sum.fit([N, D], L, "least_absolute"), 2, np.random.default_rng(0))


@given(
    alpha=st.floats(0.1, 1.2),
    beta=st.floats(0.1, 1.2),
    constant=st.floats(0.5, 5),
    shares=st.tuples(st.floats(0.2, 3), st.floats(0.2, 3)),
)
@settings(max_examples=15)
def test_any_law_is_recovered(alpha: float, beta: float, constant: float, shares: tuple[float, float]) -> None:
    random = np.random.default_rng(0)
    x = np.exp(random.uniform(-3, 3, (2, 80)))
    L = constant + shares[0] * x[0] ** -alpha + shares[1] * x[1] ** -beta
    law = power_sum.fit(list(x), L, "least_squares")
    assert law.exponents == pytest.approx([alpha, beta], abs=1e-3)
    assert law.constant == pytest.approx(constant, rel=1e-2)
