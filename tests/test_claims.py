"""Claims: each number on made-up studies, the grid as one row, not_run without tables, and the figure."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic_toy import filled, study

from scaling import command, geometry, tables, theory
from scaling.claims import __main__ as claims_command
from scaling.claims import registry, toy
from scaling.claims.registry import REGISTRY, Result
from scaling.claims.study import Study
from scaling.figures import fits as figures
from scaling.fits import chinchilla, estimate, llm, published
from scaling.fits import toy as toy_fits
from scaling.fits.estimate import Estimate


PUBLISHED = Path(__file__).parents[1] / "resources" / "published"


def with_fits(folder: Path, made: dict[str, Path]) -> dict[str, Path]:
    """The paths of a made-up study with its exponents fitted."""
    models = tables.read("toy_models", made["toy_models"])
    tables.write("toy_exponents", toy_fits.exponent_table(models), folder / "toy_exponents.csv")
    return {**made, "toy_exponents": folder / "toy_exponents.csv"}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A made-up study's tables and their fits."""
    folder = tmp_path_factory.mktemp("study")
    return with_fits(folder, study(folder, widths=[10, 15, 25, 39], large=True))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two strong and two weak gammas by nine alphas, four seeds each."""
    folder = tmp_path_factory.mktemp("grid")
    made = study(
        folder,
        gammas=(-0.7778, -0.5556, 0.3333, 0.5556),
        alphas=np.arange(0, 2.1, 0.25),
        widths=[10, 15, 25, 39],
        seeds=4,
        densities=(),
        factors=(),
    )
    return with_fits(folder, made)


def rows(paths: dict[str, Path], *ids: str) -> pd.DataFrame:
    """The rows of claims.csv of the claims `ids`."""
    made = Study.read(paths.values(), PUBLISHED, "default")
    return tables.validate("claims", registry.table(made, [REGISTRY[name] for name in ids]), "test")


def one(paths: dict[str, Path], name: str, words: str = "") -> Any:
    """The only row of claim `name` whose quantity has `words`."""
    found = rows(paths, name)
    (row,) = found[found["quantity"].str.contains(words, regex=False)].to_dict("records")
    return row


def test_exponents_are_those_of_the_table(paths: dict[str, Path]) -> None:
    table = tables.read("toy_exponents", paths["toy_exponents"])
    curve = table[(table["experiment"] == "decay_sweep") & (table["gamma"] < 0)].set_index("alpha").loc[1]
    row = one(paths, "toy.exponent_strong_even", "alpha = 1")
    assert (row["expected"], row["ours"]) == (1.0, pytest.approx(curve["exponent"]))
    assert (row["ours_err"], row["ours_df"]) == (pytest.approx(curve["exponent_stderr"]), 2)
    assert "lack of fit p = " in row["note"]
    assert "local exponent" in row["note"]
    assert one(paths, "toy.exponent_strong_skewed")["expected"] == 2.0
    assert one(paths, "toy.exponent_weak", "alpha = 2")["expected"] == 1.0


def test_theory_is_that_of_the_trained_widths(paths: dict[str, Path]) -> None:
    m = np.array([10, 15, 25, 39])
    p = np.arange(1.0, 1001) ** -2 / np.sum(np.arange(1.0, 1001) ** -2)
    for name, counts in (("toy.exponent_weak_finite", m), ("toy.exponent_strong_tail", m**2 // 2)):
        tail = [np.sum(4 / 3 * p[k:] - p[k:] ** 2) for k in counts]
        row = one(paths, name, "alpha = 2")
        assert row["expected"] == pytest.approx(-stats.linregress(np.log(m), np.log(tail)).slope)
        assert row["expected_kind"] == "derived"
    assert theory.power_law(1000, 2.0) == pytest.approx(p)


def test_a_drawn_exponent_is_compared_with_the_scatter_of_seeds_once_there_are_enough(
    paths: dict[str, Path], grid: dict[str, Path]
) -> None:
    row = one(paths, "toy.exponent_strong_figure", "alpha = 0")
    assert "errors of the lines" in row["note"]
    point = pd.read_csv(PUBLISHED / "fig6e_model_exponent.csv", comment="#")
    point = point[(point["gamma"] + 0.5556).abs() < 0.01].set_index("alpha").loc[0]
    assert (row["expected"], row["expected_err"]) == (point["model_exponent"], point["err"])

    models = tables.read("toy_models", grid["toy_models"])
    strong = toy.models(toy.strong(models))
    seeds = toy.seed_scatter(strong)
    assert seeds is not None
    squares = np.log(strong["loss"].astype(float)).groupby([strong["gamma"], strong["alpha"], strong["m"]]).var(ddof=1)
    assert (seeds.sd, seeds.df) == (pytest.approx(math.sqrt(squares.mean())), 3 * len(squares))
    assert toy.seed_scatter(strong[strong["seed"] < 3]) is None


def test_more_curves_than_fit_become_one_row(grid: dict[str, Path]) -> None:
    row = one(grid, "toy.exponent_strong_even")
    table = tables.read("toy_exponents", grid["toy_exponents"])
    strong = table[(table["gamma"] < 0) & (table["alpha"] <= 1)]["exponent"] - 1
    assert (row["n"], row["unit"]) == (len(strong), "curves")
    assert (row["expected"], row["ours"]) == (0.0, pytest.approx(strong.median()))
    assert f" of {len(strong)} curves agree within one standard error" in row["note"]


def test_the_grid_is_not_moved_by_one_curve() -> None:
    def results(last: float) -> list[Result]:
        values = [0.98, 1.0, 1.01, 1.02, 0.99, 1.0, 1.01, 0.98, last]
        return [Result(ours=Estimate(value=value, stderr=0.01, df=4, n=6), setting=f"{value}") for value in values]

    (without,), (with_outlier,) = (toy.over_grid(results(last), 1.0) for last in (1.0, 3.0))
    assert abs(with_outlier.ours.value - without.ours.value) < 0.02
    assert "the farthest is +2 at 3.0" in with_outlier.note
    assert len(toy.over_grid(results(1.0)[:8], 1.0)) == 8


def test_rise_and_gap_are_differences_of_exponents(paths: dict[str, Path]) -> None:
    table = tables.read("toy_exponents", paths["toy_exponents"])
    table = table[table["experiment"] == "decay_sweep"].set_index(["gamma", "alpha"])["exponent"]
    row = one(paths, "toy.exponent_rise")
    assert row["ours"] == pytest.approx(table[-0.5556, 1.0] - table[-0.5556, 0.0])
    figure = one(paths, "toy.exponent_rise_figure")
    assert figure["expected"] == pytest.approx(1.068 - 0.841, abs=1e-3)
    gap = one(paths, "toy.exponent_strong_minus_weak")
    assert gap["ours"] == pytest.approx(table[-0.5556, 2.0] - table[0.3333, 2.0])


def test_other_densities_are_compared_with_the_figure_at_their_widths(paths: dict[str, Path], tmp_path: Path) -> None:
    models = tables.read("toy_models", paths["toy_models"])
    models.loc[models["activation_density"] == 4, "activation_density"] = 3.432
    tables.write("toy_models", models, tmp_path / "toy_models.csv")
    row = one(with_fits(tmp_path, {"toy_models": tmp_path / "toy_models.csv"}), "toy.exponent_density_figure")
    points = pd.read_csv(PUBLISHED / "fig7b_density_scaling.csv", comment="#")
    points = points[points["m"].isin([10, 15, 25, 39]) & ((points["activation_density"] - 3.432).abs() < 0.01)]
    line = stats.linregress(np.log(points["m"]), np.log(points["loss"]))
    assert (row["expected"], row["expected_err"]) == (pytest.approx(-line.slope), pytest.approx(line.stderr))
    assert one(paths, "toy.exponent_density")["verdict"] == "not_run"  # no curve has all widths of the figure


def test_other_settings_do_not_count(paths: dict[str, Path], tmp_path: Path) -> None:
    models = tables.read("toy_models", paths["toy_models"])
    for column, value in (("learning_rate_factor", 2.0), ("initial_bias", "zero")):
        tables.write("toy_models", models.assign(**{column: value}), tmp_path / "toy_models.csv")
        made = with_fits(tmp_path, {"toy_models": tmp_path / "toy_models.csv"})
        ours = rows(made, *(name for name in REGISTRY if name.startswith("toy.")))
        assert set(ours.loc[ours["source"] == "default", "verdict"]) == {"not_run"}


def test_geometry_at_the_farthest_width(paths: dict[str, Path]) -> None:
    models = tables.read("toy_models", paths["toy_models"])
    models = toy.models(toy.strong(models))
    part = models[models["alpha"] == 1]
    row = one(paths, "toy.phi_half_strong", "alpha = 1")
    mean = part.groupby("m")["phi_half"].mean()
    assert row["ours"] == pytest.approx(mean[(mean - 1).abs().idxmax()])
    assert one(paths, "toy.overlap_welch", "alpha = 1")["ours"] == pytest.approx(1.02)
    assert one(paths, "toy.overlap_welch", "alpha = 1")["verdict"] == "no_verdict"
    ratio = one(paths, "toy.phi_1_figure", "alpha = 1")
    figure = pd.read_csv(PUBLISHED / "fig6c_phi_one.csv", comment="#")
    figure = figure[figure["alpha"] == 1].set_index("m")["phi_1"]
    each = np.exp(np.log(part["phi_1"].astype(float)).groupby(part["m"]).mean()) / figure
    assert ratio["ours"] == pytest.approx(each.dropna()[np.log(each.dropna()).abs().idxmax()])


def test_variance_is_relative_and_has_a_floor(paths: dict[str, Path]) -> None:
    models = tables.read("toy_models", paths["toy_models"])
    models = toy.models(toy.strong(models))
    part = models[(models["alpha"] == 1) & (models["n_strong"] >= 10) & (models["welch_bound_strong"] > 0)]
    relative = (part["std_sq_overlap_strong"] / part["mean_sq_overlap_strong"]) ** 2
    relative = (relative / (2 * (part["m"] - 1) / (part["m"] + 2))).groupby(part["m"]).mean()
    assert one(paths, "toy.overlap_variance", "alpha = 1")["ours"] == pytest.approx(relative.max())
    row = one(paths, "toy.overlap_variance_floor", "alpha = 1")
    assert 0 < row["ours"] < 1


def test_weak_loss_is_that_of_missing_features(paths: dict[str, Path]) -> None:
    row = one(paths, "toy.weak_loss", "alpha = 1")
    assert (row["ours"], row["verdict"]) == (pytest.approx(1.02, abs=0.03), "reproduced")
    assert one(paths, "toy.weak_loss_figure", "alpha = 0")["n"] == 4


@pytest.mark.parametrize(("low", "high", "expected"), [(0.05, 0.95, 0.0), (0.5, 0.95, 0.5)])
def test_norms_between_the_groups(
    paths: dict[str, Path], tmp_path: Path, low: float, high: float, expected: float
) -> None:
    features = tables.read("toy_features", paths["toy_features"])
    features["norm"] = np.where(np.arange(len(features)) % 2, low, high)
    tables.write("toy_features", features, tmp_path / "toy_features.csv")
    found = rows({**paths, "toy_features": tmp_path / "toy_features.csv"}, "toy.norms_two_groups")
    assert found["ours"].to_list() == pytest.approx([expected] * 2)


def test_frequent_features_have_norm_above_one(paths: dict[str, Path], tmp_path: Path) -> None:
    features = tables.read("toy_features", paths["toy_features"])
    features["norm"] = np.where(features["feature"] <= 100, 1.1, 0.9)
    tables.write("toy_features", features, tmp_path / "toy_features.csv")
    found = rows({**paths, "toy_features": tmp_path / "toy_features.csv"}, "toy.norms_by_frequency")
    assert found["ours"].to_list() == [1.0, 1.0]  # alpha = 1 and 2


def test_laws_of_the_published_points_and_of_ours(paths: dict[str, Path]) -> None:
    found = rows(paths, "toy.laws_strong", "toy.laws_weak_others")
    theirs = found[(found["id"] == "toy.laws_strong") & (found["source"] == "published data")]
    assert theirs["ours"].to_list() == pytest.approx([1.0055, 0.9840, 0.8864], abs=1e-4)
    weak = found[(found["id"] == "toy.laws_weak_others") & (found["source"] == "published data")]
    assert weak["ours"].to_list() == pytest.approx([0.706, 0.213], abs=1e-3)
    assert len(found[found["source"] == "default"]) == 5


def test_the_overlap_exponent_is_least_squares_with_a_factor_per_family() -> None:
    heads = published.read(PUBLISHED / "fig8a_llm_overlap.csv", ["family", "m", "mean_square_overlap"])
    logs = heads.assign(y=np.log(heads["mean_square_overlap"])).groupby(["family", "m"], as_index=False)["y"].mean()
    X = np.column_stack([pd.get_dummies(logs["family"]).to_numpy(float), np.log(logs["m"])])
    best, squares, *_ = np.linalg.lstsq(X, logs["y"], rcond=None)
    found = estimate.common_exponent(heads["family"], heads["m"], heads["mean_square_overlap"])
    df = len(logs) - logs["family"].nunique() - 1
    assert (found.value, found.n, found.df) == (pytest.approx(-best[-1]), len(logs), df)
    assert found.stderr == pytest.approx(np.sqrt(np.linalg.inv(X.T @ X)[-1, -1] * squares[0] / df))
    alone = heads[heads["family"] == "gpt2"].head(2)
    assert math.isnan(estimate.common_exponent(alone["family"], alone["m"], alone["mean_square_overlap"]).value)


def test_seeds_of_a_width_are_averaged_before_the_line() -> None:
    m = np.repeat([16.0, 32.0, 64.0, 128.0], 2)
    values = 4 / m * np.exp([0.1, -0.1, 0.2, 0.0, 0.0, -0.2, 0.1, -0.1])
    line = stats.linregress(np.log(m[::2]), np.log(values).reshape(4, 2).mean(axis=1))
    found = estimate.common_exponent(np.full(8, "local"), m, values)
    assert (found.value, found.stderr) == (pytest.approx(-line.slope), pytest.approx(line.stderr))
    assert (found.n, found.df) == (4, 2)


def measured_heads(folder: Path, source: str) -> dict[str, Path]:
    m = np.array([16, 32, 64, 128])
    common = {"family": "own", "source": source, "status": "measured", "m": m, "phi_half_relative": 1.0}
    heights = {"mean_sq_overlap_all_rows": 4 / m, "centred_mean_sq_overlap": m**-0.5}
    made = pd.DataFrame({"model": [f"m{width}" for width in m], **common, **heights})
    tables.write("llm_overlaps", filled("llm_overlaps", made.to_dict("records")), folder / "llm_overlaps.csv")
    return {"llm_overlaps": folder / "llm_overlaps.csv"}


def test_local_heads_are_kept_apart_from_open_ones(tmp_path: Path) -> None:
    local = measured_heads(tmp_path, "local")
    assert set(rows(local, "llm.overlap")["source"]) == {"published data"}
    assert one(local, "local.overlap", "all rows")["ours"] == pytest.approx(1)
    assert one(local, "local.overlap", "centred")["ours"] == pytest.approx(0.5)
    hub = measured_heads(tmp_path, "hub")
    assert one(hub, "local.overlap")["verdict"] == "not_run"
    assert one(hub, "llm.overlap", "all rows")["ours"] == pytest.approx(1)
    assert one(hub, "llm.heads_represented")["verdict"] == "reproduced"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["claims", *map(str, arguments)])
    command.run(claims_command.main)


def test_missing_tables_give_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "claims.csv"
    run(monkeypatch, "--tables", tmp_path / "toy_models.csv", "--published", PUBLISHED, "--output", output)
    table = tables.read("claims", output)
    assert set(table.loc[table["verdict"] != "not_run", "source"]) == {"published data"}
    missing = table[table["verdict"] == "not_run"]
    assert missing["note"].str.contains("snakemake").all()
    assert missing["ours"].isna().all()
    assert set(table["id"]) == set(REGISTRY)


def test_a_file_that_is_no_table_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"nonsense\.csv: no table nonsense"):
        run(monkeypatch, "--tables", "nonsense.csv", "--published", PUBLISHED, "--output", tmp_path / "claims.csv")


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
    table = tables.read("claims", output).set_index("id")
    width = table.loc["llm.width_exponent"]
    assert (width["ours"], width["verdict"]) == (pytest.approx(2.5226, abs=1e-4), "reproduced")
    loss = table.loc["llm.loss"]
    assert (loss["expected_err"], loss["n"], loss["verdict"]) == (0.04, 27, "reproduced")
    law = table.loc["llm.chinchilla_alpha_n"]
    assert law["verdict"] == "not_run"
    assert "chinchilla_points" in law["note"]
    picture = tmp_path / "claims.png"
    monkeypatch.setattr(sys, "argv", ["fits", "--figure", "claims", f"--claims={output}", f"--output={picture}"])
    command.run(figures.main)
    assert picture.stat().st_size > 10_000


def test_the_least_variance_is_that_of_frames() -> None:
    angles = np.pi * np.arange(3) / 3
    assert geometry.least_sq_overlap_variance(3, 2, 0.25) == pytest.approx(0)  # three lines at 60 degrees, an ETF
    angles = np.pi * np.arange(5) / 5
    rows_of_frame = np.column_stack([np.cos(angles), np.sin(angles)])
    found = geometry.squared_overlaps(rows_of_frame)
    assert geometry.least_sq_overlap_variance(5, 2, found.mean_sq) == pytest.approx(found.std_sq**2)
    rng = np.random.default_rng(0)
    for nu, m in ((20, 3), (60, 6), (30, 10)):
        found = geometry.squared_overlaps(rng.standard_normal((nu, m)))
        assert geometry.least_sq_overlap_variance(nu, m, found.mean_sq) <= found.std_sq**2
