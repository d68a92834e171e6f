"""The width exponent of a table of runs: known laws, brute force, the rules of the verdict, bad tables."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from scaling import command, tables
from scaling.command import InputError
from scaling.fits import inputs, power_sum, suite
from scaling.fits.suite import Rules, fit_suite


ROOT = Path(__file__).parents[1]
TOY = ROOT / "resources" / "recorded" / "toy_models.csv"
WIDTHS = [256, 384, 512, 768, 1024, 1536, 2048, 3072]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the command with these arguments, as `python -m` would."""

    def run(*arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        command.run(suite.main)

    return run


def made(noise: float = 0.0, shared: float = 0.0, a: float = 1.0, seed: int = 0, repeats: int = 5) -> pd.DataFrame:
    """Runs of 1.9 + 60/m^a + 0.5/l^0.8 + 2000/D^0.37 with noise in log L, part of it `shared` by a width."""
    random = np.random.default_rng(seed)
    m = np.repeat(np.array(WIDTHS, dtype=float), repeats)
    depth, data = random.choice([6.0, 12, 24, 48], m.size), random.choice([1e10, 3e10, 1e11, 3e11], m.size)
    loss = 1.9 + 60 / m**a + 0.5 / depth**0.8 + 2000 / data**0.37
    error = noise * random.standard_normal(m.size)
    error += shared * np.repeat(random.standard_normal(len(WIDTHS)), repeats)
    return pd.DataFrame({"width": m, "depth": depth, "data": data, "loss": loss * np.exp(error)})


@pytest.mark.parametrize("terms", [["depth", "data"], ["depth"], ["data"], []])
def test_an_exact_law_is_found(terms: list[str]) -> None:
    runs = made()
    runs["loss"] = 1.9 + 60 / runs["width"] ** 0.8
    runs["loss"] += 0.5 / runs["depth"] ** 0.8 if "depth" in terms else 0
    runs["loss"] += 2000 / runs["data"] ** 0.37 if "data" in terms else 0
    row, profile = fit_suite(runs, terms)
    assert row["status"] == inputs.CONVERGED
    truth = {"a": 0.8, "L0": 1.9, "c_m": 60} | ({"b": 0.8} if "depth" in terms else {})
    truth |= {"c": 0.37} if "data" in terms else {}
    assert {key: row[key] for key in truth} == pytest.approx(truth, rel=1e-5)
    assert row["held_out_error"] == pytest.approx(0, abs=1e-8)
    assert row["a_low"] == pytest.approx(0.8, abs=1e-4)
    assert profile.loc[profile["rms"].idxmin(), "a"] == pytest.approx(0.8, abs=1e-4)


def test_it_is_the_least_squares_optimum_of_scipy() -> None:
    runs = made(noise=0.004)
    row, _ = fit_suite(runs, ["depth", "data"])
    m, depth, data = (runs[name].to_numpy() for name in ("width", "depth", "data"))

    def residual(p: np.ndarray) -> np.ndarray:
        law = np.exp(p[0]) + np.exp(p[1]) * (m / 900) ** -p[2]
        law += np.exp(p[3]) * (depth / 16) ** -p[4] + np.exp(p[5]) * (data / 5e10) ** -p[6]
        return np.log(law) - np.log(runs["loss"].to_numpy())

    start = [np.log(1.9), np.log(60 / 900), 1, np.log(0.5 / 16**0.8), 0.8, np.log(2000 / 5e10**0.37), 0.37]
    oracle = optimize.least_squares(residual, start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    assert row["a"] == pytest.approx(oracle.x[2], abs=1e-4)
    assert row["rms"] == pytest.approx(np.sqrt(np.mean(oracle.fun**2)), rel=1e-8)


def test_jackknife_and_leave_outs_are_brute_force() -> None:
    runs = made(noise=0.003, shared=0.003)
    row, _ = fit_suite(runs, ["data"])
    leaves = {}
    for width in WIDTHS:
        some = runs[runs["width"] != width]
        law = power_sum.fit([some["width"], some["data"]], some["loss"], "least_squares", constant_may_vanish=True)
        leaves[width] = law.exponents[0]
        if width == max(WIDTHS):
            last = runs[runs["width"] == width]
            error = np.log(law.predict([last["width"], last["data"]]) / last["loss"])
            assert row["held_out_error"] == pytest.approx(error.mean(), abs=1e-7)
            assert row["held_out_rms"] == pytest.approx(np.sqrt((error**2).mean()), abs=1e-7)
    stderr = np.sqrt(7 / 8 * sum((leaf - row["a"]) ** 2 for leaf in leaves.values()))
    assert row["a_stderr"] == pytest.approx(stderr, rel=1e-4)
    assert row["a_high"] - row["a"] == pytest.approx(stats.t.ppf(0.975, 7) * stderr, rel=1e-4)
    assert row["a_without_smallest"] == pytest.approx(leaves[256], abs=1e-5)
    assert row["a_without_largest"] == pytest.approx(leaves[3072], abs=1e-5)


def test_the_profile_agrees_with_its_interval() -> None:
    runs = made(noise=0.004)
    row, profile = fit_suite(runs, ["depth", "data"])
    threshold = stats.f.ppf(0.95, 1, len(runs) - 7)
    inside = profile[profile["excess"] <= threshold]["a"]
    outside = profile[profile["excess"] > threshold]["a"]
    assert row["a_profile_low"] <= inside.min()
    assert row["a_profile_high"] >= inside.max()
    assert row["a_profile_low"] >= outside[outside < row["a"]].max()
    assert row["a_profile_high"] <= outside[outside > row["a"]].min()
    at_one = profile[profile["a"] == 1].iloc[0]
    assert at_one["rms"] == pytest.approx(row["rms_at_1"], rel=1e-6)


@settings(derandomize=True, max_examples=5, deadline=None)
@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.5, 1.5))
def test_units_of_width_and_loss_do_not_matter(width: float, loss: float, a: float) -> None:
    noise = np.exp(0.002 * np.random.default_rng(0).standard_normal(40))
    runs = made().assign(loss=lambda made: (1.9 + 60 / made["width"] ** a) * noise)
    other = runs.assign(width=runs["width"] * width, loss=runs["loss"] * loss)
    one, two = fit_suite(runs, [])[0], fit_suite(other, [])[0]
    for key in ("a", "a_low", "a_profile_high", "rms", "rms_at_1", "held_out_error", "verdict"):
        assert two[key] == (one[key] if key == "verdict" else pytest.approx(one[key], abs=1e-4, rel=1e-3))


def test_width_and_depth_in_proportion_are_named() -> None:
    runs = made(noise=0.002)
    runs["depth"] = np.round(runs["width"] / 98)
    row, profile = fit_suite(runs, ["depth", "data"])
    assert row["status"] == inputs.NOT_IDENTIFIED
    assert row["verdict"] == suite.NOT_DETERMINED
    assert "width and depth and data cannot be told apart" in row["note"]
    assert profile.empty
    assert fit_suite(runs, ["data"])[0]["status"] == inputs.CONVERGED


def test_inflation_with_one_term_is_that_of_the_correlation() -> None:
    runs = made()
    r = np.corrcoef(np.log(runs["width"]), np.log(runs["data"]))[0, 1]
    assert suite.inflation(runs, ["data"]) == pytest.approx(1 / (1 - r**2))
    assert suite.inflation(runs, []) == 1


def test_a_short_range_of_widths_does_not_determine_the_exponent() -> None:
    runs = made(noise=0.01)
    row, _ = fit_suite(runs[runs["width"].between(1024, 3072)], [])
    assert row["verdict"] == suite.NOT_DETERMINED


def test_a_constant_at_zero_is_a_result() -> None:
    runs = made(noise=0.01)
    runs["loss"] = 60 / runs["width"] * np.exp(0.01 * np.random.default_rng(1).standard_normal(len(runs)))
    row, _ = fit_suite(runs, [])
    if row["L0"] == 0:
        assert "L0 is at its bound 0" in row["note"]
    assert row["status"] == inputs.CONVERGED
    assert row["a"] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("widths", [[512], [512, 1024]])
def test_too_few_widths_are_a_status(widths: list[int]) -> None:
    runs = made()
    row, _ = fit_suite(runs[runs["width"].isin(widths)], ["data"])
    assert row["status"] == inputs.TOO_FEW
    assert row["verdict"] == suite.NOT_DETERMINED


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "agrees with both"),
        ({"a_high": 0.99}, "agrees with published"),
        ({"a_low": 0.96, "a_profile_low": 0.97}, "agrees with 1"),
        ({"a_low": 0.5, "a_high": 0.8, "a_profile_low": 0.5, "a_profile_high": 0.86}, "differs"),
        ({"a_profile_high": 0.88, "a_low": 0.5, "a_high": 0.8}, "agrees with published"),
        ({"a_high": 1.91}, "not determined"),
        ({"a_profile_high": np.nan}, "not determined"),
        ({"n_widths": 3}, "not determined"),
        ({"status": inputs.NOT_IDENTIFIED}, "not determined"),
        ({"status": inputs.NOT_RUN}, "not run"),
    ],
)
def test_the_verdict_follows_its_rules(change: dict[str, Any], verdict: str) -> None:
    row = {"a_low": 0.9, "a_high": 1.1, "a_profile_low": 0.92, "a_profile_high": 0.98, "n_widths": 6}
    assert Rules().verdict({**row, "status": inputs.CONVERGED, **change}) == verdict


def test_the_command_on_the_toy_study(tmp_path: Path, call: Callable[..., None]) -> None:
    """Without a constant the exponent is that of the log-log line, and a constant added to that line is found."""
    study = pd.read_csv(TOY).query("experiment == 'decay_sweep' and gamma < 0 and alpha == 2")
    study.to_csv(tmp_path / "toy.csv", index=False)
    line = stats.linregress(np.log(study["m"]), np.log(study["loss"]))
    straight = np.exp(line.intercept) * study["m"] ** line.slope
    study.assign(loss=straight + 1.7).to_csv(tmp_path / "shifted.csv", index=False)
    rows = {}
    for name in ("toy", "shifted"):
        files = ["--output", tmp_path / f"{name}_fit.csv", "--profile", tmp_path / f"{name}_profile.csv"]
        call("--table", tmp_path / f"{name}.csv", "--loss", "loss", "--width", "m", "--group", "gamma,alpha", *files)
        rows[name] = tables.read("width_suites", tmp_path / f"{name}_fit.csv").iloc[0]
        assert not tables.read("width_suite_profiles", tmp_path / f"{name}_profile.csv").empty
    assert rows["toy"]["a"] == pytest.approx(-line.slope, abs=0.02)
    assert rows["shifted"]["L0"] == pytest.approx(1.7, abs=1e-6)
    assert rows["shifted"]["a"] == pytest.approx(-line.slope, abs=1e-5)


def test_json_lines_and_shape_clusters(
    tmp_path: Path, call: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    table = tmp_path / "runs.jsonl"
    made(noise=0.002).to_json(table, orient="records", lines=True)
    common = ["--table", table, "--loss", "loss", "--width", "width", "--depth", "depth", "--data", "data"]
    call(*common, "--cluster", "shape")
    assert "agrees with both" in caplog.text


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("m,L\n1,2\n", ["--depth", "l"], r"runs\.csv: lacks column l; it has m, L"),
        ("m,L\n1,2\n2,x\n", [], r"runs\.csv: row 2: column L is 'x', but must be a number above zero"),
        ("m,L\n1,2\n2,\n", [], "row 2: column L is nan"),
        ("m,L\n1,2\n0,1\n", [], "row 2: column m is 0, but must be a number above zero"),
        ("", [], "not a readable CSV file"),
        ("m,L\n1,2\n", ["--cluster", "shape"], "--cluster shape needs --depth"),
    ],
)
def test_bad_tables_end_in_one_line(
    tmp_path: Path, call: Callable[..., None], text: str, options: list[str], message: str
) -> None:
    table = tmp_path / "runs.csv"
    table.write_text(text)
    with pytest.raises(SystemExit, match=rf"^error: .*{message}"):
        call("--table", table, "--loss", "L", "--width", "m", *options, "--output", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_losses_below_zero_are_named() -> None:
    with pytest.raises(InputError, match="loss"):
        fit_suite(made().assign(loss=-1.0), [])


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "shared"), [(0.003, 0.0), (0.001, 0.003)])
def test_the_jackknife_interval_covers(noise: float, shared: float) -> None:
    """200 suites with independent errors or errors shared by a width: the 95 % interval contains the truth."""
    hits = []
    for seed in range(200):
        row, _ = fit_suite(made(noise, shared, seed=seed), ["depth", "data"])
        hits.append(row.get("a_low", np.nan) <= 1 <= row.get("a_high", np.nan))
    assert 0.90 <= np.mean(hits) <= 1
