"""Claims about attention as clustering, about its sources, and about superposition as its repulsive counterpart.

Sources: the k-means transformer (arXiv 2506.19125), tokens on the sphere (arXiv 2312.10794, 2410.23228, 2411.04990,
2507.22857, 2606.05140), HCFormer (code weijianan1/HCFormer), and a text on attention and Lie algebras.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import linregress

from scaling.claims.registry import EXPONENT, RATIO, SHARE, Result, claim
from scaling.claims.study import Study, records
from scaling.fits.estimate import Estimate, mean_over


COMMON: dict[str, Any] = {"how_to_run": "`snakemake --cores all attention`"}
EXACT = 1e-6  # margin of a number that is exact up to rounding
LARGEST_BETA = 6.0  # of the phase boundary: beyond it tokens need longer than the simulation
FOUND = 0.5  # a trained layer has found the circuit if its error is below this share of the distance of the start


def exact(value: float, n: int = 1, unit: str = "checks") -> Estimate:
    """A number without sampling error."""
    return Estimate(value=float(value), stderr=0.0, n=n, unit=unit)


def share(count: float, n: int, unit: str) -> Estimate:
    """A share with the Agresti-Coull standard error, which is not zero at 0 or 1."""
    centre = (count + 2) / (n + 4)
    return Estimate(value=count / n, stderr=math.sqrt(centre * (1 - centre) / (n + 4)), n=n, unit=unit)


def mean_of(values: pd.Series, unit: str) -> Estimate:
    """Mean of independent values and its standard error."""
    return mean_over(np.arange(len(values)), values.to_numpy(dtype=float), unit)


@claim(
    id="attention.k_means_exact",
    text="two attention layers are one iteration of Lloyd's algorithm",
    origin="statement",
    where="arXiv 2506.19125, abstract",
    quantity="share of iterations equal to scikit-learn's, exact ties broken",
    expected=1.0,
    expected_kind="published",
    delta=SHARE,
    tables=["attention_k_means"],
    **COMMON,
)
def k_means_exact(study: Study) -> Iterator[Result]:
    """One row per data set."""
    table = study.table("attention_k_means")
    for data, part in table[table["jitter"] > 0].groupby("data", sort=False):
        n = int(part["n_steps"].sum())
        yield Result(setting=str(data), ours=share(n - part["n_different"].sum(), n, "iterations"))


@claim(
    id="attention.k_means_ties",
    text="the circuit and scikit-learn differ at exact ties alone",
    origin="hypothesis",
    where="not in the source",
    quantity="share of the iterations that differ which have an exact tie",
    expected=1.0,
    expected_kind="hypothesis",
    delta=0.1,
    tables=["attention_k_means"],
    **COMMON,
)
def k_means_ties(study: Study) -> Iterator[Result]:
    """All data sets together."""
    table = study.table("attention_k_means")
    table = table[table["jitter"] == 0]
    n = int(table["n_different"].sum())
    if n:
        yield Result(ours=share(table["n_different_with_tie"].sum(), n, "iterations"))


@claim(
    id="attention.soft_k_means_transition",
    text="soft k-means has a phase transition at beta_c = 1 / lambda_max",
    origin="statement",
    where="Rose, Gurewitz, Fox 1990",
    quantity="growth per layer near the mean over beta / beta_c",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=["attention_soft_k_means"],
    **COMMON,
)
def soft_transition(study: Study) -> Iterator[Result]:
    """One row per data set."""
    table = study.table("attention_soft_k_means").dropna(subset=["growth"])
    for data, part in table.groupby("data", sort=False):
        ratio = part["growth"] * part["beta_critical"] / part["beta"]
        yield Result(setting=str(data), ours=mean_of(ratio, "temperatures"))


def first_layers(study: Study, kind: str) -> pd.DataFrame:
    """Networks of one layer of this kind, applied once."""
    table = study.table("attention_lloyd_network")
    return table[(table["kind"] == kind) & (table["depth"] == 1) & (table["layer"] == 1)]


def learned(column: str) -> Callable[[Study], Iterator[Result]]:
    """A parameter of the layers that started aligned, mean over seeds."""

    def results(study: Study) -> Iterator[Result]:
        rows = first_layers(study, "aligned")
        if len(rows):
            yield Result(ours=mean_of(rows[column], "seeds"))

    return results


for name, column, value, words in (
    ("centre_weight", "centre_ratio", -0.5, "weight of |c|^2 over beta"),
    ("isotropy", "anisotropy", 0.0, "|A - beta I| / |A|"),
    ("residual", "residual", 0.0, "share of the old centre"),
):
    claim(
        id=f"attention.learned_{name}",
        text="a trained attention layer finds the k-means circuit",
        origin="hypothesis",
        where="not in the source, which builds the circuit",
        quantity=f"{words}, aligned start",
        expected=value,
        expected_kind="derived",
        delta=0.05,
        tables=["attention_lloyd_network"],
        **COMMON,
    )(learned(column))


@claim(
    id="attention.learned_from_random",
    text="gradient descent finds the k-means circuit from any start",
    origin="hypothesis",
    where="not in the source, which builds the circuit",
    quantity="share of seeds that find it",
    expected=1.0,
    expected_kind="hypothesis",
    delta=SHARE,
    tables=["attention_lloyd_network"],
    **COMMON,
)
def learned_from_random(study: Study) -> Iterator[Result]:
    """One row per kind of start or layer."""
    for kind in ("aligned", "random", "transformer"):
        rows = first_layers(study, kind)
        if len(rows):
            found = int((rows["error"] < FOUND * rows["error_of_start"]).sum())
            yield Result(setting=kind, ours=share(found, len(rows), "seeds"))


@claim(
    id="attention.equiangular",
    text="tokens with equal inner products follow one differential equation",
    origin="statement",
    where="arXiv 2312.10794, section 6",
    quantity="largest error of an inner product",
    expected=0.0,
    expected_kind="derived",
    delta=EXACT,
    tables=["attention_flow_checks"],
    **COMMON,
)
def equiangular(study: Study) -> Iterator[Result]:
    """One row per flow."""
    for flow, part in study.table("attention_flow_checks").groupby("flow"):
        yield Result(setting=str(flow), ours=exact(part["equiangular_error"].max(), len(part), "temperatures"))


@claim(
    id="attention.energy_rate",
    text="both flows ascend the interaction energy at the stated rate",
    origin="statement",
    where="arXiv 2312.10794",
    quantity="largest relative error of dE/dt",
    expected=0.0,
    expected_kind="derived",
    delta=1e-4,
    tables=["attention_flow_checks"],
    **COMMON,
)
def energy_rate(study: Study) -> Iterator[Result]:
    """One row per flow."""
    for flow, part in study.table("attention_flow_checks").groupby("flow"):
        yield Result(setting=str(flow), ours=exact(part["energy_rate_error"].max(), len(part), "temperatures"))


@claim(
    id="attention.phase_boundary",
    text="in high dimension uniform tokens cluster when the equiangular solution does",
    origin="figure",
    where="arXiv 2312.10794, phase diagrams",
    quantity="time to half of the pairs over the solution by the same steps, beta <= 6",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=["attention_phase_times"],
    **COMMON,
)
def phase_boundary(study: Study) -> Iterator[Result]:
    """One row per dimension; a temperature at which half of the pairs never cluster counts for none."""
    table = study.table("attention_phase_times")
    table = table[table["beta"] <= LARGEST_BETA].dropna(subset=["time_half"])
    for d, part in table.groupby("d"):
        yield Result(setting=f"d = {d}", ours=mean_of(part["time_half"] / part["time_euler"], "temperatures"))


@claim(
    id="attention.mode_growth",
    text="modes on the circle grow at k^2 I_k(beta) / beta",
    origin="statement",
    where="arXiv 2410.23228, abstract",
    quantity="measured over predicted rate",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=["attention_modes"],
    **COMMON,
)
def mode_growth(study: Study) -> Iterator[Result]:
    """One row per flow."""
    for flow, part in study.table("attention_modes").groupby("flow"):
        yield Result(setting=str(flow), ours=mean_of(part["rate"] / part["rate_predicted"], "modes"))


@claim(
    id="attention.metastable",
    text="the number of metastable clusters on the circle grows as sqrt(beta)",
    origin="statement",
    where="arXiv 2312.10794; 2410.23228",
    quantity="exponent of the clusters of SA at t = 100 against beta",
    expected=0.5,
    expected_kind="published",
    delta=EXPONENT,
    tables=["attention_metastable"],
    **COMMON,
)
def metastable(study: Study) -> Iterator[Result]:
    """Slope through the means over seeds."""
    table = study.table("attention_metastable")
    means = table[~table["causal"].astype(bool)].groupby("beta")["n_clusters"].mean().astype(float)
    if len(means) > 2:
        line = linregress(np.log(means.index.to_numpy(float)), np.log(means))
        error = Estimate(value=line.slope, stderr=line.stderr, df=len(means) - 2, n=len(means), unit="temperatures")
        yield Result(ours=error)


def causal_rows(study: Study) -> pd.DataFrame:
    """Rows with a causal mask."""
    table = study.table("attention_metastable")
    return table[table["causal"].astype(bool)]


@claim(
    id="attention.renyi_number",
    text="under a causal mask the Renyi centres follow Renyi's parking problem",
    origin="statement",
    where="arXiv 2411.04990, section 5",
    quantity="Renyi centres of 200 tokens over the number for very many",
    expected=1.0,
    expected_kind="derived",
    delta=RATIO,
    tables=["attention_metastable"],
    **COMMON,
)
def renyi_number(study: Study) -> Iterator[Result]:
    """One row per beta."""
    for beta, part in causal_rows(study).groupby("beta"):
        yield Result(setting=f"beta = {beta:g}", ours=mean_of(part["n_renyi"] / part["n_renyi_expected"], "seeds"))


@claim(
    id="attention.renyi_capture",
    text="under a causal mask tokens gather at Renyi centres",
    origin="figure",
    where="arXiv 2411.04990, Fig. 2",
    quantity="share of the tokens within 0.1 rad of a Renyi centre at t = 150",
    expected=1.0,
    expected_kind="published",
    delta=SHARE,
    tables=["attention_metastable"],
    **COMMON,
)
def renyi_capture(study: Study) -> Iterator[Result]:
    """One row per beta."""
    for beta, part in causal_rows(study).groupby("beta"):
        yield Result(setting=f"beta = {beta:g}", ours=mean_of(part["share_near_renyi"], "seeds"))


@claim(
    id="attention.causal_collapse",
    text="under a causal mask with V = I every token ends at the first one",
    origin="statement",
    where="arXiv 2411.04990, Theorem 4.1",
    quantity="least cosine with the first token at t = 200",
    expected=1.0,
    expected_kind="published",
    delta=1e-3,
    tables=["attention_causal_collapse"],
    **COMMON,
)
def causal_collapse(study: Study) -> Iterator[Result]:
    """One row per kind of key-query matrix."""
    for kind, part in study.table("attention_causal_collapse").groupby("key_query"):
        yield Result(
            setting=f"{kind} key-query matrix", ours=exact(part["least_cosine"].min(), len(part), "dimensions")
        )


@claim(
    id="attention.synchronisation",
    text="USA on the circle fails to synchronise below beta = -2/3",
    origin="statement",
    where="arXiv 2507.22857",
    quantity="beta between the last three clusters and the first single one",
    expected=-2 / 3,
    expected_kind="published",
    delta=0.05,
    tables=["attention_synchronisation"],
    **COMMON,
)
def synchronisation(study: Study) -> Iterator[Result]:
    """The middle of the interval, with the standard deviation of a uniform number in it."""
    table = study.table("attention_synchronisation")
    kept, lost = table[table["n_clusters"] == 3]["beta"], table[table["n_clusters"] == 1]["beta"]
    if len(kept) and len(lost):
        low, high = float(kept.max()), float(lost.min())
        middle = Estimate(
            value=(low + high) / 2, stderr=(high - low) / math.sqrt(12), n=len(table), unit="temperatures"
        )
        yield Result(ours=middle)


@claim(
    id="attention.noise",
    text="noisy USA orders discontinuously beyond I_{d/2+1} / I_{d/2} = 1/d",
    origin="statement",
    where="arXiv 2606.05140, abstract",
    quantity="threshold of the free energy over the root",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=["attention_noise"],
    **COMMON,
)
def noise(study: Study) -> Iterator[Result]:
    """One row per dimension."""
    for row in records(study.table("attention_noise").dropna(subset=["beta_measured"])):
        ratio, error = row.beta_measured / row.beta_root, row.beta_resolution / row.beta_root / math.sqrt(3)
        yield Result(setting=f"d = {row.d}", ours=Estimate(value=ratio, stderr=error, unit="bisections"))
