"""Claims about language models: overlaps, losses, the Chinchilla law."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from scaling.claims.bridge import Claim
from scaling.claims.toy_study import records
from scaling.fits import inputs
from scaling.fits.llm import TOGETHER


PUBLISHED_DATA = "published data"
HOW_TO_MEASURE = {
    "hub": "needs the Hub: `snakemake --cores all llm --configfile config.yaml config/paper.yaml`, then `fits`",
    "local": "no local checkpoint measured: name some in config.yaml under `llm: models:`, `snakemake --cores all llm`",
}
POOLED = "exponent of the mean squared overlap, a factor a family"
OVERLAPS = ["family", "m", "mean_square_overlap"]


def overlap_exponent(family: pd.Series, m: pd.Series, overlap: pd.Series) -> tuple[float, float, int]:
    """k of mean squared overlap = c[family] m^-k: slope in logs, its standard error, and the number of models.

    NaN with fewer than two models more than families, or when no family has two widths.
    """
    logs = pd.DataFrame({"x": np.log(m.astype(float)), "y": np.log(overlap.astype(float))})
    centred = logs - logs.groupby(family).transform("mean")
    x, y = centred["x"], centred["y"]
    freedom = len(x) - family.nunique() - 1
    spread = float((x**2).sum())
    if freedom < 1 or spread < 1e-12:
        return math.nan, math.nan, len(x)
    slope = float((x * y).sum()) / spread
    return -slope, math.sqrt(float(((y - slope * x) ** 2).sum()) / freedom / spread), len(x)


def overlaps(measured: pd.DataFrame, published: pd.DataFrame) -> Iterator[Claim]:
    """Mean squared overlap of the heads' rows falls as 1/m: published points, then measured ones, raw and centred."""
    common: dict[str, Any] = {
        "claim": "language models: mean squared overlap falls as 1/m",
        "where": "Fig. 8a",
        "published": 1.0,
    }
    k, error, n = overlap_exponent(published["family"], published["m"], published["mean_square_overlap"])
    yield Claim(**common, quantity=POOLED, ours=k, ours_err=error, n=n, source=PUBLISHED_DATA)
    for source, quantity, heads in heads_by_source(measured):
        for kind, column in (("raw", "mean_sq_overlap"), ("centred", "centred_mean_sq_overlap")):
            rows = heads[heads[column].notna() & (heads[column] > 0)]
            here: dict[str, Any] = {**common, "quantity": f"{quantity}, {kind}", "source": source}
            if rows.empty:
                yield Claim(**here, note=HOW_TO_MEASURE[source])
                continue
            k, error, n = overlap_exponent(rows["family"], rows["m"], rows[column])
            yield Claim(**here, ours=k, ours_err=error, n=n, note=f"too few models: {n}" if math.isnan(k) else "")


def heads_by_source(measured: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(source, quantity, heads): those of the Hub, all families together; local ones, each family by itself."""
    yield "hub", POOLED, measured[measured["source"] == "hub"]
    local = measured[measured["source"] == "local"]
    if local.empty:
        yield "local", POOLED, local
    for family, heads in local.groupby("family"):
        yield "local", f"exponent of the mean squared overlap, {family}", heads


def losses(fits: pd.DataFrame) -> Iterator[Claim]:
    """The loss falls as m^-0.91, and the authors' error of that exponent by their own formula."""
    common: dict[str, Any] = {
        "claim": "language models: loss falls as a power of m near 1",
        "where": "Fig. 8b",
        "quantity": "alpha_m of L = C/m^alpha_m + L0[family, data set]",
        "published": 0.91,
        "published_err": 0.04,
    }
    power = fits[fits["form"] == "power"]
    whole = power[power["subset"] == "all"]
    for source in ["published", *sorted(set(whole["source"]) - {"published"})]:
        name = PUBLISHED_DATA if source == "published" else str(source)
        rows = whole[whole["source"] == source]
        if rows.empty:
            yield Claim(**common, source=name, note="no fit: `snakemake --cores all fits`")
            continue
        row = next(records(rows))
        without = power[(power["source"] == source) & power["subset"].str.startswith("without")]["exponent"]
        by_model = row.exponent_stderr if math.isnan(row.exponent_stderr_cluster) else row.exponent_stderr_cluster
        note = f"error by model; independent residuals {row.exponent_stderr:.3f}; alpha_m = 1 has p = "
        note += f"{row.pvalue_exponent_one:.2f}"
        if len(without):
            note += f"; without one family {without.min():.2f} to {without.max():.2f}"
        if source == TOGETHER:
            note = f"one C for all, though small models may have another; {note}"
        if row.status != inputs.CONVERGED:
            note = f"{row.status}: {row.note}"
        ours = row.exponent if row.status == inputs.CONVERGED else math.nan
        yield Claim(**common, ours=ours, ours_err=by_model, n=row.n_points, source=name, note=note)
        if source == "published":
            yield Claim(
                claim="the published error of alpha_m",
                where="Fig. 8b",
                quantity="error of alpha_m by the authors' formula, 0.04 when rounded",
                published=0.03599,
                ours=row.exponent_stderr_authors,
                n=row.n_points,
                source=name,
                note="it takes C and every L0 as known and enters one point with L < L0 as log 0 = 0",
            )


def chinchilla(widths: pd.DataFrame, fits: pd.DataFrame) -> Iterator[Claim]:
    """N ~ m^2.52, alpha_N = 0.35, and their product alpha_m = 0.88: Huber's fit without the five highest losses."""
    common: dict[str, Any] = {"where": "text on Chinchilla", "source": PUBLISHED_DATA}
    k = widths[widths["subset"] == "all"]
    row = None if k.empty else next(records(k))
    yield Claim(
        **common,
        claim="parameters grow as m^2.52",
        quantity="k of N ~ m^k, Table A9 of Hoffmann et al.",
        published=2.52,
        published_err=0.03,
        ours=math.nan if row is None else row.exponent,
        ours_err=math.nan if row is None else row.exponent_stderr,
        n=0 if row is None else row.n_points,
        note="no fit: `snakemake --cores all fits`" if row is None else "",
    )
    huber = fits[fits["estimator"] == "huber"].sort_values("n_excluded", ascending=False)
    law = None if huber.empty else next(records(huber))
    others = fits["alpha"].dropna()
    note = "no fit: `snakemake --cores all fits`" if law is None else ""
    if law is not None and law.status != inputs.CONVERGED:
        note = f"{law.status}: {law.note}"
    elif law is not None:
        note = f"Huber, {law.n_excluded} points excluded, error by model size"
        note += f"; other estimators and exclusions give alpha_N {others.min():.3f} to {others.max():.3f}"
    for claim, quantity, value, error, name in (
        ("Chinchilla: alpha_N = 0.35", "alpha_N of L = E + A/N^alpha_N + B/D^beta", 0.35, 0.02, "alpha"),
        ("Chinchilla: alpha_m = 0.88", "alpha_m = k alpha_N", 0.88, 0.06, "alpha_m"),
    ):
        yield Claim(
            **common,
            claim=claim,
            quantity=quantity,
            published=value,
            published_err=error,
            ours=math.nan if law is None else getattr(law, name),
            ours_err=math.nan if law is None else getattr(law, f"{name}_stderr_cluster"),
            n=0 if law is None else law.n_points,
            note=note,
        )
