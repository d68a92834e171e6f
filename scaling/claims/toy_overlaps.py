"""Claims about the overlaps of the toy model's rows under strong superposition: mean square, variance, and Eq. 10."""

import pandas as pd

from scaling import geometry
from scaling.claims import toy
from scaling.claims.registry import EXPONENT, RATIO, Result, claim
from scaling.claims.study import Study, records
from scaling.claims.widths import READS, as_drawn, at_every_width, regime
from scaling.fits import curve, estimate


FEWEST_ROWS = 10  # rows of norm > 1 below which a model is left out
FIGURE_GAMMA = -0.5556  # Fig. 5d of the final version does not state its gamma; this is that of Fig. 7b


def packed(study: Study) -> pd.DataFrame:
    """Strong models with enough rows of norm > 1 and a Welch bound above 0 for them."""
    models = regime(study, "strong")
    return models[(models["n_strong"] >= FEWEST_ROWS) & (models["welch_bound_strong"] > 0)]


def overlap_slopes(
    models: pd.DataFrame, column: str, expected: str | float, note: str = "; 1 is the value of independent rows"
) -> list[Result]:
    """Exponent in m of a column for each curve; `expected` is a number or a column with its own slope.

    `note` says what m times the column would be for independent rows.
    """
    results = []
    for (gamma, alpha), part in models[models[column] > 0].groupby(["gamma", "alpha"]):
        m = part["m"].astype(float)
        line = curve.line(m, part[column])
        if line.status != "converged":
            continue
        theirs = expected if isinstance(expected, float) else curve.line(m, part[expected]).exponent
        level = part["m"] * part[column]
        setting = f"gamma = {gamma:.3g}, alpha = {alpha:g}"
        results.append(
            Result(
                ours=estimate.exponent(line),
                setting=setting,
                expected=theirs,
                curve=f"{column}, {setting}",
                note=f"m x mean from {level.min():.2f} to {level.max():.2f}{note}",
            )
        )
    return toy.over_grid(results)


@claim(
    id="toy.overlap_all_rows",
    text="strong superposition: the mean squared overlap falls as 1/m (all rows)",
    origin="statement",
    where="Fig. 6d",
    quantity="exponent of the mean squared overlap in m",
    expected=1.0,
    expected_kind="published",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def overlap_all_rows(study: Study) -> list[Result]:
    """All rows of W, those that share one direction included."""
    return overlap_slopes(regime(study, "strong"), "mean_sq_overlap", 1.0)


@claim(
    id="toy.overlap_strong_rows",
    text="strong superposition: the mean squared overlap falls like the Welch bound (rows with norm > 1)",
    origin="statement",
    where="Fig. 6d",
    quantity="exponent of the mean squared overlap in m, norm > 1",
    expected_kind="derived",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def overlap_strong_rows(study: Study) -> list[Result]:
    """Compared with the slope of the Welch bound of as many rows; independent rows have slope 1, too."""
    return overlap_slopes(packed(study), "mean_sq_overlap_strong", "welch_bound_strong")


@claim(
    id="toy.own_loss",
    text="strong superposition: the loss of Eq. 10 falls as 1/m",
    origin="hypothesis",
    where="Eq. 10",
    quantity="exponent in m of the mean of Eq. 10 over rows",
    expected=1.0,
    expected_kind="derived",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def own_loss(study: Study) -> list[Result]:
    """All of Eq. 10. With norms near 1 it stays near log(1 + (n - 1)/e), whatever the overlaps."""
    return overlap_slopes(regime(study, "strong"), "own_loss", 1.0, "")


@claim(
    id="toy.own_loss_overlaps",
    text="strong superposition: what overlaps add to the loss of Eq. 10 falls as 1/m",
    origin="hypothesis",
    where="Eq. 10",
    quantity="exponent in m of the mean of Eq. 10 minus its value at zero overlaps",
    expected=1.0,
    expected_kind="derived",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def own_loss_overlaps(study: Study) -> list[Result]:
    """For many rows of norm 1 and mean squared overlap q it is q/2 to second order in the overlaps."""
    return overlap_slopes(
        regime(study, "strong"), "own_loss_overlaps", 1.0, "; about 1/2 for independent rows of norm 1"
    )


@claim(
    id="toy.overlap_figure",
    text="the mean squared overlap is as drawn in the final version",
    origin="figure",
    where="Fig. 5d, final version",
    quantity="mean squared overlap of rows with norm > 1, ours over the figure, at the width farthest from 1",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def overlap_figure(study: Study) -> list[Result]:
    """The figure does not state its rows or its gamma; rows with norm > 1 at the gamma of Fig. 7b are compared."""
    points = study.published("final_fig5d_mean_square_overlap", ["alpha", "m", "mean_square_overlap"])
    points = points.rename(columns={"mean_square_overlap": "value"})
    return as_drawn(toy.near(packed(study), gamma=FIGURE_GAMMA), points, "mean_sq_overlap_strong")


@claim(
    id="toy.overlap_welch",
    text="overlaps lie above the Welch bound",
    origin="theorem",
    where="Fig. 6d",
    quantity="least of mean squared overlap / Welch bound, norm > 1",
    expected=1.0,
    expected_kind="derived",
    delta=RATIO,
    relation="at least",
    tables=READS,
    how_to_run=toy.TRAIN,
)
def overlap_welch(study: Study) -> list[Result]:
    """How near the rows come to a tight frame, which has ratio 1."""
    return at_every_width(
        packed(study),
        lambda rows: rows["mean_sq_overlap_strong"] / rows["welch_bound_strong"],
        "welch",
        1.0,
        "at least",
    )


@claim(
    id="toy.overlap_variance",
    text="squared overlaps scatter less than those of independent rows",
    origin="statement",
    where="Fig. 5c, final version",
    quantity="Var/mean^2 of squared overlaps over that of independent rows, largest over the widths, norm > 1",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    relation="at most",
    tables=READS,
    how_to_run=toy.TRAIN,
)
def overlap_variance(study: Study) -> list[Result]:
    """Relative to the squared mean, so that a smaller mean does not count. Independent rows: 2 (m - 1)/(m + 2)."""

    def ratio(rows: pd.DataFrame) -> pd.Series:
        relative = rows["std_sq_overlap_strong"] ** 2 / rows["mean_sq_overlap_strong"] ** 2
        return relative / (2 * (rows["m"] - 1) / (rows["m"] + 2))

    return at_every_width(packed(study), ratio, "variance of squared overlaps", 1.0, "at most")


@claim(
    id="toy.overlap_variance_floor",
    text="squared overlaps scatter as little as so many rows can (as an ETF does where one exists)",
    origin="statement",
    where="Fig. 5c, final version",
    quantity="(Var - least)/(Var of independent rows - least), farthest from 0 over the widths, norm > 1",
    expected=0.0,
    expected_kind="derived",
    delta=RATIO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def overlap_variance_floor(study: Study) -> list[Result]:
    """0 at the least possible variance for the number of rows and their mean, 1 for independent rows."""

    def share(rows: pd.DataFrame) -> pd.Series:
        least = pd.Series(
            [
                geometry.least_sq_overlap_variance(int(row.n_strong), int(row.m), float(row.mean_sq_overlap_strong))
                for row in records(rows)
            ],
            index=rows.index,
        )
        independent = rows["m"].map(lambda m: geometry.random_sq_overlap_variance(int(m)))
        return (rows["std_sq_overlap_strong"] ** 2 - least) / (independent - least)

    return at_every_width(packed(study), share, "variance of squared overlaps", 0.0)
