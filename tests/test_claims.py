"""Claims: the verdict's rule, each claim's number on made-up studies, and not_run where there is nothing."""

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress
from synthetic_toy import filled, study

from scaling import command, tables
from scaling.claims import __main__ as claims_command
from scaling.claims import language_models, toy_exponents, toy_geometry
from scaling.claims.bridge import Claim
from scaling.claims.study import Study
from scaling.claims.toy_study import ToyStudy
from scaling.figures import fits as figures
from scaling.fits import chinchilla, llm, published, toy


PUBLISHED = Path(__file__).parents[1] / "resources" / "published"
NAN = math.nan


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A made-up study's tables and their fits."""
    folder = tmp_path_factory.mktemp("study")
    made = study(folder, widths=[10, 15, 25, 39], large=True)
    models = tables.read("toy_models", made["toy_models"])
    made["toy_exponents"], made["toy_exponent_starts"] = (
        folder / "toy_exponents.csv",
        folder / "toy_exponent_starts.csv",
    )
    tables.write("toy_exponents", toy.exponent_table(models), made["toy_exponents"])
    tables.write("toy_exponent_starts", toy.start_table(models), made["toy_exponent_starts"])
    return made


def read(paths: dict[str, Path], **others: Path) -> ToyStudy:
    given = {f"toy_{name}": path for name, path in others.items()}
    return ToyStudy.of(Study.read({**paths, **given}.values(), PUBLISHED, "default"))


def by_claim(rows: list[Claim], words: str) -> list[Claim]:
    found = [row for row in rows if words in row.claim]
    assert found, f"no claim says {words!r}"
    return found


def test_exponents_are_those_of_the_table(paths: dict[str, Path]) -> None:
    rows = toy_exponents.claims(read(paths))
    table = tables.read("toy_exponents", paths["toy_exponents"])
    even = by_claim(rows, "even frequencies")
    assert [row.published for row in even] == [1, 1]  # alpha 0 and 1 were trained
    sweep = table[(table["experiment"] == "decay_sweep") & (table["gamma"] < 0)].set_index("alpha")
    assert even[1].ours == pytest.approx(sweep.loc[1, "exponent"])
    assert even[1].ours_err == pytest.approx(sweep.loc[1, "exponent_stderr"])
    assert [row.published for row in by_claim(rows, "skewed")] == [2]
    assert [row.published for row in by_claim(rows, "alpha - 1")][-1] == 1
    drawn = by_claim(rows, "as in the paper's figure")
    assert {row.published_err > 0 for row in drawn} == {True}
    densities = by_claim(rows, "activation densit")
    assert len(densities) == 5
    assert densities[1].published == 1.12  # as printed, since this density was not trained
    assert math.isnan(densities[1].ours)
    assert "E = 1.81" in densities[1].quantity


def test_other_widths_are_held_against_the_published_points_at_these_widths(paths: dict[str, Path]) -> None:
    (claim,) = by_claim(toy_exponents.claims(read(paths)), "other activation densities")
    widths = [int(m) for m in claim.quantity.split("m = ")[1].split(", ")]
    density = float(claim.quantity.split("E = ")[1].split(",")[0])
    points = pd.read_csv(PUBLISHED / "fig7b_density_scaling.csv")
    points = points[points["m"].isin(widths) & (np.abs(points["activation_density"] / density - 1) < 0.01)]
    line = linregress(np.log(points["m"]), np.log(points["loss"]))
    assert len(widths) == 4
    assert claim.published == pytest.approx(-line.slope)
    assert claim.published_err == pytest.approx(line.stderr)


def test_other_learning_rates_and_single_widths_do_not_count(paths: dict[str, Path], tmp_path: Path) -> None:
    models = tables.read("toy_models", paths["toy_models"])
    models = models[models["experiment"] == "learning_rate_check"]
    models = models[models["learning_rate_factor"] != 1]
    tables.write("toy_models", models, tmp_path / "toy_models.csv")
    tables.write("toy_exponents", toy.exponent_table(models), tmp_path / "toy_exponents.csv")
    made = read({"toy_models": tmp_path / "toy_models.csv", "toy_exponents": tmp_path / "toy_exponents.csv"})
    assert made.models.empty
    assert made.exponents.empty
    assert all(math.isnan(row.ours) for row in toy_geometry.claims(made))


def test_geometry_claims_see_what_the_made_up_study_holds(paths: dict[str, Path]) -> None:
    rows = toy_geometry.claims(read(paths))
    assert by_claim(rows, "phi_half -> 1")[0].ours == pytest.approx(0.997, abs=0.003)
    assert by_claim(rows, "phi_half -> m/n")[0].ours == pytest.approx(1.05, abs=0.05)
    assert by_claim(rows, "Welch")[0].ours == pytest.approx(1.02)
    assert by_claim(rows, "less than at random")[0].ours == pytest.approx(0.49)
    assert by_claim(rows, "falls as 1/m")[0].ours == pytest.approx(1, abs=1e-6)
    assert by_claim(rows, "phi_1")[0].ours == pytest.approx(2, abs=0.15)
    slope, correlation, *ratios = by_claim(rows, "unrepresented features")
    assert slope.ours == pytest.approx(1, abs=0.05)
    assert correlation.ours > 0.99
    assert ratios[0].ours == pytest.approx(1.02, abs=0.03)


def test_seed_scatter_share_is_the_variance_ratio(paths: dict[str, Path]) -> None:
    made = read(paths)
    (row,) = [row for row in toy_geometry.seed_scatter(made) if "alpha = 2" in row.quantity]
    models = made.strong_models
    models = models[models["alpha"] == 2]
    logs = pd.DataFrame(
        {
            "m": models["m"],
            "all": np.log(models["loss"]),
            "packing": np.log(models["loss"] - models["loss_unrepresented"]),
        }
    )
    variance = logs.groupby("m").var(ddof=1).mean()
    assert row.ours == pytest.approx(1 - variance["packing"] / variance["all"])


def test_one_seed_is_said(paths: dict[str, Path], tmp_path: Path) -> None:
    models = tables.read("toy_models", paths["toy_models"])
    tables.write("toy_models", models[models["seed"] == 0], tmp_path / "toy_models.csv")
    (row,) = toy_geometry.seed_scatter(read({"toy_models": tmp_path / "toy_models.csv"}))
    assert math.isnan(row.ours)
    assert row.note == "needs two seeds or more a width"


@pytest.mark.parametrize("modes", [1, 2])
def test_dip_test_tells_one_mode_from_two(paths: dict[str, Path], tmp_path: Path, modes: int) -> None:
    features = tables.read("toy_features", paths["toy_features"])
    random = np.random.default_rng(0)
    centre = random.integers(0, modes, len(features))
    features["norm"] = np.abs(0.3 + centre + 0.05 * random.standard_normal(len(features)))
    tables.write("toy_features", features, tmp_path / "toy_features.csv")
    rows = list(toy_geometry.bimodal(read(paths, features=tmp_path / "toy_features.csv")))
    assert [row.ours for row in rows] == pytest.approx([modes - 1.0] * 2, abs=0.15)


def test_overlap_exponent_is_least_squares_with_a_factor_a_family() -> None:
    heads = published.read(PUBLISHED / "fig8a_llm_overlap.csv", language_models.OVERLAPS)
    k, error, n = language_models.overlap_exponent(heads["family"], heads["m"], heads["mean_square_overlap"])
    X = np.column_stack([pd.get_dummies(heads["family"]).to_numpy(float), np.log(heads["m"])])
    y = np.log(heads["mean_square_overlap"].to_numpy())
    best, squares, *_ = np.linalg.lstsq(X, y, rcond=None)
    assert (k, n) == (pytest.approx(-best[-1]), 25)
    assert error == pytest.approx(np.sqrt(np.linalg.inv(X.T @ X)[-1, -1] * squares[0] / (25 - 5)))
    one = heads[heads["family"] == "gpt2"].head(2)
    assert math.isnan(language_models.overlap_exponent(one["family"], one["m"], one["mean_square_overlap"])[0])


def test_measured_heads_are_claims_of_their_own() -> None:
    m = np.array([16, 32, 64, 128])
    common = {"family": "local", "source": "local", "status": "measured", "m": m}
    heights = {"mean_sq_overlap": 4 / m, "centred_mean_sq_overlap": m**-0.5}
    rows = pd.DataFrame({"model": [f"m{width}" for width in m], **common, **heights})
    measured = tables.validate("llm_overlaps", filled("llm_overlaps", rows.to_dict("records")), "test")
    heads = published.read(PUBLISHED / "fig8a_llm_overlap.csv", language_models.OVERLAPS)
    claims = {(row.source, row.quantity.rsplit(", ")[-1]): row for row in language_models.overlaps(measured, heads)}
    assert claims["local", "raw"].ours == pytest.approx(1)
    assert claims["local", "centred"].ours == pytest.approx(0.5)
    assert math.isnan(claims["hub", "raw"].ours)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["claims", *map(str, arguments)])
    command.run(claims_command.main)


def test_nothing_there_is_not_run_and_never_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "claims.csv"
    run(monkeypatch, "--tables", tmp_path / "toy_models.csv", "--published", PUBLISHED, "--output", output)
    table = tables.read("claims", output)
    ran = table[table["verdict"] != "not_run"]
    assert set(ran["source"]) == {"published data"}  # the overlaps read off Fig. 8a need nothing else
    missing = table[table["verdict"] == "not_run"]
    assert missing["note"].str.contains("snakemake").all()
    assert missing["ours"].isna().all()


def test_whole_table_and_figure(paths: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = llm.published_losses(str(PUBLISHED / "fig8b_llm_loss.csv"))
    fits, _ = llm.loss_fits(points, n_resamples=20, seed=0)
    tables.write("llm_loss_fit", fits, tmp_path / "llm_loss_fit.csv")
    widths = chinchilla.width_table(published.read(PUBLISHED / "chinchilla_model_shapes.csv", chinchilla.SHAPES))
    tables.write("width_fit", widths, tmp_path / "width_fit.csv")
    nothing = pd.DataFrame({"parameters": [], "tokens": [], "loss": []}, dtype=float)
    laws, _ = chinchilla.chinchilla_tables(nothing, widths.iloc[0], [5, 0], 10, 0)
    tables.write("chinchilla_fit", laws, tmp_path / "chinchilla_fit.csv")
    output = tmp_path / "claims.csv"
    files = [*paths.values(), *(tmp_path / f"{name}.csv" for name in ("llm_loss_fit", "width_fit", "chinchilla_fit"))]
    run(monkeypatch, "--tables", *files, "--published", PUBLISHED, "--output", output)
    table = tables.read("claims", output).set_index("claim")
    width = table.loc["parameters grow as m^2.52"]
    assert (width["ours"], width["verdict"]) == (pytest.approx(2.5226, abs=1e-4), "reproduced")
    loss = table.loc["language models: loss falls as a power of m near 1"]
    assert (loss["expected_err"], loss["verdict"]) == (0.04, "reproduced")
    law = table.loc["Chinchilla: alpha_N = 0.35"]
    assert law["verdict"] == "not_run"
    assert "chinchilla_points" in law["note"]
    picture = tmp_path / "claims.png"
    monkeypatch.setattr(sys, "argv", ["fits", "--figure", "claims", f"--claims={output}", f"--output={picture}"])
    command.run(figures.main)
    assert picture.stat().st_size > 10_000
