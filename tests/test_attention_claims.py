"""Claims of the attention study on made-up tables: numbers, errors, and not_run where there is nothing."""

from pathlib import Path

import pandas as pd
import pytest
from synthetic_toy import filled

from scaling import tables
from scaling.claims import attention, attention_matrices, registry
from scaling.claims.study import Study


PUBLISHED = Path(__file__).parents[1] / "resources" / "published"
IDS = [name for name in registry.REGISTRY if name.startswith("attention.")]


def study(**given: list[dict[str, object]]) -> Study:
    frames = {name: pd.DataFrame(columns=list(table["columns"])) for name, table in tables.dictionary().items()}
    made = {name: tables.validate(name, filled(name, rows), "test") for name, rows in given.items()}
    return Study(frames={**frames, **made}, resources=PUBLISHED)


def rows(name: str, made: Study) -> list[dict[str, object]]:
    return list(registry.REGISTRY[f"attention.{name}"].rows(made))


def test_every_claim_says_how_to_run_it_where_nothing_was_measured() -> None:
    assert len(IDS) >= 15
    for name in IDS:
        (row,) = registry.REGISTRY[name].rows(study())
        assert "snakemake --cores all attention" in str(row["note"])


def test_a_share_has_an_error_at_its_ends() -> None:
    ends = [attention.share(count, 10, "sets").stderr for count in (0, 10)]
    assert ends == pytest.approx([0.0935, 0.0935], abs=1e-4)
    assert attention.share(3, 10, "sets").value == 0.3


def test_the_threshold_is_the_middle_of_its_interval() -> None:
    made = study(
        attention_synchronisation=[
            {"beta": beta, "n_clusters": 3 if beta < -0.67 else 1, "stiffness": 0.0} for beta in (-0.7, -0.68, -0.64)
        ]
    )
    (row,) = rows("synchronisation", made)
    assert row["ours"] == pytest.approx(-0.66)
    assert row["ours_err"] == pytest.approx(0.04 / 12**0.5)


def test_metastable_clusters_give_an_exponent() -> None:
    made = study(
        attention_metastable=[
            {"causal": False, "beta": beta, "seed": seed, "n_clusters": round(beta**0.5), "n_clusters_early": 1}
            for beta in (4.0, 16.0, 64.0)
            for seed in (0, 1)
        ]
    )
    (row,) = rows("metastable", made)
    assert row["ours"] == pytest.approx(0.5)


def test_accuracies_are_paired_by_seed() -> None:
    accuracy = {"hyperbolic": (0.9, 0.8), "euclidean": (0.91, 0.81)}
    made = study(
        attention_mixers=[
            {"mixer": mixer, "seed": seed, "accuracy": value}
            for mixer, values in accuracy.items()
            for seed, value in enumerate(values)
        ]
    )
    (row,) = rows("hyperbolic", made)
    assert row["ours"] == pytest.approx(-0.01)
    assert row["ours_err"] == pytest.approx(0, abs=1e-12)


def test_a_correction_compares_the_stated_number() -> None:
    made = study(
        attention_corrections=[
            {"statement": "generators form a Lie algebra", "quantity": "-", "stated": 0.0, "computed": -0.05}
        ]
    )
    table = registry.table(made).set_index("id")
    assert table.loc["attention.generators_commute", "verdict"] == "differs"
    assert set(attention_matrices.CORRECTIONS) <= {name.removeprefix("attention.") for name in IDS}
