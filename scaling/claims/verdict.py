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

import numpy as np
import pandas as pd
from scipy import stats

from scaling.fits.estimate import pooled_df


VERDICTS = ("reproduced", "inconclusive", "differs", "no_verdict", "not_run")
RELATIONS = ("equal", "at least", "at most")
LEVEL = 0.05
FEWEST_WIDTHS = 4
NUMBERS = ["expected", "expected_err", "expected_df", "ours", "ours_err", "ours_df", "delta"]


def holm(pvalues: pd.Series, studies: pd.Series, curves: pd.Series) -> pd.Series:
    """Holm's adjusted p-values within each study, where each distinct curve is one hypothesis.

    The p-value of a curve is the smallest of its rows. The rows of the k-th of K curves are multiplied by K - k + 1,
    and never fall below the curves before. Missing p-values stay missing and are not counted.
    """
    tested = pd.DataFrame({"study": studies, "curve": curves, "p": pvalues}).dropna()
    smallest = tested.groupby(["study", "curve"])["p"].min().reset_index().sort_values("p", kind="stable")
    study = smallest.groupby("study")
    smallest["factor"] = study["p"].transform("size") - study.cumcount()
    smallest["reached"] = (smallest["factor"] * smallest["p"]).groupby(smallest["study"]).cummax()
    rows = tested.reset_index().merge(smallest.drop(columns="p"), on=["study", "curve"]).set_index("index")
    adjusted = (rows["factor"] * rows["p"]).clip(lower=rows["reached"]).clip(upper=1.0)
    return adjusted.reindex(pvalues.index)


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` of claims.csv with z, df, pvalue_holm and verdict computed from their other columns.

    An empty expected_df or ours_df is infinite. Raises ValueError for an unknown relation.
    """
    unknown = set(rows["relation"]) - set(RELATIONS)
    if unknown:
        raise ValueError(f"relation must be one of {', '.join(RELATIONS)}, got {', '.join(map(repr, unknown))}")
    frame = rows.reset_index(drop=True)
    frame[NUMBERS] = frame[NUMBERS].astype(float)
    theirs, mine = frame["expected_err"].fillna(0.0), frame["ours_err"]
    s = np.hypot(theirs, mine)
    distance = frame["ours"] - frame["expected"]
    df = pooled_df(theirs, frame["expected_df"].fillna(math.inf), mine, frame["ours_df"].fillna(math.inf))
    df = pd.Series(df, index=frame.index).where(s > 0)
    frame["z"] = (distance / s).where(s > 0)
    pvalue = pd.Series(2 * stats.t.sf(frame["z"].abs(), df), index=frame.index).where(frame["origin"] != "theorem")
    frame["pvalue_holm"] = holm(pvalue, frame["id"].str.split(".").str[0], frame["curve"])

    exact = s == 0
    reach = (s * stats.t.ppf(1 - LEVEL, df)).mask(exact, 0.0)
    rejected = exact | (frame["pvalue_holm"] < LEVEL)
    side = distance.mask(frame["relation"] == "at most", -distance)
    equal = frame["relation"] == "equal"
    few = (frame["unit"] == "widths") & (frame["n"] < FEWEST_WIDTHS)
    frame["verdict"] = np.select(
        [
            frame["ours"].isna(),
            (frame["origin"] == "theorem") | few | reach.isna() | distance.isna(),
            (equal & (distance.abs() + reach <= frame["delta"])) | (~equal & (side >= reach)),
            rejected & (distance.abs().where(equal, -side) > frame["delta"]),
        ],
        ["not_run", "no_verdict", "reproduced", "differs"],
        "inconclusive",
    )
    frame["df"] = df.replace(math.inf, math.nan)
    return frame
