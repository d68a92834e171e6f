"""One curve L(m): the line in logs, seeds as clusters, start indices, the form and its decision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from scaling.command import InputError
from scaling.fits import curve, forms


POWERS_OF_TWO = 2.0 ** np.arange(3, 11)
SIX = np.array([10.0, 15, 25, 39, 63, 100])


def test_an_exact_power_law_is_recovered() -> None:
    line = curve.line(POWERS_OF_TWO, 3 * POWERS_OF_TWO**-1.1)
    assert line.exponent == pytest.approx(1.1, abs=1e-10)
    assert line.amplitude == pytest.approx(3, rel=1e-10)
    assert line.rsquared == pytest.approx(1, abs=1e-10)
    assert line.status == "converged"


def test_line_agrees_with_linregress_and_curve_fit(random: np.random.Generator) -> None:
    loss = 2 / SIX * np.exp(0.05 * random.standard_normal(6))
    line = curve.line(SIX, loss)
    reference = stats.linregress(np.log(SIX), np.log(loss))
    half = stats.t.ppf(0.975, 4) * reference.stderr
    assert line.exponent == pytest.approx(-reference.slope, abs=1e-12)
    assert (line.exponent_low, line.exponent_high) == pytest.approx((-reference.slope - half, -reference.slope + half))
    best, covariance = optimize.curve_fit(lambda x, c, a: c - a * x, np.log(SIX), np.log(loss))
    assert line.exponent == pytest.approx(best[1], abs=1e-7)
    assert line.exponent_stderr == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-6)


def test_seeds_are_clusters_and_lack_of_fit_is_the_analysis_of_variance(random: np.random.Generator) -> None:
    m = np.repeat(SIX, 3)
    loss = 2 / m * np.exp(0.05 * random.standard_normal(18))
    line = curve.line(m, loss)
    means = np.log(loss).reshape(6, 3).mean(axis=1)
    assert line.exponent == pytest.approx(curve.line(SIX, np.exp(means)).exponent)
    assert line.exponent == pytest.approx(-stats.linregress(np.log(m), np.log(loss)).slope)  # equal seeds: pooled slope
    pooled = stats.linregress(np.log(m), np.log(loss))
    sse = np.sum((np.log(loss) - pooled.intercept - pooled.slope * np.log(m)) ** 2)
    sspe = np.sum((np.log(loss).reshape(6, 3) - means[:, None]) ** 2)
    assert line.lack_of_fit == pytest.approx(((sse - sspe) / 4) / (sspe / 12))
    assert line.seed_std == pytest.approx(np.sqrt(sspe / 12))
    assert (line.n_points, line.n_seeds) == (6, 3)


def test_a_curved_relation_shows_lack_of_fit(random: np.random.Generator) -> None:
    m = np.repeat(SIX, 3)
    line = curve.line(m, (2 / m + 0.05) * np.exp(0.02 * random.standard_normal(18)))
    assert line.lack_of_fit_pvalue < 1e-4
    assert line.rsquared > 0.95  # which R^2 alone would not have told


def test_line_interval_covers(random: np.random.Generator) -> None:
    covered = 0
    for _ in range(200):
        line = curve.line(SIX, 3 / SIX * np.exp(0.05 * random.standard_normal(6)))
        covered += line.exponent_low <= 1 <= line.exponent_high
    assert 0.91 <= covered / 200 <= 0.985


def test_every_start_index(random: np.random.Generator) -> None:
    loss = 2 / SIX * np.exp(0.05 * random.standard_normal(6))
    lines = curve.lines_by_start(SIX, loss)
    assert [line.n_points for line in lines] == [6, 5, 4, 3]
    assert [line.m_min for line in lines] == [10, 15, 25, 39]
    assert lines[2].exponent == curve.line(SIX[2:], loss[2:]).exponent


@pytest.mark.parametrize("m", [[10, 100], [10, 10, 10, 10], [10], []])
def test_too_few_widths_are_a_status(m: list[float]) -> None:
    line = curve.line(m, np.linspace(1, 2, len(m)))
    assert line.status == "too few points"
    assert np.isnan(line.exponent)
    assert "at least 3 different widths" in line.note
    assert forms.decide(m, np.linspace(1, 2, len(m))).form == "undecided"


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_impossible_losses_are_named(bad: float) -> None:
    with pytest.raises(InputError, match="loss must contain finite numbers above zero, but entry 1 is"):
        curve.line([10, 20, 30], [1, bad, 0.3])
    with pytest.raises(InputError, match="loss"):
        forms.decide([10, 20, 30, 40], [1, bad, 0.3, 0.2])


def test_columns_of_different_length_are_an_input_error() -> None:
    with pytest.raises(InputError, match="columns of equal length"):
        curve.line([10, 20, 30], [1, 2])


@given(
    exponent=st.floats(0.1, 3),
    amplitude=st.floats(1e-3, 1e3),
    widths=st.lists(st.integers(1, 10_000), min_size=3, max_size=12, unique=True),
)
@settings(max_examples=50)
def test_any_power_law_is_recovered(exponent: float, amplitude: float, widths: list[int]) -> None:
    m = np.array(widths, dtype=float)
    line = curve.line(m, amplitude * m**-exponent)
    assert line.exponent == pytest.approx(exponent, abs=1e-7)
    assert line.amplitude == pytest.approx(amplitude, rel=1e-6)


TRUTHS = {
    "power": lambda m: 3 / m,
    "power_plus_constant": lambda m: 3 / m + 2 / m.max(),
    "exponential": lambda m: 1.3 * np.exp(-3 * m / m.max()),
    "logarithmic": lambda m: 1 - 0.13 * np.log(m),
    "linear": lambda m: 1 - 0.9 * m / m.max(),
}


@pytest.mark.parametrize("truth", TRUTHS)
def test_form_is_found(truth: str, random: np.random.Generator) -> None:
    found = [
        forms.decide(POWERS_OF_TWO, TRUTHS[truth](POWERS_OF_TWO) * np.exp(0.02 * random.standard_normal(8))).form
        for _ in range(20)
    ]
    assert found.count(truth) >= 17


def test_constant_test_has_its_size(random: np.random.Generator) -> None:
    rejected = sum(
        forms.decide(SIX, 3 / SIX * np.exp(0.02 * random.standard_normal(6))).form == "power_plus_constant"
        for _ in range(200)
    )
    assert 0.01 <= rejected / 200 <= 0.09


def test_forms_that_six_widths_cannot_distinguish_are_undecided(random: np.random.Generator) -> None:
    decision = forms.decide(SIX, SIX**-0.05 * np.exp(0.05 * random.standard_normal(6)))
    assert decision.form == "undecided"
    assert "less than 4" in decision.reason


def test_power_with_constant_agrees_with_curve_fit(random: np.random.Generator) -> None:
    loss = (3 * POWERS_OF_TWO**-0.9 + 0.01) * np.exp(0.01 * random.standard_normal(8))
    decision = forms.decide(POWERS_OF_TWO, loss)
    best, _ = optimize.curve_fit(
        lambda m, c, a, constant: np.log(c * m**-a + constant), POWERS_OF_TWO, np.log(loss), p0=[3, 1, 0.01]
    )
    assert decision.exponent == pytest.approx(best[1], abs=1e-5)
    assert decision.constant == pytest.approx(best[2], rel=1e-4)
    assert decision.exponent_low < best[1] < decision.exponent_high


def test_profile_interval_with_constant_covers(random: np.random.Generator) -> None:
    covered = 0
    for _ in range(100):
        decision = forms.decide(SIX, (3 / SIX + 0.003) * np.exp(0.02 * random.standard_normal(6)))
        covered += not (decision.exponent_low > 1 or decision.exponent_high < 1)  # NaN: not bounded, so covered
    assert covered >= 88


def test_a_constant_is_tested_against_the_seed_scatter(random: np.random.Generator) -> None:
    m = np.repeat(SIX, 3)
    decision = forms.decide(m, (3 / m + 0.02) * np.exp(0.02 * random.standard_normal(18)))
    assert decision.form == "power_plus_constant"
    assert "scatter of seeds" in decision.reason


def test_exact_seeds_and_rising_losses_do_not_break_the_decision() -> None:
    assert forms.decide(np.repeat(SIX, 2), np.repeat(3 / SIX, 2)).form == "power"
    assert forms.decide(SIX, SIX).form == "undecided"


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)
