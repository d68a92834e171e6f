"""Fits, claims and figures of the bigram study on made-up tables whose exponents are known."""

import dataclasses
import re
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import synthetic_bigram
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling import tables
from scaling.claims import bigram as claims
from scaling.claims import registry, training_time
from scaling.claims.study import Study
from scaling.figures import bigram as figures
from scaling.figures import style
from scaling.figures import training_time as time_figure
from scaling.fits import bigram as fits
from scaling.fits import time


ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "resources" / "published"


@pytest.fixture(scope="module")
def made() -> dict[str, pd.DataFrame]:
    return synthetic_bigram.study()


def test_exponents_are_recovered(made: dict[str, pd.DataFrame]) -> None:
    table = made["bigram_exponents"]
    rows = table[(table["gamma"] == 0) & ~table["tied"]].set_index(["law", "window"])
    for law in ("text", "smoothed", "shuffled", "spectrum"):
        for window in ("narrow", "all", "8-25"):
            assert rows.loc[(law, window), "exponent"] == pytest.approx(synthetic_bigram.EXPONENTS[law])
            assert rows.loc[(law, window), "overlap_exponent"] == pytest.approx(1)
    assert rows.loc[("text", "narrow"), ["m_min", "m_max", "n_points", "n_seeds"]].tolist() == [4, 25, 4, 2]
    assert rows.loc[("text", "all"), "mean_m_overlap"] == pytest.approx(1.5)
    assert rows.loc[("independent", "all"), "status"] == "floor reached"
    assert "128-512" not in set(table["window"])  # m > n/2


@pytest.mark.parametrize(("law", "expected"), [("text", (2 * 1.005 / 0.03) ** (1 / 1.5)), ("shuffled", np.nan)])
def test_the_floor_s_width_is_interpolated(made: dict[str, pd.DataFrame], law: str, expected: float) -> None:
    models = made["bigram_models"]
    part = models[(models["law"] == law) & (models["gamma"] == 0) & ~models["tied"] & (models["m"] < 200)]
    assert fits.floor_width(part) == pytest.approx(expected, nan_ok=True)


def test_rivals_are_compared_by_slope_and_size(made: dict[str, pd.DataFrame]) -> None:
    table = made["bigram_rivals"]
    rows = table[(table["gamma"] == 0) & ~table["tied"] & (table["window"] == "all")].set_index(["law", "rival"])
    assert rows.loc[("smoothed", "truncated"), "predicted_exponent"] == pytest.approx(1)
    assert rows.loc[("smoothed", "truncated"), "ratio"] == pytest.approx(1.5, rel=0.01)
    assert rows.loc[("smoothed", "truncated"), "log_rms"] == pytest.approx(0, abs=1e-9)
    assert rows.loc[("smoothed", "overlap"), "ratio"] == 1
    assert rows.loc[("text", "overlap"), "log_rms"] > 0.4
    assert ("text", "log_spectrum") not in rows.index
    assert "independent" not in rows.index.get_level_values("law")


def judged(frames: dict[str, pd.DataFrame], prefix: str) -> pd.DataFrame:
    empty = Study.read([], PUBLISHED, "default")
    study = dataclasses.replace(empty, frames={**empty.frames, **frames})
    chosen = [entry for name, entry in registry.REGISTRY.items() if name.startswith(prefix)]
    return tables.validate("claims", registry.table(study, chosen), "test")


def test_claims_follow_from_the_tables(made: dict[str, pd.DataFrame]) -> None:
    rows = judged(made, "bigram.")
    exponents = rows[rows["quantity"].str.startswith("alpha_m")]
    law = exponents["quantity"].str.extract(r", ([a-z]+)_512", expand=False)
    verdicts = dict(zip(zip(exponents["id"], law, strict=True), exponents.itertuples(), strict=True))
    assert verdicts["bigram.exponent_all", "smoothed"].verdict == "reproduced"
    assert verdicts["bigram.exponent_all", "text"].verdict == "differs"
    assert verdicts["bigram.rival_truncated", "smoothed"].verdict == "reproduced"
    assert verdicts["bigram.rival_frequency", "text"].verdict == "differs"
    assert verdicts["bigram.rival_truncated", "spectrum"].expected == pytest.approx(1)
    by_id = {claim: set(part["verdict"]) for claim, part in rows.groupby("id")}
    assert by_id["bigram.floor"] == {"reproduced"}
    assert by_id["bigram.independent"] == {"reproduced"}
    assert by_id["bigram.overlap"] == {"reproduced"}
    assert by_id["bigram.decay_gain"] == {"reproduced"}
    assert set(rows.loc[rows["id"] == "bigram.weak_norms", "ours"].round(2)) == {0.2}
    assert rows.loc[rows["id"] == "bigram.size_log_spectrum", "ours"].round(2).tolist() == [0.4]  # log(3/2.01)


def test_without_tables_nothing_was_run() -> None:
    for prefix in ("bigram.", "time."):
        assert set(judged({}, prefix)["verdict"]) == {"not_run"}
    assert len(claims.RIVALS) == len(fits.RIVALS)
    assert training_time.CONSTANT == time_figure.CONSTANT


@given(exponent=st.floats(0.2, 1.5), share=st.floats(0, 0.5), end=st.sampled_from([1000, 20_000]))
@settings(derandomize=True, max_examples=15, deadline=None)
def test_exponents_of_time_are_recovered(exponent: float, share: float, end: int) -> None:
    step = pd.Series(np.linspace(end / 200, end, 200))
    loss = step**-exponent
    loss = loss + share * loss.iloc[-1]
    found = time.exponents(step, loss)
    assert found["n_points"] == time.BINS
    assert found["exponent_with_constant"] == pytest.approx(exponent, abs=0.05)
    assert found["exponent"] <= exponent + 0.01
    assert found["t_min"] > end / 10


def curve(t: np.ndarray, exponent: float) -> np.ndarray:
    """3 t^-a + 0.01 with a scatter of 1 %, from a fixed seed."""
    return (3 * t**-exponent + 0.01) * (1 + 0.01 * np.random.default_rng(0).standard_normal(len(t)))


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Training curves with exponents 1 and 1/3, through the command."""
    folder = tmp_path_factory.mktemp("time")
    columns = tables.dictionary()["toy_models"]["columns"]
    one = {name: {"str": "x", "int": 1, "float": 0.5, "bool": False}[entry["type"]] for name, entry in columns.items()}
    one |= {"model": "constant/a", "training": "constant", "frequency_law": "power_law", "alpha": 1.0, "gamma": -0.5}
    one |= {"phi_half": 1.0}
    if "initial_bias" in one:
        one["initial_bias"] = "normal"
    steps, times = np.arange(100, 20_001, 100), np.geomspace(10, 40_000, 60)
    toy = pd.DataFrame({"model": "constant/a", "step": steps, "loss": curve(steps.astype(float), 1.0)})
    flow = pd.DataFrame({"matrix": "text_512", "law": "text", "n": 400, "m": 16, "step_size": 10.0, "time": times})
    flow = flow.assign(information=3.0, excess=curve(times, 1 / 3))
    frames = {"toy_models": pd.DataFrame([one]), "toy_curves": toy, "bigram_flow": flow}
    for name, frame in frames.items():
        tables.write(name, frame[list(tables.dictionary()[name]["columns"])], folder / f"{name}.csv")
    given = [f"--{option}={folder / name}.csv" for option, name in (("curves", "toy_curves"), ("models", "toy_models"))]
    given += [f"--flow={folder / 'bigram_flow.csv'}", f"--output={folder / 'time_exponents.csv'}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["time", *given])
        time.main()
    return {**frames, "time_exponents": tables.read("time_exponents", folder / "time_exponents.csv")}


def test_claims_about_time(timed: dict[str, pd.DataFrame]) -> None:
    table = timed["time_exponents"].set_index("study")
    assert table.loc["toy", "exponent_with_constant"] == pytest.approx(1, abs=0.1)
    assert table.loc["bigram", "exponent_with_constant"] == pytest.approx(1 / 3, abs=0.1)
    assert "not_run" not in set(judged({"time_exponents": timed["time_exponents"]}, "time.")["verdict"])


def words(figure: matplotlib.figure.Figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(matplotlib.text.Text))


def full(frames: dict[str, pd.DataFrame]) -> figures.Study:
    return figures.Study(**{name: frames[f"bigram_{name}"] for name in ("models", "ranks", "exponents", "rivals")})


@pytest.mark.parametrize("name", figures.FIGURES)
def test_figures_draw_full_and_empty_tables(name: str, made: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    figure = figures.FIGURES[name](full(made))
    assert all(axes.has_data() for axes in figure.axes)
    style.save(figure, tmp_path / "a.svg")
    nothing = figures.FIGURES[name](full({key: frame.iloc[:0] for key, frame in made.items()}))
    assert re.search(r"no such bigram|no synthetic|no curve", words(nothing))
    style.save(nothing, tmp_path / "b.png")


def test_figures_draw_one_kind_of_matrix(tmp_path: Path) -> None:
    for name, draw in figures.FIGURES.items():
        style.save(draw(full(synthetic_bigram.study(["text"]))), tmp_path / f"{name}.svg")


def test_the_figure_of_time_draws_full_and_empty_tables(timed: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    parts = timed["time_exponents"], timed["toy_curves"], timed["bigram_flow"]
    figure = time_figure.training_time(*parts)
    assert "text_512, m = 16, step 10: 0.3" in words(figure)
    style.save(figure, tmp_path / "a.svg")
    assert "no gradient flow" in words(time_figure.training_time(*(part.iloc[:0] for part in parts)))
