"""Claims about the mechanism, on made-up tables whose numbers are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic_toy
from synthetic_toy import filled

from scaling import geometry, tables
from scaling.claims import __main__ as command  # noqa: F401  (registers every claim)
from scaling.claims import registry
from scaling.claims.registry import REGISTRY
from scaling.claims.study import Study
from scaling.fits import toy as toy_fits


PUBLISHED = Path(__file__).parents[1] / "resources" / "published"
NAMES = [name for name in REGISTRY if name.startswith("mechanism.")]
SHARES = {"silent": 0.7, "shrink": 0.2, "interference": 0.06, "false": 0.04}
KEY = {"training": "paper", "frequency_law": "power_law", "n": 1000, "gamma": -0.5556, "activation_density": 1.0}
KEY |= {"learning_rate_factor": 1.0, "alpha": 0.0, "seed": 0, "loss_stderr": 1e-3}


def in_parts(models: pd.DataFrame, shares: dict[str, float]) -> pd.DataFrame:
    """The models with the loss split by fixed shares."""
    return models.assign(**{f"loss_{part}": models["loss"] * share for part, share in shares.items()})


def interventions() -> pd.DataFrame:
    """Revival to 3/m, training on without effect, loss ~ s^2, and directions whose loss is the squared quantile."""
    rows = []
    for m in (25, 39):
        base = KEY | {"m": m, "model": f"m{m}", "initial_bias": "normal", "loss_before": 9 / m, "n_silent_before": 300}
        rows += [base | {"intervention": "revived", "refit": "all", "loss": 3 / m}]
        rows += [base | {"intervention": "continued", "refit": "all", "loss": 9 / m}]
        base["initial_bias"] = "zero"
        for scale in (0.0, 0.25, 0.5, 0.75, 1.0):
            row = base | {"intervention": "overlaps", "scale": scale, "loss": scale**2 / m}
            rows += [row | {"refit": refit, "loss_interference": scale**2 / m} for refit in ("none", "bias")]
        for k, name in enumerate(("kept", "random", "tight_frame", "least_coherent", "clustered")):
            row = base | {"intervention": f"rows_{name}", "refit": "bias", "loss": (0.1 + k / 20) ** 2}
            row |= {"overlap_quantile_live": 0.1 + k / 20, "mean_sq_overlap_live": 1 / m + 1e-3 * (k % 2)}
            row |= {"mean_fourth_overlap_live": 1e-3, "max_overlap_live": 0.5}
            rows += [row, row | {"refit": "bias_and_norms", "loss": 2 / m}]
    return filled("interventions", rows)


def mediation() -> pd.DataFrame:
    common = {"n_curves": 8, "n_models": 48}
    overlap = {"data": "live", "predictors": "log_mean", "slope": 1.1, "slope_stderr": 0.02, "exponent_error": 0.1}
    overlap["rsquared"] = 0.95
    rival = {"data": "counting", "predictors": "k = m^2/2", "exponent_error": 0.7, "n_undefined": 3}
    return filled("mediation", [common | overlap, common | rival])


def mean_field() -> pd.DataFrame:
    rows = [{"n": n, "m": m, "activation_density": 1.0, "loss": 2 / m} for n in (1000, 10**6) for m in (25, 39, 400)]
    rows += [{"n": 10**6, "m": m, "activation_density": 1.0, "loss": 2 / m} for m in (630, 1000, 1600)]
    return filled("mean_field", rows)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Models from both initial biases: from b = 0 no feature is silent, and the loss is 3/m."""
    folder = tmp_path_factory.mktemp("study")
    paths = synthetic_toy.study(folder, widths=(10, 15, 25, 39), alphas=(0.0, 1.0), densities=(), factors=())
    normal = in_parts(tables.read("toy_models", paths["toy_models"]), SHARES)
    normal = normal.assign(n_silent=300, phi_live=normal["phi_half"] - 0.3 * (normal["gamma"] < 0))
    normal = normal.assign(loss_silent_stderr=1e-3)
    zero = normal.assign(model=normal["model"] + "_zero", initial_bias="zero", n_silent=0, phi_live=normal["phi_half"])
    zero = zero.assign(loss=np.where(zero["gamma"] < 0, 3 / zero["m"], zero["loss"]))
    zero = in_parts(zero, SHARES | {"silent": 0.0, "shrink": 0.9})
    welch = zero["m"].map(lambda m: geometry.welch_bound(1000, m))
    bound = 4 / 3 * welch * np.where(zero["m"] < 39, 0.5, 1.1)
    zero = zero.assign(loss_interference=bound.where(zero["gamma"] < 0, 0.0))
    zero = zero.assign(loss_interference_stderr=1e-4)
    models = pd.concat([normal, zero.assign(loss_shrink=0.96 * zero["loss"] - zero["loss_interference"])])
    one_active = models[["model"]].assign(frequency_live=1 - 3 / 4 * models["loss_silent"])
    contents = {
        "toy_models": tables.validate("toy_models", models, "test"),
        "toy_exponents": toy_fits.exponent_table(models),
        "toy_one_active": filled("toy_one_active", one_active.to_dict("records")),
        "interventions": interventions(),
        "mediation": mediation(),
        "mean_field": mean_field(),
    }
    rest = {name: pd.DataFrame(columns=list(entry["columns"])) for name, entry in tables.dictionary().items()}
    return Study(frames=rest | contents, resources=PUBLISHED)


def rows(study: Study, name: str) -> pd.DataFrame:
    return registry.table(study, [REGISTRY[f"mechanism.{name}"]])


def only(study: Study, name: str, words: str = "") -> dict[str, Any]:
    found = rows(study, name)
    (row,) = found[found["quantity"].str.contains(words, regex=False)].to_dict("records")
    return row


def test_parts_sum_and_silent_features_cost_four_thirds(made: Study) -> None:
    sums = only(made, "parts_sum")
    assert (sums["verdict"], sums["ours"]) == ("reproduced", pytest.approx(0, abs=1e-12))
    for alpha in (0, 1):
        found = only(made, "silent_loss", f"alpha = {alpha}")
        assert (found["ours"], found["verdict"]) == (pytest.approx(1), "reproduced")
    broken = made.table("toy_models").assign(loss_false=0.0)
    study = Study(frames={"toy_models": broken}, resources=PUBLISHED)
    assert only(study, "parts_sum")["verdict"] == "differs"


def test_shares_of_the_loss(made: Study) -> None:
    assert only(made, "silent_share", "alpha = 1, m = 10")["ours"] == pytest.approx(0.7)
    assert only(made, "silent_share", "alpha = 1, m = 10")["expected"] == 0.83
    assert only(made, "silent_majority", "alpha = 0")["ours"] == pytest.approx(0.7)
    assert only(made, "cross_talk", "alpha = 0")["ours"] == pytest.approx(0.1)
    assert set(rows(made, "live_weak")["verdict"]) == {"reproduced"}
    assert rows(made, "live_strong")["ours"].to_list() == pytest.approx([0.3, 0.3])
    assert set(rows(made, "live_strong")["verdict"]) == {"differs"}


def test_parts_of_the_scatter_and_exponent_of_live_features(made: Study) -> None:
    common = KEY | {"initial_bias": "normal", "status": "converged", "n_points": 6}
    parts = [
        common | {"alpha": alpha, "part": part, "exponent": 1.0, "exponent_stderr": 0.05, "scatter_explained": share}
        for alpha, shares in ((0.0, (0.9, 0.1, 0.0)), (1.0, (0.96, 0.3, 0.0)))
        for part, share in zip(("silent", "unrepresented", "live"), shares, strict=True)
    ]
    study = Study(frames={"toy_part_exponents": filled("toy_part_exponents", parts)}, resources=PUBLISHED)
    found = only(study, "silent_scatter")
    assert (found["ours"], found["n"]) == (pytest.approx(0.93), 2)
    assert "features with norm up to 1/2: 0.10, 0.30" in found["note"]
    assert only(study, "live_exponent", "alpha = 0")["expected"] == 1.03
    assert only(study, "live_exponent", "alpha = 1")["ours"] == 1.0


def test_exponents_from_zero_bias(made: Study) -> None:
    for alpha, expected in ((0, 1.33), (1, 1.53)):
        row = only(made, "zero_exponent", f"alpha = {alpha}")
        assert (row["ours"], row["expected"]) == (pytest.approx(1), expected)
    assert set(rows(made, "zero_exponent_one")["verdict"]) == {"reproduced"}
    assert set(rows(made, "zero_power_law")["verdict"]) == {"reproduced"}
    fits = made.table("toy_exponents").set_index(["initial_bias", "gamma", "alpha"])["exponent"]
    change = only(made, "bias_changes_exponent", "alpha = 0")
    assert change["ours"] == pytest.approx(fits["zero", -0.5556, 0.0] - fits["normal", -0.5556, 0.0])


def test_silent_features_and_the_bound_on_interference(made: Study) -> None:
    assert (only(made, "zero_silent")["ours"], only(made, "zero_silent")["verdict"]) == (0, "reproduced")
    narrow, wide = (only(made, "interference_bound", f"m = {m}") for m in (25, 39))
    assert (narrow["ours"], narrow["n"]) == (pytest.approx(0.5), 2)
    assert wide["ours"] == pytest.approx(1.1)
    assert set(rows(made, "weak_bias")["ours"].round(6)) == {1.0}


def test_interventions(made: Study) -> None:
    for m in (25, 39):
        row = only(made, "revived", f"m = {m}")
        assert (row["ours"], row["verdict"]) == (pytest.approx(1), "reproduced")
        assert only(made, "not_revived", f"continued, alpha = 0, m = {m}")["ours"] == pytest.approx(1)
        assert only(made, "interference_squared", f"m = {m}")["ours"] == pytest.approx(2)
    tail = only(made, "overlap_tail")
    assert "99 % quantile 1.00" in tail["note"]
    assert (tail["n"], tail["unit"], 0 < tail["ours"] < 1) == (2, "models", True)


def test_predictors_and_theory(made: Study) -> None:
    assert (only(made, "live_loss_overlaps")["ours"], only(made, "live_loss_overlaps")["n"]) == (1.1, 8)
    rival = only(made, "counting_rival", "k = m^2/2")
    assert rival["ours"] == pytest.approx(0.6)
    assert rival["ours_err"] == pytest.approx(np.hypot(0.7, 0.1) / 4)  # rms / sqrt(2 n), n = 8
    assert rows(made, "theory_random_rows")["ours"].to_list() == pytest.approx([1, 1])
    assert only(made, "theory_limit")["ours"] == pytest.approx(1)


@pytest.mark.parametrize("name", NAMES)
def test_without_tables_nothing_was_run(name: str) -> None:
    empty = Study.read([], PUBLISHED, "default")
    assert set(registry.table(empty, [REGISTRY[name]])["verdict"]) == {"not_run"}
