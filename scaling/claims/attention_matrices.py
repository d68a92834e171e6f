"""Claims about attention matrices as exponentials of generators, about HCFormer, and about packings."""

from collections.abc import Iterator

import pandas as pd

from scaling.claims.attention import COMMON, exact, mean_of, share
from scaling.claims.registry import RATIO, SHARE, Result, claim
from scaling.claims.study import Study, records
from scaling.fits.estimate import Estimate


CORRECTIONS: dict[str, tuple[str, str, float]] = {
    # id: (how the row of attention_corrections starts, relation, margin)
    "exponential_example": ("exp [[-1, 1], [1, -1]]", "equal", 0.01),
    "generators_commute": ("generators form a Lie algebra", "at least", 0.01),
    "softmax_is_exponential": ("softmax(G) is close", "equal", 0.01),
    "softmax_gradient": ("the gradient through the softmax is dL/dS * S", "equal", 0.01),
    "projected_generator": ("self-attention on the sphere", "equal", 1e-9),
}
HYPERBOLIC_MARGIN = 0.01  # of accuracy
LOOSE = 2.0  # filling from which minima should reach the least variance


def correction(key: str, start: str, relation: str, delta: float) -> None:
    """Register a claim on one row of attention_corrections."""

    def results(study: Study) -> Iterator[Result]:
        table = study.table("attention_corrections")
        for row in records(table[table["statement"].str.startswith(start)]):
            yield Result(ours=exact(row.computed), expected=float(row.stated))

    claim(
        id=f"attention.{key}",
        text=f"a text on attention and Lie algebras: {start}" + (" ..." if key != "generators_commute" else ""),
        origin="statement",
        where="source text on Lie algebras",
        quantity="number computed for an example",
        expected_kind="published",
        relation=relation,
        delta=delta,
        tables=["attention_corrections"],
        **COMMON,
    )(results)


for key, (start, relation, delta) in CORRECTIONS.items():
    correction(key, start, relation, delta)


@claim(
    id="attention.triangles",
    text="low-temperature symmetric attention is embeddable if and only if no triangle of tokens is obtuse",
    origin="hypothesis",
    where="conjecture of this repository, leading order",
    quantity="share of sets of 4 tokens that are embeddable, beta = 256",
    expected_kind="hypothesis",
    delta=SHARE,
    tables=["attention_triangles"],
    **COMMON,
)
def triangles(study: Study) -> Iterator[Result]:
    """Acute and obtuse sets, all dimensions together."""
    table = study.table("attention_triangles")
    for kind, expected in (("acute", 1.0), ("obtuse", 0.0)):
        n = int(table[f"n_{kind}"].sum())
        if n:
            ours = share(table[f"n_{kind}_embeddable"].sum(), n, "sets")
            yield Result(setting=kind, expected=expected, ours=ours)


@claim(
    id="attention.hcformer_parameters",
    text="HCFormer has the published number of parameters",
    origin="statement",
    where="code weijianan1/HCFormer, README",
    quantity="millions of parameters of the network that its configuration describes",
    expected_err=0.05 / 3**0.5,  # the published numbers are rounded to 0.1
    expected_kind="published",
    delta=0.15,
    tables=["attention_hcformer_sizes"],
    **COMMON,
)
def hcformer_parameters(study: Study) -> Iterator[Result]:
    """One row per size."""
    for row in records(study.table("attention_hcformer_sizes")):
        note = f"without the classifier {row.millions_without_head:.2f}"
        ours = exact(row.millions, unit="networks")
        yield Result(setting=str(row.size), expected=float(row.published_millions), ours=ours, note=note)


@claim(
    id="attention.hyperbolic",
    text="hyperbolic clustering of windows is more accurate",
    origin="statement",
    where="HCFormer, abstract (on ImageNet)",
    quantity="accuracy on digits, paired by seed, minus that of",
    expected=0.0,
    expected_kind="hypothesis",
    relation="at least",
    delta=HYPERBOLIC_MARGIN,
    tables=["attention_mixers"],
    **COMMON,
)
def hyperbolic(study: Study) -> Iterator[Result]:
    """Against Euclidean windows, and against self-attention of about the same size."""
    accuracy = study.table("attention_mixers").pivot_table(index="seed", columns="mixer", values="accuracy")
    for other in ("euclidean", "attention"):
        if {"hyperbolic", other} <= set(accuracy):
            difference = (accuracy["hyperbolic"] - accuracy[other]).dropna()
            yield Result(setting=other, ours=mean_of(difference, "seeds"))


@claim(
    id="attention.minima_reach_bounds",
    text="minima of the repulsive energy reach the least variance of squared overlaps",
    origin="hypothesis",
    where="not in the source",
    quantity="variance of squared overlaps over its lower bound, exp at beta = 4, filling above 2",
    expected=1.0,
    expected_kind="derived",
    delta=RATIO,
    tables=["attention_packing"],
    **COMMON,
)
def minima_reach_bounds(study: Study) -> Iterator[Result]:
    """All sets above the filling together."""
    table = study.table("attention_packing")
    rows = table[(table["rows"] == "exp") & (table["filling"] > LOOSE)]
    if len(rows):
        yield Result(ours=mean_of(rows["variance_sq"] / rows["variance_floor"], "sets"))


@claim(
    id="attention.flow_reaches_welch",
    text="repulsive attention ends at the Welch bound",
    origin="hypothesis",
    where="not in the source",
    quantity="mean squared overlap over the Welch bound at the end of the flow",
    expected=1.0,
    expected_kind="derived",
    delta=0.01,
    tables=["attention_packing"],
    **COMMON,
)
def flow_reaches_welch(study: Study) -> Iterator[Result]:
    """The last time of the flow."""
    table = study.table("attention_packing")
    rows = table[table["rows"] == "flow"].sort_values("time").tail(1)
    for row in records(rows):
        yield Result(ours=exact(row.mean_sq / row.welch_bound, unit="flows"))


@claim(
    id="attention.isotropic_energy",
    text="1/m is the first coefficient of the pair energy of random rows",
    origin="hypothesis",
    where="not in the paper",
    quantity="2 m log of the pair energy over beta^2, over its closed form",
    expected=1.0,
    expected_kind="derived",
    delta=RATIO,
    tables=["attention_pair_energy"],
    **COMMON,
)
def isotropic_energy(study: Study) -> Iterator[Result]:
    """One row per dimension, at the smallest beta."""
    for m, part in study.table("attention_pair_energy").groupby("m"):
        row = next(records(part.sort_values("beta")))
        scale = row.scaled_energy_isotropic
        ours = Estimate(
            value=row.scaled_energy / scale,
            stderr=row.scaled_energy_stderr / scale,
            n=int(row.nu),
            unit="rows",
        )
        yield Result(setting=f"m = {m}", ours=ours)


def strong_rows(study: Study) -> Iterator[tuple[float, pd.DataFrame]]:
    """Rows with norm > 1 of toy models that cannot be orthogonal, by data exponent."""
    table = study.table("attention_trained_rows")
    table = table[(table["source"] == "toy") & (table["rows"] == "strong") & (table["nu"] > table["m"])]
    yield from ((float(str(alpha)), part) for alpha, part in table.groupby("alpha"))


def by_alpha(numerator: str, denominator: str, study: Study) -> Iterator[Result]:
    """Mean ratio of two columns of the strong rows, models as units, one row per data exponent."""
    for alpha, part in strong_rows(study):
        yield Result(setting=f"alpha = {alpha:g}", ours=mean_of(part[numerator] / part[denominator], "models"))


@claim(
    id="attention.toy_rows_at_welch",
    text="strong rows of the toy model repel: their mean squared overlap is near the Welch bound",
    origin="hypothesis",
    where="not in the paper",
    quantity="mean squared overlap over the Welch bound",
    expected=1.0,
    expected_kind="hypothesis",
    delta=RATIO,
    tables=["attention_trained_rows"],
    **COMMON,
)
def toy_rows_at_welch(study: Study) -> Iterator[Result]:
    """One row per data exponent."""
    yield from by_alpha("mean_sq", "welch_bound", study)


@claim(
    id="attention.toy_rows_scatter",
    text="squared overlaps of strong rows scatter less than those of random rows",
    origin="hypothesis",
    where="not in the paper",
    quantity="variance of squared overlaps over that of random rows",
    expected=1.0,
    expected_kind="hypothesis",
    relation="at most",
    delta=RATIO,
    tables=["attention_trained_rows"],
    **COMMON,
)
def toy_rows_scatter(study: Study) -> Iterator[Result]:
    """One row per data exponent."""
    yield from by_alpha("variance_sq", "variance_random", study)


@claim(
    id="attention.pair_energy_exact",
    text="with one active feature the toy loss is exactly a pair energy",
    origin="hypothesis",
    where="not in the paper",
    quantity="sampled minus exact loss, in standard errors",
    expected=0.0,
    expected_kind="derived",
    delta=1.0,
    tables=["toy_pair_energy"],
    **COMMON,
)
def pair_energy_exact(study: Study) -> Iterator[Result]:
    """All models together: the mean of their standard scores."""
    table = study.table("toy_pair_energy")
    if len(table):
        z = (table["loss_sampled"] - table["loss"]) / table["loss_sampled_stderr"]
        yield Result(ours=mean_of(z, "models"))


@claim(
    id="attention.pairs_make_the_loss",
    text="overlaps cost through the sum of pair terms",
    origin="hypothesis",
    where="not in the paper",
    quantity="share of the loss with one active feature in pair terms",
    expected=0.5,
    expected_kind="hypothesis",
    relation="at least",
    delta=SHARE,
    tables=["toy_pair_energy"],
    **COMMON,
)
def pairs_make_the_loss(study: Study) -> Iterator[Result]:
    """One row per data exponent."""
    for alpha, part in study.table("toy_pair_energy").groupby("alpha"):
        yield Result(setting=f"alpha = {alpha:g}", ours=mean_of(part["share_pairs"], "models"))
