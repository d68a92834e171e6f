"""Claims about open language models (Fig. 8), the frequencies of their tokens, and the Chinchilla law."""

import math
from collections.abc import Iterator

import pandas as pd

from scaling.claims.registry import EXPONENT, RATIO, SHARE, Result, claim
from scaling.claims.study import Study, records
from scaling.fits import estimate, inputs
from scaling.fits.estimate import Estimate


PUBLISHED_DATA = "published data"
AUTHORS_ERROR = 0.03599  # the error of alpha_m in the authors' notebook, 0.04 when rounded
MEASURE = "`snakemake --cores all llm fits --configfile config.yaml config/paper.yaml` (needs a network)"
FIT = "`snakemake --cores all fits`"


def by_family(heads: pd.DataFrame, column: str) -> Estimate:
    """Exponent of a mean squared overlap in m with a factor per family."""
    rows = heads[heads[column] > 0]
    return estimate.common_exponent(rows["family"], rows["m"], rows[column])


@claim(
    id="llm.overlap",
    text="language models: the mean squared overlap falls as 1/m",
    origin="statement",
    where="Fig. 8a",
    quantity="exponent of the mean squared overlap in m, a factor per family",
    expected=1.0,
    expected_kind="published",
    delta=EXPONENT,
    tables=["llm_overlaps"],
    how_to_run=MEASURE,
)
def overlap(study: Study) -> Iterator[Result]:
    """The points of Fig. 8a, and the heads measured from the Hub: all rows as in the figure, and centred."""
    points = study.published("fig8a_llm_overlap", ["family", "m", "mean_square_overlap"])
    note = "independent rows have exponent 1, too"
    yield Result(
        ours=by_family(points, "mean_square_overlap"), source=PUBLISHED_DATA, curve="overlaps of Fig. 8a", note=note
    )
    heads = study.table("llm_overlaps")
    heads = heads[heads["source"] == "hub"]
    for words, column in (("all rows", "mean_sq_overlap_all_rows"), ("centred", "centred_mean_sq_overlap")):
        if len(heads):
            ours = by_family(heads, column)
            yield Result(ours=ours, setting=words, source="hub", curve=f"overlaps, {words}", note=note)


@claim(
    id="llm.heads_represented",
    text="language models: every token is represented, so the heads are in strong superposition",
    origin="statement",
    where="section on language models",
    quantity="share of rows with norm above half the mean norm, mean over heads",
    expected=1.0,
    expected_kind="published",
    delta=SHARE,
    tables=["llm_overlaps"],
    how_to_run=MEASURE,
)
def heads_represented(study: Study) -> Iterator[Result]:
    """phi_half in units of the mean norm, since the scale of a head's rows is arbitrary."""
    heads = study.table("llm_overlaps")
    shares = heads[heads["source"] == "hub"].dropna(subset=["phi_half_relative"])
    if len(shares):
        values = shares["phi_half_relative"].astype(float)
        ours = estimate.mean_over(shares["model"].astype(str), values, unit="models")
        yield Result(ours=ours, source="hub", note=f"from {values.min():.3f} to {values.max():.3f}")


@claim(
    id="llm.token_exponent",
    text="token frequencies are a power law with exponent near 1",
    origin="statement",
    where="section on language models",
    quantity="alpha of the truncated zeta law",
    expected=1.0,
    expected_kind="published",
    delta=EXPONENT,
    tables=["token_frequencies"],
    how_to_run="`snakemake --cores all llm`",
)
def token_exponent(study: Study) -> Iterator[Result]:
    """Each tokenizer and text once; bytes are no tokens."""
    rows = study.table("token_frequencies").dropna(subset=["exponent"])
    rows = rows[rows["tokenizer"] != "bytes"].drop_duplicates(["text", "vocabulary", "n_tokens", "exponent"])
    for row in records(rows):
        ours = Estimate(value=float(row.exponent), stderr=float(row.exponent_stderr), n=int(row.n_seen), unit="tokens")
        note = f"a line over the ranks {row.rank_min} to {row.rank_max} has slope {row.exponent_window:.2f}"
        yield Result(ours=ours, setting=f"{row.tokenizer}, {row.text}", note=f"{note}; the law is only approximate")


def power_fits(study: Study, source: str) -> pd.DataFrame:
    """Power-law fits of one source: all its points, then without each family."""
    fits = study.table("llm_loss_fit")
    return fits[(fits["form"] == "power") & (fits["source"] == source)]


def loss_exponent(rows: pd.DataFrame) -> tuple[Estimate, str] | None:
    """alpha_m of the fit of all points with its error by model, and what to know about it; None without a fit."""
    whole = rows[rows["subset"] == "all"]
    if whole.empty:
        return None
    row = next(records(whole))
    if row.status != inputs.CONVERGED:
        return Estimate(value=math.nan, n=0, unit="models"), f"{row.status}: {row.note}"
    clustered = not pd.isna(row.exponent_stderr_cluster)
    stderr = row.exponent_stderr_cluster if clustered else row.exponent_stderr
    note = f"error {'by model' if clustered else 'with independent residuals'}; alpha_m = 1 has p = "
    note += f"{row.pvalue_exponent_one:.2f}" if row.pvalue_exponent_one >= 0.005 else "< 0.005"
    without = rows.loc[rows["subset"].str.startswith("without"), "exponent"].dropna()
    if len(without):
        note += f"; without one family {without.min():.2f} to {without.max():.2f}"
    ours = Estimate(
        value=float(row.exponent), stderr=float(stderr), df=row.n_models - 1, n=int(row.n_models), unit="models"
    )
    return ours, note


@claim(
    id="llm.loss",
    text="language models: the loss falls as a power of m near 1",
    origin="statement",
    where="Fig. 8b",
    quantity="alpha_m of L = C/m^alpha_m + L0[family, data set]",
    expected=0.91,
    expected_err=0.04,
    expected_kind="published",
    delta=EXPONENT,
    tables=["llm_loss_fit"],
    how_to_run=MEASURE,
)
def loss(study: Study) -> Iterator[Result]:
    """The points of Fig. 8b, and losses measured from the Hub."""
    for source, name in (("published", PUBLISHED_DATA), ("hub", "hub")):
        found = loss_exponent(power_fits(study, source))
        if found:
            yield Result(ours=found[0], source=name, curve="losses of language models", note=found[1])


@claim(
    id="llm.loss_error",
    text="the published error of alpha_m follows from the authors' formula",
    origin="statement",
    where="Fig. 8b",
    quantity="error of alpha_m by this formula over that of the authors' notebook",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=["llm_loss_fit"],
    how_to_run=FIT,
)
def loss_error(study: Study) -> Iterator[Result]:
    """The formula takes C and every L0 as known, so it is no standard error."""
    rows = power_fits(study, "published")
    for row in records(rows[rows["subset"] == "all"]):
        ours = Estimate(
            value=float(row.exponent_stderr_authors) / AUTHORS_ERROR, stderr=0.0, n=int(row.n_points), unit="points"
        )
        note = f"{row.exponent_stderr_authors:.4f}; the formula takes C and every L0 as known"
        yield Result(ours=ours, source=PUBLISHED_DATA, curve="losses of language models", note=note)


@claim(
    id="llm.width_exponent",
    text="Chinchilla: the number of parameters grows as m^2.52",
    origin="statement",
    where="text on Chinchilla",
    quantity="k of N ~ m^k, Table A9 of Hoffmann et al.",
    expected=2.52,
    expected_err=0.03,
    expected_kind="published",
    delta=EXPONENT,
    tables=["width_fit"],
    how_to_run=FIT,
)
def width_exponent(study: Study) -> Iterator[Result]:
    """A line in logs through the 50 shapes."""
    rows = study.table("width_fit")
    for row in records(rows[rows["subset"] == "all"]):
        ours = Estimate(
            value=row.exponent, stderr=row.exponent_stderr, df=row.n_points - 2, n=row.n_points, unit="models"
        )
        yield Result(ours=ours, source=PUBLISHED_DATA, curve="shapes of the Chinchilla models")


def chinchilla(study: Study, name: str) -> Iterator[Result]:
    """One number of Huber's fit with the most points excluded, its error by bootstrap over model sizes."""
    fits = study.table("chinchilla_fit")
    huber = fits[fits["estimator"] == "huber"].sort_values("n_excluded", ascending=False)
    for row in records(huber.head(1)):
        fitted = row.status == inputs.CONVERGED
        others = fits[name].dropna()
        note = f"{row.status}: {row.note}"
        if fitted:
            note = f"Huber, {row.n_excluded} points excluded, error by model size"
            note += f"; other estimators and exclusions give {others.min():.3f} to {others.max():.3f}"
        ours = Estimate(
            value=float(getattr(row, name)) if fitted else math.nan,
            stderr=float(getattr(row, f"{name}_stderr_cluster")),
            n=int(row.n_points),
            unit="points",
        )
        yield Result(ours=ours, source=PUBLISHED_DATA, curve="losses of the Chinchilla models", note=note)


@claim(
    id="llm.chinchilla_alpha_n",
    text="Chinchilla: alpha_N = 0.35",
    origin="statement",
    where="text on Chinchilla",
    quantity="alpha_N of L = E + A/N^alpha_N + B/D^beta",
    expected=0.35,
    expected_err=0.02,
    expected_kind="published",
    delta=EXPONENT / 2.52,  # the margin of alpha_m = 2.52 alpha_N
    tables=["chinchilla_fit"],
    how_to_run=FIT,
)
def chinchilla_alpha_n(study: Study) -> Iterator[Result]:
    """The exponent of the number of parameters."""
    return chinchilla(study, "alpha")


@claim(
    id="llm.chinchilla_alpha_m",
    text="Chinchilla: alpha_m = 0.88",
    origin="statement",
    where="text on Chinchilla",
    quantity="alpha_m = k alpha_N",
    expected=0.88,
    expected_err=0.06,
    expected_kind="published",
    delta=EXPONENT,
    tables=["chinchilla_fit"],
    how_to_run=FIT,
)
def chinchilla_alpha_m(study: Study) -> Iterator[Result]:
    """The exponent of the width."""
    return chinchilla(study, "alpha_m")
