"""Claims about what the loss under strong superposition is made of: silent features (2 |W_i|^2 + b_i <= 0) and others.

They are our own, tested at the weight decay of Fig. 7b with the paper's initial bias. Expected numbers with the note
EARLIER are measurements of these cells made before this code, one seed per cell. Seed 0 may be the same training.
"""

import math
from collections.abc import Iterator

import pandas as pd

from scaling.claims import toy
from scaling.claims.registry import EXPONENT, RATIO, SHARE, Result, claim
from scaling.claims.study import Study, records
from scaling.claims.widths import at_every_width, regime
from scaling.curves import decay_sweep
from scaling.fits import estimate
from scaling.fits.estimate import Estimate
from scaling.theory import MEAN_V_SQUARED


GAMMA = -0.5556
PAGE = "docs/mechanism.md"
EARLIER = "expected: measured earlier on the same cells; for seed 0 agreement shows repeatability"
ROUNDING = 1e-4  # relative, of sums over columns of a table
PARTS = ("silent", "shrink", "interference", "false")
# Share of the loss on silent features at m = 10, 25, 39, 63, 100, by alpha.
SILENT_WIDTHS = (10, 25, 39, 63, 100)
SILENT_SHARE = {0.0: (0.59, 0.71, 0.78, 0.75, 0.73), 1.0: (0.83, 0.66, 0.72, 0.60, 0.68)}
LIVE_EXPONENT = {0.0: (1.03, 0.04), 1.0: (0.89, 0.18)}  # with the standard errors of the lines
LIVE_DF = 4  # of these lines through six widths


def at_gamma(frame: pd.DataFrame, initial_bias: str = "normal") -> pd.DataFrame:
    """Rows of the decay sweep at GAMMA from one initial bias."""
    return toy.near(decay_sweep(frame, initial_bias), gamma=GAMMA)


def over_seeds(values: pd.Series, held_out: pd.Series) -> Estimate:
    """Mean over seeds and its standard error; with one seed the standard error over held-out samples."""
    if len(values) > 1:
        return estimate.mean_over(values.index, values, unit="seeds")
    return Estimate(value=float(values.iloc[0]), stderr=float(held_out.iloc[0]), unit="seeds")


def share(rows: pd.DataFrame, *parts: str) -> pd.Series:
    """Share of the loss in some of its parts, per model."""
    return sum((rows[f"loss_{part}"] for part in parts), start=pd.Series(0.0, rows.index)) / rows["loss"]


@claim(
    id="mechanism.parts_sum",
    text="the parts silent, shrink, interference and false sum to the loss",
    origin="hypothesis",
    where=PAGE,
    quantity="largest |sum of the parts / loss - 1| over all models",
    expected=0.0,
    expected_kind="derived",
    delta=ROUNDING,
    tables=["toy_models"],
    how_to_run=toy.TRAIN,
)
def parts_sum(study: Study) -> Iterator[Result]:
    """Every toy model, whatever its settings."""
    models = study.table("toy_models").drop_duplicates("model")
    if len(models):
        worst = float((share(models, *PARTS) - 1).abs().max())
        yield Result(ours=Estimate(value=worst, stderr=0.0, n=len(models), unit="models"))


@claim(
    id="mechanism.silent_loss",
    text="strong superposition: the loss on silent features is 4/3 of the sum of their frequencies",
    origin="hypothesis",
    where=PAGE,
    quantity="sum over models of the loss on silent features / 4/3 sum of p_i over them",
    expected=1.0,
    expected_kind="derived",
    delta=RATIO,
    tables=["toy_models", "toy_one_active"],
    how_to_run=toy.TRAIN,
)
def silent_loss(study: Study) -> list[Result]:
    """A silent output misses <v^2> = 4/3 whenever its feature is active; error by the held-out samples."""
    models = at_gamma(study.table("toy_models")).drop_duplicates("model")
    models = models.merge(study.table("toy_one_active")[["model", "frequency_live"]], on="model")
    results = []
    for alpha, part in models.groupby("alpha"):
        expected = float(MEAN_V_SQUARED * (part["activation_density"] - part["frequency_live"]).sum())
        if expected > 0:
            error = math.sqrt(float((part["loss_silent_stderr"] ** 2).sum())) / expected
            ours = Estimate(value=part["loss_silent"].sum() / expected, stderr=error, n=len(part), unit="models")
            results.append(Result(ours=ours, setting=f"alpha = {alpha:g}", curve=f"silent loss, alpha = {alpha:g}"))
    return toy.over_grid(results, 1.0)


@claim(
    id="mechanism.silent_share",
    text="strong superposition: silent features carry 59 to 83 % of the loss at alpha = 0 and 1",
    origin="hypothesis",
    where=PAGE,
    quantity="share of the loss on silent features",
    expected_kind="hypothesis",
    delta=SHARE,
    tables=["toy_models"],
    how_to_run=toy.TRAIN,
)
def silent_share(study: Study) -> list[Result]:
    """Each width at alpha = 0 and 1; mean over seeds."""
    models = at_gamma(study.table("toy_models")).drop_duplicates("model")
    results = []
    for alpha, values in SILENT_SHARE.items():
        for m, expected in zip(SILENT_WIDTHS, values, strict=True):
            part = models[(models["alpha"] == alpha) & (models["m"] == m)]
            if len(part):
                ours = over_seeds(share(part, "silent"), part["loss_silent_stderr"] / part["loss"])
                setting = f"alpha = {alpha:g}, m = {m}"
                results.append(Result(ours=ours, setting=setting, expected=expected, note=EARLIER))
    return toy.over_grid(results)


@claim(
    id="mechanism.silent_majority",
    text="strong superposition: most of the loss is on silent features",
    origin="hypothesis",
    where=PAGE,
    quantity="share of the loss on silent features at the width with the least",
    expected=0.5,
    expected_kind="hypothesis",
    delta=SHARE,
    relation="at least",
    tables=["toy_models"],
    how_to_run=toy.TRAIN,
)
def silent_majority(study: Study) -> list[Result]:
    """Every alpha at GAMMA."""
    models = toy.models(at_gamma(study.table("toy_models")))
    return at_every_width(models, lambda rows: share(rows, "silent"), "silent share", 0.5, "at least")


@claim(
    id="mechanism.silent_scatter",
    text="strong superposition: silent features explain the scatter of the loss between seeds",
    origin="hypothesis",
    where=PAGE,
    quantity="share of the seed variance that is gone without the loss on silent features, mean over curves",
    expected=0.87,
    expected_kind="hypothesis",
    delta=SHARE,
    relation="at least",
    tables=["toy_part_exponents"],
    how_to_run=toy.TRAIN,
)
def silent_scatter(study: Study) -> Iterator[Result]:
    """Curves with several seeds; the note gives the same for features with norm up to 1/2."""
    parts = at_gamma(study.table("toy_part_exponents")).dropna(subset=["scatter_explained"])
    parts = parts.sort_values("n_points", ascending=False).drop_duplicates(["alpha", "part"])
    explained = parts.pivot_table(index="alpha", columns="part", values="scatter_explained")
    if "silent" in explained:
        silent, norm = (", ".join(f"{value:.2f}" for value in explained[part]) for part in ("silent", "unrepresented"))
        yield Result(
            ours=estimate.mean_over(explained.index, explained["silent"], unit="curves"),
            note=f"{EARLIER}, 0.87 to 0.91; by curve {silent}; features with norm up to 1/2: {norm}",
        )


@claim(
    id="mechanism.live_exponent",
    text="strong superposition: the loss of live features has an exponent of about 1 at alpha = 0 and 1",
    origin="hypothesis",
    where=PAGE,
    quantity="exponent in m of the loss without silent features",
    expected_kind="hypothesis",
    delta=EXPONENT,
    tables=["toy_part_exponents"],
    how_to_run=toy.TRAIN,
)
def live_exponent(study: Study) -> Iterator[Result]:
    """From the paper's initial bias."""
    parts = at_gamma(study.table("toy_part_exponents"))
    parts = parts[(parts["part"] == "live") & (parts["status"] == "converged")]
    for row in records(parts.sort_values("n_points", ascending=False).drop_duplicates("alpha").sort_values("alpha")):
        if row.alpha in LIVE_EXPONENT:
            expected, error = LIVE_EXPONENT[row.alpha]
            yield Result(
                ours=toy.exponent(row),
                setting=f"alpha = {row.alpha:g}",
                expected=expected,
                expected_err=error,
                expected_df=LIVE_DF,
                note=EARLIER,
            )


@claim(
    id="mechanism.cross_talk",
    text="strong superposition, alpha <= 1: interference and false firing together are at most 16 % of the loss",
    origin="hypothesis",
    where=PAGE,
    quantity="share of the loss in interference and false firing at the width with the most",
    expected=0.16,
    expected_kind="hypothesis",
    delta=SHARE,
    relation="at most",
    tables=["toy_models"],
    how_to_run=toy.TRAIN,
)
def cross_talk(study: Study) -> list[Result]:
    """The parts of the loss that depend on overlaps of rows directly."""
    models = toy.models(at_gamma(study.table("toy_models")))
    models = models[models["alpha"] <= 1]
    return at_every_width(models, lambda rows: share(rows, "interference", "false"), "cross-talk", 0.16, "at most")


def norm_without_function(rows: pd.DataFrame) -> pd.Series:
    """Share of features represented by norm less the share by function, phi_half - phi_live."""
    return rows["phi_half"] - rows["phi_live"]


@claim(
    id="mechanism.live_weak",
    text="weak superposition: the features with norm above 1/2 are those that fire",
    origin="hypothesis",
    where=PAGE,
    quantity="phi_half - phi_live at the width farthest from 0",
    expected=0.0,
    expected_kind="hypothesis",
    delta=SHARE,
    tables=["toy_models"],
    how_to_run=toy.TRAIN,
)
def live_weak(study: Study) -> list[Result]:
    """Every weak curve."""
    return at_every_width(regime(study, "weak"), norm_without_function, "phi_live", 0.0)


@claim(
    id="mechanism.live_strong",
    text="strong superposition: the features with norm above 1/2 are those that fire",
    origin="hypothesis",
    where=PAGE,
    quantity="phi_half - phi_live at the width farthest from 0",
    expected=0.0,
    expected_kind="hypothesis",
    delta=SHARE,
    tables=["toy_models"],
    how_to_run=toy.TRAIN,
)
def live_strong(study: Study) -> list[Result]:
    """Every strong curve. What `differs` here is represented by norm and not by function."""
    return at_every_width(regime(study, "strong"), norm_without_function, "phi_live", 0.0)
