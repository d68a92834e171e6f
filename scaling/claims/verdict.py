"""The one rule that turns the numbers of a claim into a verdict.

P ± e_P is the expected number, O ± e_O ours, s = hypot(e_P, e_O) with df degrees of freedom (Welch-Satterthwaite), and
delta the margin that the claim fixed in advance. A missing e_P counts as zero: the expected number is then exact.

| verdict | claim of equality | claim of a bound, d = distance of O from P on the claimed side |
| --- | --- | --- |
| reproduced | abs(O - P) + t_0.95 s <= delta (equivalence test at 5 %) | d >= t_0.95 s |
| differs | abs(O - P) > delta, and the t test of O = P rejects at 5 % | d < -delta, and the same test rejects |
| inconclusive | otherwise | otherwise |
| no_verdict | a theorem, fewer than four widths, or a number without an error | the same |
| not_run | there is no O | the same |

The p-values of the t test are corrected by Holm's method over the distinct curves of a study (the first word of the
id). Rows that use the same curve share its place in the order, because they share its error.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats


VERDICTS = ("reproduced", "inconclusive", "differs", "no_verdict", "not_run")
RELATIONS = ("equal", "at least", "at most")
LEVEL = 0.05
FEWEST_WIDTHS = 4


def pooled_df(first: float, first_df: float, second: float, second_df: float) -> float:
    """Welch-Satterthwaite degrees of freedom of hypot(first, second); an error of zero does not count."""
    parts = [(error, df) for error, df in ((first, first_df), (second, second_df)) if error > 0 and math.isfinite(df)]
    if any(df <= 0 for _, df in parts):
        return math.nan
    spread = sum(error**4 / df for error, df in parts)
    return math.hypot(first, second) ** 4 / spread if spread > 0 else math.inf


def holm(pvalues: pd.Series, curves: pd.Series) -> pd.Series:
    """Holm's adjusted p-values where each distinct curve is one hypothesis with the smallest p-value of its rows.

    The rows of the k-th of K curves are multiplied by K - k + 1, and never fall below the curves before. Missing
    p-values stay missing and are not counted.
    """
    tested = pvalues.dropna()
    smallest = tested.groupby(curves[tested.index]).min().sort_values(kind="stable")
    adjusted = pd.Series(np.nan, index=pvalues.index)
    reached = 0.0
    for place, (curve, pvalue) in enumerate(smallest.items()):
        factor = len(smallest) - place
        reached = max(reached, factor * pvalue)
        rows = tested[curves[tested.index] == curve]
        adjusted[rows.index] = np.minimum(np.maximum(factor * rows, reached), 1.0)
    return adjusted


def statistics(row: pd.Series) -> dict[str, float]:
    """z = (O - P)/s, df of s, and the two-sided p-value of O = P; NaN where there is no s or s is zero."""
    theirs = 0.0 if math.isnan(row["expected_err"]) else row["expected_err"]
    s = math.hypot(theirs, row["ours_err"])
    distance = row["ours"] - row["expected"]
    if not s > 0 or math.isnan(distance):
        return {"z": math.nan, "df": math.nan, "pvalue": math.nan}
    df = pooled_df(theirs, row["expected_df"], row["ours_err"], row["ours_df"])
    return {"z": distance / s, "df": df, "pvalue": float(2 * stats.t.sf(abs(distance / s), df))}


def verdict(row: pd.Series) -> str:
    """The verdict of one row of claims.csv by the rule above. Raises ValueError for an unknown relation."""
    if row["relation"] not in RELATIONS:
        raise ValueError(f"relation must be one of {', '.join(RELATIONS)}, got {row['relation']!r}")
    if math.isnan(row["ours"]):
        return "not_run"
    few = row["unit"] == "widths" and row["n"] < FEWEST_WIDTHS
    if row["origin"] == "theorem" or few or math.isnan(row["ours_err"]) or math.isnan(row["expected"]):
        return "no_verdict"
    s = math.hypot(0.0 if math.isnan(row["expected_err"]) else row["expected_err"], row["ours_err"])
    if s > 0 and math.isnan(row["pvalue_holm"]):
        return "no_verdict"
    df = math.inf if math.isnan(row["df"]) else row["df"]
    reach = float(stats.t.ppf(1 - LEVEL, df)) * s if s > 0 else 0.0
    distance = row["ours"] - row["expected"]
    rejected = s == 0 or row["pvalue_holm"] < LEVEL
    if row["relation"] == "equal":
        if abs(distance) + reach <= row["delta"]:
            return "reproduced"
        return "differs" if abs(distance) > row["delta"] and rejected else "inconclusive"
    side = distance if row["relation"] == "at least" else -distance
    if side >= reach:
        return "reproduced"
    return "differs" if side < -row["delta"] and rejected else "inconclusive"


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` of claims.csv with z, df, pvalue_holm and verdict computed from their other columns."""
    frame = rows.reset_index(drop=True)
    numbers = [
        "expected",
        "expected_err",
        "expected_df",
        "ours",
        "ours_err",
        "ours_df",
        "delta",
        "n",
    ]
    frame[numbers] = frame[numbers].astype(float)
    # An unknown df means that an error is not an estimate from few units.
    known: dict[str, Any] = {"expected_df": frame["expected_df"].fillna(math.inf)}
    known["ours_df"] = frame["ours_df"].fillna(math.inf)
    computed = frame.assign(**known).apply(statistics, axis=1, result_type="expand")
    frame[["z", "df", "pvalue"]] = computed[["z", "df", "pvalue"]].replace(math.inf, math.nan)
    testable = frame["origin"] != "theorem"
    frame["pvalue_holm"] = math.nan
    for _, part in frame.groupby(frame["id"].str.split(".").str[0]):
        frame.loc[part.index, "pvalue_holm"] = holm(part["pvalue"].where(testable), part["curve"])
    frame["verdict"] = [verdict(row) for _, row in frame.iterrows()]
    return frame
