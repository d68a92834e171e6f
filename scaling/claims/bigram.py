"""Claims about the exact bigram language model, whose floor is known. The paper has no such model.

Its law for language models, L = C/m + L0 under superposition, becomes a hypothesis about the excess L - H. Each rival
predicts an exponent of its own for the same matrix.
"""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from scaling.claims.registry import EXPONENT, RATIO, SHARE, Result, claim
from scaling.claims.study import Study, records
from scaling.fits.estimate import Estimate, mean_over


COMMON: dict[str, Any] = {
    "where": "not in the paper",
    "origin": "hypothesis",
    "how_to_run": "`snakemake --cores all bigram` with `matrices` and `models` that have it",
}
LEAST_EXCESS = 1e-4  # nats per token: an excess below it counts as none
RIVALS = {
    "overlap": "the mean squared overlap of W",
    "chi_square": "the spectrum of the chi-square matrix",
    "log_spectrum": "the spectrum of log P",
    "truncated": "the exact loss of the truncated log P",
    "frequency": "the frequencies of contexts, one dimension each",
    "successors": "the number of successors, two dimensions each",
}
SIZED = ("chi_square", "log_spectrum")  # the others have a fitted constant or are bounds


def free(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of untied models without decay."""
    return frame[(frame["gamma"] == 0) & ~frame["tied"].astype(bool)]


def counted(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of matrices counted from a text, smoothed or not."""
    return frame[frame["law"].isin(["text", "smoothed"])]


@claim(
    id="bigram.floor",
    text="bigram model: with as many dimensions as tokens the floor is reached",
    quantity="largest excess with m >= n, nats per token",
    expected=LEAST_EXCESS,
    expected_kind="derived",
    relation="at most",
    delta=LEAST_EXCESS,
    tables=["bigram_models"],
    **COMMON,
)
def floor(study: Study) -> Iterator[Result]:
    """Untied models without decay that can represent every distribution."""
    models = free(study.table("bigram_models"))
    for matrix, part in models[models["m"] >= models["n"]].groupby("matrix"):
        ours = Estimate(value=float(part["excess"].max()), stderr=0.0, n=len(part), unit="models")
        yield Result(ours=ours, setting=str(matrix))


@claim(
    id="bigram.independent",
    text="bigram model: independent tokens need no dimensions, whatever their frequencies",
    quantity="largest excess, nats per token",
    expected=LEAST_EXCESS,
    expected_kind="derived",
    relation="at most",
    delta=LEAST_EXCESS,
    tables=["bigram_models"],
    **COMMON,
)
def independent(study: Study) -> Iterator[Result]:
    """Models of the matrix P = 1 r^T."""
    models = free(study.table("bigram_models"))
    part = models[models["law"] == "independent"]
    if len(part):
        yield Result(ours=Estimate(value=float(part["excess"].max()), stderr=0.0, n=len(part), unit="models"))


def exponents(study: Study, window: str, column: str) -> Iterator[Result]:
    """An exponent of each counted matrix in one window of widths."""
    rows = counted(free(study.table("bigram_exponents")))
    for row in records(rows[(rows["window"] == window) & rows[column].notna()]):
        value, stderr = getattr(row, column), getattr(row, f"{column}_stderr")
        ours = Estimate(value=value, stderr=stderr, df=row.n_points - 2, n=row.n_points)
        widths = f"n = {row.n}, m = {row.m_min:g} to {row.m_max:g}"
        yield Result(ours=ours, setting=f"{row.matrix}, {widths}", curve=f"{column}, {row.matrix}, {window}")


@claim(
    id="bigram.overlap",
    text="bigram model: squared overlaps of W fall as 1/m",
    quantity="exponent of the balanced mean squared overlap",
    expected=1.0,
    expected_kind="hypothesis",
    delta=EXPONENT,
    tables=["bigram_exponents"],
    **COMMON,
)
def overlap(study: Study) -> Iterator[Result]:
    """All widths below n/2."""
    yield from exponents(study, "all", "overlap_exponent")


@claim(
    id="bigram.exponent_narrow",
    text="bigram model: the excess over the known floor falls as 1/m while m << n",
    quantity="alpha_m, m <= n/16",
    expected=1.0,
    expected_kind="hypothesis",
    delta=EXPONENT,
    tables=["bigram_exponents"],
    **COMMON,
)
def exponent_narrow(study: Study) -> Iterator[Result]:
    """Widths up to n/16."""
    yield from exponents(study, "narrow", "exponent")


@claim(
    id="bigram.exponent_all",
    text="bigram model: the excess over the known floor falls as 1/m at all widths",
    quantity="alpha_m, m < n/2",
    expected=1.0,
    expected_kind="hypothesis",
    delta=EXPONENT,
    tables=["bigram_exponents"],
    **COMMON,
)
def exponent_all(study: Study) -> Iterator[Result]:
    """All widths below n/2."""
    yield from exponents(study, "all", "exponent")


@claim(
    id="bigram.weak_norms",
    text="bigram model: strong weight decay leaves most rows of W below norm 1/2",
    quantity="mean phi_half at the largest gamma",
    expected=0.5,
    expected_kind="hypothesis",
    relation="at most",
    delta=SHARE,
    tables=["bigram_models"],
    **COMMON,
)
def weak_norms(study: Study) -> Iterator[Result]:
    """The largest gamma above 0 of each matrix."""
    models = counted(study.table("bigram_models"))
    for matrix, part in models[(models["gamma"] > 0) & ~models["tied"].astype(bool)].groupby("matrix"):
        weak = part[part["gamma"] == part["gamma"].max()]
        yield Result(
            ours=mean_over(weak["model"], weak["phi_half"], unit="models"),
            setting=f"{matrix}, gamma = {weak['gamma'].iloc[0]:g}",
        )


@claim(
    id="bigram.decay_gain",
    text="bigram model: without superposition the excess falls less with m",
    quantity="fall of the excess from the smallest to the largest width, largest gamma over gamma < 0",
    expected=1.0,
    expected_kind="hypothesis",
    relation="at most",
    delta=RATIO,
    tables=["bigram_models"],
    **COMMON,
)
def decay_gain(study: Study) -> Iterator[Result]:
    """Full-batch training to a minimum: the fall is exact for one seed."""
    models = counted(study.table("bigram_models"))
    for matrix, part in models[~models["tied"].astype(bool) & (models["seed"] == 0)].groupby("matrix"):
        falls = {}
        for gamma in (part["gamma"].min(), part["gamma"].max()):
            curve = part[part["gamma"] == gamma].set_index("m")["excess"].astype(float).sort_index()
            falls[gamma] = curve.iloc[0] - curve.iloc[-1]
        if len(falls) == 2 and min(falls) < 0 < max(falls):
            ratio = falls[max(falls)] / falls[min(falls)]
            ours = Estimate(value=ratio, stderr=0.0, n=1, unit="seeds")
            yield Result(ours=ours, setting=f"{matrix}, gamma = {max(falls):g} over {min(falls):g}")


def register_rival(rival: str, meaning: str) -> None:
    """Register the claim about a rival's exponent and, for the estimates of SIZED, the one about its size."""

    @claim(
        id=f"bigram.rival_{rival}",
        text=f"bigram model: {meaning} gives the exponent of the excess",
        quantity="alpha_m, m < n/2",
        expected=math.nan,
        expected_kind="derived",
        delta=EXPONENT,
        tables=["bigram_rivals"],
        **COMMON,
    )
    def exponent(study: Study) -> Iterator[Result]:
        """Measured exponent against the slope of the prediction over the same widths, for every matrix."""
        rows = free(study.table("bigram_rivals"))
        for row in records(rows[(rows["rival"] == rival) & (rows["window"] == "all")]):
            freedom = row.n_points - 2
            yield Result(
                ours=Estimate(value=row.exponent, stderr=row.exponent_stderr, df=freedom, n=row.n_points),
                expected=row.predicted_exponent,
                expected_err=row.predicted_exponent_stderr,
                expected_df=freedom,
                setting=row.matrix,
                curve=f"exponent, {row.matrix}, all",
            )

    if rival not in SIZED:
        return

    @claim(
        id=f"bigram.size_{rival}",
        text=f"bigram model: {meaning} gives the size of the excess",
        quantity="log of predicted over measured excess, mean over m <= n/16",
        expected=0.0,
        expected_kind="derived",
        delta=math.log(1 + RATIO),
        tables=["bigram_rivals"],
        **COMMON,
    )
    def size(study: Study) -> Iterator[Result]:
        """Mean over widths; its error is from the scatter between widths."""
        rows = counted(free(study.table("bigram_rivals")))
        for row in records(rows[(rows["rival"] == rival) & (rows["window"] == "narrow")]):
            error = row.log_rms / math.sqrt(row.n_points - 1)
            ours = Estimate(value=math.log(row.ratio), stderr=error, df=row.n_points - 1, n=row.n_points)
            yield Result(ours=ours, setting=row.matrix)


for name, words in RIVALS.items():
    register_rival(name, words)
