"""Claims about the exponent of width in training suites of other groups, and about the joint law."""

import math
from collections.abc import Iterator

import pandas as pd
from scipy import stats

from scaling.claims.registry import EXPONENT, Result, claim
from scaling.claims.study import Study
from scaling.fits import inputs
from scaling.fits.estimate import Estimate


JOINT = {"where": "follow-up work on depth and training time", "origin": "hypothesis", "expected_kind": "hypothesis"}


@claim(
    id="suites.width_exponent",
    text="alpha_m is near 1 in training suites outside the paper",
    origin="hypothesis",
    where="Fig. 8b",
    quantity="a of L = L0 + c_m/m^a and terms of depth and data",
    expected=1.0,
    expected_kind="hypothesis",
    delta=EXPONENT,
    tables=["width_suites"],
    how_to_run="`snakemake --cores all fits` with a network, or paths under `fits: suites:`",
)
def width_exponent(study: Study) -> Iterator[Result]:
    """One result per suite, from its first selection; controls and the points of the joint law are left out."""
    suites = study.table("width_suites")
    some = suites[suites["primary"] & ~suites["control"] & (suites["suite"] != "chinchilla")]
    for row in some[some["status"] != inputs.NOT_RUN].to_dict("records"):
        settled = row["status"] == inputs.CONVERGED
        ours = Estimate(
            value=row["a"] if settled else math.nan,
            stderr=row["a_stderr"] if settled else math.nan,
            df=row["n_widths"] - 1,
            n=row["n_widths"],
        )
        note = f"{row['verdict']} by the rules of docs/suites.md"
        others = suites[(suites["suite"] == row["suite"]) & ~suites["primary"]]["a"].dropna()
        if len(others):
            note += f"; other selections and texts give {others.min():.2f} to {others.max():.2f}"
        if not settled:
            note += f"; {row['note']}"
        setting = f"{row['suite'].replace('_', ' ')}, {row['selection']}"
        yield Result(ours=ours, setting=setting, source="published data", note=note)


def joint(study: Study, name: str) -> Iterator[Result]:
    """Exponent `name` of the joint law: one result per estimator and number of points left out."""
    for row in study.table("joint_fit").to_dict("records"):
        if row["status"] == inputs.NOT_RUN:
            continue
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        settled = row["status"] == inputs.CONVERGED
        stderr = (
            (high - low) / (2 * stats.norm.ppf(0.975)) if settled and pd.notna(high) and pd.notna(low) else math.nan
        )
        kind = "profile" if row["estimator"] == "least_squares" else "bootstrap over model sizes"
        note = row["note"] if pd.notna(row["note"]) else f"95 % interval {low:.2f} to {high:.2f}, {kind}"
        yield Result(
            ours=Estimate(value=row[name] if settled else math.nan, stderr=stderr, n=row["n_points"], unit="points"),
            setting=f"{row['estimator'].replace('_', ' ')}, {row['n_excluded']} points left out",
            source="published data",
            curve="Chinchilla points",
            note=note,
        )


@claim(
    id="suites.joint_width",
    text="joint law of the Chinchilla points: width exponent 1",
    quantity="a of L = L0 + c_m/m^a + c_l/l^b + c_D/D^c",
    expected=1.0,
    delta=EXPONENT,
    tables=["joint_fit"],
    **JOINT,
)
def joint_width(study: Study) -> Iterator[Result]:
    """Width exponent of the joint law."""
    yield from joint(study, "width_exponent")


@claim(
    id="suites.joint_depth",
    text="joint law of the Chinchilla points: depth exponent 1",
    quantity="b of L = L0 + c_m/m^a + c_l/l^b + c_D/D^c",
    expected=1.0,
    delta=EXPONENT,
    tables=["joint_fit"],
    **JOINT,
)
def joint_depth(study: Study) -> Iterator[Result]:
    """Depth exponent of the joint law."""
    yield from joint(study, "depth_exponent")


@claim(
    id="suites.joint_data",
    text="joint law of the Chinchilla points: data exponent 1/3",
    quantity="c of L = L0 + c_m/m^a + c_l/l^b + c_D/D^c",
    expected=1 / 3,
    delta=EXPONENT,
    tables=["joint_fit"],
    **JOINT,
)
def joint_data(study: Study) -> Iterator[Result]:
    """Data exponent of the joint law."""
    yield from joint(study, "data_exponent")
