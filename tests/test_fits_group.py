"""L = C m^-a + L0[group]: the paper's language-model fit, its errors, and the authors' own formula."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from scaling.command import InputError
from scaling.fits import group, llm
from scaling.fits.group import group_fit


PUBLISHED = Path(__file__).parents[1] / "resources" / "published" / "fig8b_llm_loss.csv"
EXPONENT, AMPLITUDE, MEAN_SQUARE = 0.9098, 476.0763, 0.0051976  # printed in the authors' notebook


@pytest.fixture(scope="module")
def points() -> pd.DataFrame:
    """The 108 published losses on the paper's design of 27 models and 4 texts."""
    return llm.published_losses(str(PUBLISHED)).assign(group=lambda frame: llm.group_names(frame))


def truth(points: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Noiseless losses at the published optimum, and their intercepts by point."""
    number = np.unique(points["group"], return_inverse=True)[1]
    intercepts = np.linspace(1.5, 2.4, number.max() + 1)[number]
    return AMPLITUDE * points["m"].to_numpy() ** -EXPONENT + intercepts, intercepts


def test_a_noiseless_design_is_recovered(points: pd.DataFrame) -> None:
    loss, intercepts = truth(points)
    fit = group_fit(points["m"], loss, points["group"])
    assert fit.exponent == pytest.approx(EXPONENT, abs=1e-7)
    assert fit.amplitude == pytest.approx(AMPLITUDE, rel=1e-6)
    assert fit.intercepts[fit.design.group] == pytest.approx(intercepts, abs=1e-7)


def test_agrees_with_curve_fit(points: pd.DataFrame) -> None:
    loss = truth(points)[0] + 0.07 * np.random.default_rng(0).standard_normal(108)
    fit = group_fit(points["m"], loss, points["group"])

    def model(x: np.ndarray, amplitude: float, exponent: float, *intercepts: float) -> np.ndarray:
        return amplitude * x[0] ** -exponent + np.array(intercepts)[x[1].astype(int)]

    columns = np.vstack([points["m"], fit.design.group])
    best, covariance = optimize.curve_fit(model, columns, loss, p0=[500, 1, *[1.0] * 16])
    errors = np.sqrt(np.diag(covariance))
    assert fit.exponent == pytest.approx(best[1], abs=1e-6)
    assert fit.exponent_stderr == pytest.approx(errors[1], abs=1e-6)
    assert fit.amplitude_stderr == pytest.approx(errors[0], rel=1e-4)
    assert fit.correlation == pytest.approx(covariance[0, 1] / errors[0] / errors[1], abs=1e-5)


def test_standard_error_of_the_published_fit_is_006(points: pd.DataFrame) -> None:
    """From the design and the published mean square alone: 18 parameters free."""
    loss = truth(points)[0]
    noise = np.random.default_rng(1).standard_normal(108)
    fit = group_fit(points["m"], loss + 1e-3 * noise, points["group"])
    scale = np.sqrt(MEAN_SQUARE * 108 / fit.rss)
    assert fit.exponent_stderr * scale == pytest.approx(0.0594, abs=5e-4)


def test_published_points_give_the_published_exponent_and_the_authors_error(points: pd.DataFrame) -> None:
    fit = group_fit(points["m"], points["loss"], points["group"])
    assert fit.exponent == pytest.approx(0.9105, abs=5e-4)
    assert fit.exponent == pytest.approx(EXPONENT, abs=0.02)
    assert fit.rss / 108 == pytest.approx(MEAN_SQUARE, rel=0.01)
    assert group.authors_stderr(fit) == pytest.approx(0.0360, abs=5e-4)
    assert group.cluster_stderr(fit, points["model"]) == pytest.approx(0.088, abs=0.002)
    wild = group.wild_cluster(fit, points["model"], 400, np.random.default_rng(0))
    assert wild.std(ddof=1) == pytest.approx(0.080, abs=0.008)
    assert np.sum(points["loss"] <= fit.intercepts[fit.design.group]) == 1  # Qwen-72B on wikitext


def test_cluster_error_with_one_cluster_per_point_is_white(points: pd.DataFrame) -> None:
    """With every point its own cluster the sandwich is HC1, written out here from the full design of 18 columns."""
    fit = group_fit(points["m"], points["loss"], points["group"])
    m = points["m"].to_numpy()
    X = np.zeros((108, 18))
    X[np.arange(108), fit.design.group] = 1
    X[:, 16], X[:, 17] = m**-fit.exponent, -fit.amplitude * m**-fit.exponent * np.log(m)
    bread = np.linalg.inv(X.T @ X)
    meat = (X * fit.residual[:, None] ** 2).T @ X
    expected = np.sqrt((bread @ meat @ bread)[17, 17] * 108 / 107 * 107 / 90)
    assert group.cluster_stderr(fit, np.arange(108)) == pytest.approx(expected, rel=1e-5)


def test_table_has_leave_one_family_out_and_other_forms(points: pd.DataFrame) -> None:
    fits, intercepts = llm.loss_fits(points[llm.POINTS], n_resamples=20, seed=0)
    power = fits[fits["form"] == "power"].set_index("subset")
    assert power.loc["without pythia", "exponent"] == pytest.approx(0.68, abs=0.02)
    assert power.loc["opt alone", "exponent"] == pytest.approx(0.68, abs=0.02)
    assert power.loc["all", "n_groups"] == len(intercepts) == 16
    by_form = fits[fits["subset"] == "all"].set_index("form")["rss"]
    assert by_form["power"] < by_form["exponential"] < by_form["logarithmic"]


@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_errors_cover(points: pd.DataFrame, shared: float) -> None:
    """The iid profile covers when errors are independent; the cluster error grows when a model shares its residual."""
    loss, random = truth(points)[0], np.random.default_rng(3)
    model = np.unique(points["model"], return_inverse=True)[1]
    sigma, covered, ratio = np.sqrt(MEAN_SQUARE * 108 / 90), 0, []
    for _ in range(200):
        common = random.standard_normal(model.max() + 1)[model]
        noise = sigma * (np.sqrt(shared) * common + np.sqrt(1 - shared) * random.standard_normal(108))
        fit = group_fit(points["m"], loss + noise, points["group"])
        covered += bool(fit.exponent_low <= EXPONENT <= fit.exponent_high)
        ratio.append(group.cluster_stderr(fit, model) / fit.exponent_stderr)
    if shared:
        assert covered < 0.85 * 200
        assert np.mean(ratio) > 1.4
    else:
        assert 0.91 <= covered / 200 <= 0.985
        assert 0.7 < np.mean(ratio) < 1.2


def test_one_group_is_fitted_when_it_has_three_widths() -> None:
    m = np.array([10.0, 20, 40, 80])
    fit = group_fit(m, 3 / m + 1, ["a"] * 4)
    assert (fit.status, len(fit.groups)) == ("converged", 1)
    assert fit.exponent == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("m", "names", "status"),
    [
        ([10, 20], ["a", "a"], "too few points"),
        ([10, 10, 10, 10, 10], ["a"] * 5, "not identified"),
        ([10, 20, 10, 20, 10, 20], ["a"] * 6, "not identified"),
        ([10, 20, 30, 40], ["a", "b", "c", "d"], "too few points"),
        ([], [], "too few points"),
    ],
)
def test_points_that_do_not_determine_the_law_are_a_status(m: list[float], names: list[str], status: str) -> None:
    fit = group_fit(m, np.linspace(2, 1, len(m)), names)
    assert fit.status == status
    assert np.isnan(fit.exponent)
    assert fit.note


def test_rising_losses_are_not_a_power_law() -> None:
    m = np.array([10.0, 20, 40, 80, 160])
    assert group_fit(m, 1 + 0.01 * m, ["a"] * 5).status in ("not identified", "bound hit")


@pytest.mark.parametrize("bad", [np.nan, -1.0])
def test_impossible_losses_are_named(bad: float) -> None:
    with pytest.raises(InputError, match="loss must contain finite numbers above zero"):
        group_fit([10, 20, 30, 40], [3, 2, bad, 1], ["a"] * 4)


def test_one_group_per_point() -> None:
    with pytest.raises(InputError, match="one group per point"):
        group_fit([10, 20, 30, 40], [3, 2, 1.5, 1], ["a"])


@given(
    exponent=st.floats(0.2, 2),
    shares=st.lists(st.floats(0.01, 10), min_size=1, max_size=5),
    widths=st.lists(st.sampled_from([8, 16, 32, 64, 128, 256, 512, 1024]), min_size=5, max_size=8, unique=True),
)
@settings(max_examples=40)
def test_any_grouped_law_is_recovered(exponent: float, shares: list[float], widths: list[int]) -> None:
    m = np.tile(np.array(widths, dtype=float), len(shares))
    name = np.repeat([f"g{i}" for i in range(len(shares))], len(widths))
    loss = (m / 64) ** -exponent + np.repeat(shares, len(widths))
    fit = group_fit(m, loss, name)
    assert fit.exponent == pytest.approx(exponent, rel=1e-3)
