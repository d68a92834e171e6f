"""The simulation of the rule: what it draws, and the rates that it finds."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scaling import command, tables
from scaling.claims import simulation


def test_lines_are_those_of_scipy() -> None:
    y = np.random.default_rng(0).standard_normal((3, 6))
    slope, stderr = simulation.lines(y)
    for k in range(3):
        line = stats.linregress(np.log(simulation.WIDTHS), y[k])
        assert (slope[k], stderr[k]) == (pytest.approx(-line.slope), pytest.approx(line.stderr))


def test_drawn_curves_have_the_exponent_and_the_bend() -> None:
    (y,) = simulation.draw(np.random.default_rng(0), (1,), 1.2, 0.75, 0.0)
    assert simulation.lines(y)[0] == pytest.approx(1.2)
    x = np.log(simulation.WIDTHS)
    parabola = np.polynomial.Polynomial.fit(x, y, 2)
    assert parabola(x) == pytest.approx(y)
    change = -(parabola.deriv()(x[-1]) - parabola.deriv()(x[0]))
    assert change == pytest.approx(0.75)
    noisy = simulation.draw(np.random.default_rng(0), (2000,), 1.2, 0.75, 0.1)
    assert (noisy - y).std() == pytest.approx(0.1, rel=0.03)


def test_rates_of_the_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "claim_rule.csv"
    monkeypatch.setattr(sys, "argv", ["simulation", "--repeats", "30", "--output", str(output)])
    command.run(simulation.main)
    table = tables.read("claim_rule", output)
    assert table[["reproduced", "inconclusive", "differs"]].sum(axis=1).to_list() == pytest.approx([1.0] * len(table))
    rates = table.groupby("world")[["reproduced", "differs"]].max()
    assert rates.loc["paper right", "differs"] <= 0.05
    assert rates.loc["rival right", "reproduced"] <= 0.05
    one_seed = table[(table["comparison"] == "figure") & (table["world"] == "paper right")]
    four = table[(table["comparison"] == "figure, seed scatter") & (table["world"] == "paper right")]
    assert four["reproduced"].min() > one_seed["reproduced"].min()
    again = tables.validate("claim_rule", simulation.table(30, 0), "test")
    pd.testing.assert_frame_equal(table, again)


def test_no_repeats_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["simulation", "--repeats", "0", "--output", "x.csv"])
    with pytest.raises(SystemExit, match="--repeats 0: must be at least 1"):
        command.run(simulation.main)
