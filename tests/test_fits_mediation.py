"""What predicts the loss: known laws are recovered, and the rival is refused where it is wrong."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic_toy import filled

from scaling import geometry, tables
from scaling.fits.mediation import (
    clustered_errors,
    counted_loss,
    counting_rows,
    live_rows,
    mediation_table,
    new_row_rows,
)
from scaling.toy.features import frequencies


ALPHAS = (0.0, 0.5, 1.0, 1.5)
WIDTHS = (10, 20, 40, 80)


def made_up(loss_of) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Tables of models, features and exact losses: one curve per alpha; loss_of(m, p, kappa^2, tightness)."""
    models, features, exact = [], [], []
    rng = np.random.default_rng(0)
    for alpha in ALPHAS:
        p = frequencies("power_law", 1000, alpha, 1.0)
        for m in WIDTHS:
            model = f"paper/alpha{alpha}/gamma-0.5/m{m}_seed0"
            welch, tightness = geometry.welch_bound(900, m), rng.uniform(-1, 1)
            mean = welch + tightness * (1 / m - welch)
            row = {"experiment": "sweep", "model": model, "training": "paper", "frequency_law": "power_law"}
            row |= {"n": 1000, "m": m, "gamma": -0.5, "alpha": alpha, "activation_density": 1.0, "phi_half": 1.0}
            row |= {"learning_rate_factor": 1.0, "initial_bias": "normal", "loss": loss_of(m, p, welch, tightness)}
            models.append(row | {"mean_sq_overlap_live": mean, "max_overlap_live": rng.uniform(0.5, 1)})
            quantile = {"mean_fourth_overlap_live": rng.uniform(0.1, 0.2), "overlap_quantile_live": rng.uniform(0.2, 1)}
            exact.append({"model": model, "n_live": 900, "frequency_live": 0.9, **quantile})
            features.append(pd.DataFrame({"model": model, "feature": np.arange(1, 1001), "frequency": p}))
    return (
        filled("toy_models", models),
        filled("toy_features", pd.concat(features).to_dict("records")),
        filled("toy_one_active", exact),
    )


def test_a_known_law_of_the_live_loss_is_recovered():
    models, _, exact = made_up(lambda m, p, welch, tightness: 0.9 * welch**1.5 * np.exp(0.3 * tightness))
    rows = pd.DataFrame(live_rows(models, exact)).set_index(["predictors", "predictor"])
    both = "log_welch + tightness"
    assert rows.loc[(both, "log_welch"), "slope"] == pytest.approx(1.5)
    assert rows.loc[(both, "tightness"), "slope"] == pytest.approx(0.3)
    assert rows.loc[(both, "tightness"), "error_outside"] == pytest.approx(0, abs=1e-9)
    assert rows.loc[("log_max", "log_max"), "error_outside"] > 0.5
    assert rows.loc[("log_m", "log_m"), "n_curves"] == len(ALPHAS)


def test_directions_of_several_seeds_and_alphas_share_a_slope():
    rng = np.random.default_rng(1)
    rows = []
    for alpha in (0.0, 1.0):
        for m in (25, 39):
            for seed in (0, 1, 2):
                for name in ("rows_kept", "rows_random", "rows_tight_frame", "rows_clustered"):
                    quantile = rng.uniform(0.2, 0.5)
                    row = {"model": f"{alpha} {m} {seed}", "n": 1000, "m": m, "alpha": alpha, "intervention": name}
                    row |= {"refit": "bias", "loss": (1 - alpha / 2) * quantile**3, "overlap_quantile_live": quantile}
                    row |= {"mean_sq_overlap_live": rng.uniform(0.9, 1.1) / m, "mean_fourth_overlap_live": 1e-3 * m}
                    rows.append(row | {"max_overlap_live": rng.uniform(0.5, 0.9)})
    found = pd.DataFrame(new_row_rows(filled("interventions", rows))).set_index(["data", "predictors"])
    line = found.loc[("rows_bias", "log_quantile")]
    assert (line["slope"], line["n_models"], line["n_curves"]) == (pytest.approx(1.5), 48, 4)  # of the squared quantile
    assert line["error_outside"] == pytest.approx(0, abs=1e-9)
    assert found.loc[("rows_bias", "log_mean"), "error_outside"] > 0.3


def test_the_counting_rival_is_recovered_where_it_is_true():
    law = lambda m, p, welch, tightness: counted_loss(p, 4 * m**1.2)  # noqa: E731
    models, features, _ = made_up(law)
    given, fitted = counting_rows(models, features)
    assert fitted["slope"] == pytest.approx(1.2, abs=0.01)
    assert fitted["error_outside"] < 0.02
    assert fitted["exponent_error"] < 0.05
    assert given["n_undefined"] == len(ALPHAS)  # m = 80: m^2/2 is more than n
    assert given["error_inside"] > 0.3


def test_counted_loss_by_hand():
    p = np.array([0.5, 0.3, 0.2])
    assert counted_loss(p, 1) == pytest.approx(4 / 3 * 0.5)
    assert counted_loss(p, 1.5) == pytest.approx(4 / 3 * (0.5 + 0.2) / 2)
    assert counted_loss(p, 99) == 0


def test_clustered_errors_of_a_mean_are_those_of_cluster_means():
    """Equal clusters, only a constant: CR1 is the standard error of the cluster means times sqrt((n-1)/(n-1))."""
    y, cluster = np.random.default_rng(0).standard_normal(12), np.repeat(np.arange(4), 3)
    residual = y - y.mean()
    (error,) = clustered_errors(np.ones((12, 1)), residual, cluster)
    assert error == pytest.approx(stats.sem(y.reshape(4, 3).mean(axis=1)))


def test_the_table_of_a_small_study_says_what_it_lacks():
    models, features, exact = made_up(lambda m, p, welch, tightness: 1 / m)
    few = models[models["alpha"] == 0]
    empty = filled("interventions", [{"m": 1}]).iloc[:0]
    table = tables.validate("mediation", mediation_table(few, features, exact, empty), "test")
    assert table["note"].str.contains("needs at least 3 curves").all()
