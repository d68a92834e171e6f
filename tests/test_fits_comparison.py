"""Our cells beside published points: differences, errors and z of made-up tables with known answers."""

import math
from pathlib import Path
from typing import Any

import pytest
from synthetic_toy import filled

from scaling import tables
from scaling.fits import comparison
from scaling.fits.toy import exponent_table


ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "resources" / "published"
WIDTHS = (10, 15, 25, 39, 63, 100)


def models(factors: tuple[float, ...], gamma: float = -0.5555555556, **changes: Any) -> list[dict[str, Any]]:
    """Rows of toy_models at alpha = 1 with the tail loss factor / m of each seed, and twice that held out."""
    return [
        {"training": "paper", "frequency_law": "power_law", "n": 1000, "gamma": gamma, "alpha": 1.0, "m": m}
        | {"activation_density": 1.0, "learning_rate_factor": 1.0, "initial_bias": "normal", "seed": seed}
        | {"experiment": "sweep", "model": f"{gamma}_{m}_{seed}_{changes}", "loss_train_tail": factor / m}
        | {"loss": 2 * factor / m, "phi_half": 0.9, "phi_1": 0.5}
        | changes
        for seed, factor in enumerate(factors)
        for m in WIDTHS
    ]


def test_each_cell_has_its_difference_and_the_errors_of_its_seeds() -> None:
    rows = models((7.0, 7.0 * math.exp(0.2))) + models((6.0,), initial_bias="zero") + models((6.0,), gamma=0.4)
    frame = filled("toy_models", rows)
    table = comparison.published_table(frame, exponent_table(frame), PUBLISHED)
    table = tables.validate("toy_published", table, "test")
    assert table.groupby("figure").size().to_dict() == {"Fig. 3a": 6, "Fig. 6c": 6, "Fig. 6e": 1, "Fig. 7b": 6}

    loss = table[(table["figure"] == "Fig. 7b") & (table["m"] == 10)].iloc[0]
    assert loss["ours"] == pytest.approx(0.7 * math.exp(0.1))
    assert loss["ours_held_out"] == pytest.approx(2 * loss["ours"])
    assert loss["published"] == pytest.approx(0.69005, abs=1e-4)
    assert loss["difference"] == pytest.approx(math.log(loss["ours"] / loss["published"]))
    scatter = 0.2 / math.sqrt(2)
    assert (loss["ours_err"], loss["published_err"]) == (pytest.approx(scatter / math.sqrt(2)), pytest.approx(scatter))
    assert loss["z"] == pytest.approx(loss["difference"] / (scatter * math.sqrt(1.5)))

    exponent = table[table["figure"] == "Fig. 6e"].iloc[0]
    assert exponent["ours"] == pytest.approx(1)
    assert (exponent["n_seeds"], exponent["published_err"] > 0) == (2, True)
    assert exponent.isna()["m"]
    phi = table[table["quantity"].isin(["phi_half", "phi_1"])]
    assert phi["z"].isna().all()  # no scatter between these seeds: no error to compare with


def test_one_seed_has_no_error_and_an_empty_table_no_rows() -> None:
    frame = filled("toy_models", models((7.0,)))
    table = comparison.published_table(frame, exponent_table(frame), PUBLISHED)
    losses = tables.validate("toy_published", table, "test").query("figure == 'Fig. 7b'")
    assert len(losses) == 6
    assert losses["ours_err"].isna().all()
    assert losses["z"].isna().all()
    none = comparison.published_table(frame.head(0), exponent_table(frame.head(0)), PUBLISHED)
    assert len(tables.validate("toy_published", none, "test")) == 0


def test_every_published_point_is_a_cell_of_the_paper_s_grid() -> None:
    counts = {figure: len(comparison.points(figure, PUBLISHED)) for figure in comparison.PUBLISHED}
    assert counts["Fig. 6e"] == 51
    assert counts["Fig. 5b"] == 9
    assert set(comparison.points("Fig. 1d", PUBLISHED)["frequency_law"]) == {"power_law", "exponential", "linear"}
