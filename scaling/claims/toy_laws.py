"""Claims about the three frequency laws at n = 10240 (Fig. 1 and 4a), in the paper's windows of m."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from scaling.claims import toy
from scaling.claims.registry import EXPONENT, Result, claim
from scaling.claims.study import Study
from scaling.curves import LARGE_N, usual
from scaling.fits import curve, estimate, forms
from scaling.fits.estimate import Estimate


GAMMA = {"strong": -1.0, "weak": 0.1}
FIGURE = {"strong": "fig1d_strong_loss", "weak": "fig1b_weak_loss"}
LOSS = "loss_train_tail"  # what the paper plots
PUBLISHED_DATA = "published data"


def losses(study: Study, regime: str) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    """(source, frequency law, setting, table of m and loss): the published points, then the models trained here.

    Fig. 4a leaves out the smallest 0, 2 or 3 widths, by law and regime; so does this.
    """
    windows = study.published("fig4a_r_squared", ["regime", "feature_importance", "fit_start_index"])
    first = windows[windows["regime"] == regime].set_index("feature_importance")["fit_start_index"]
    points = study.published(FIGURE[regime], ["feature_importance", "m", "loss"])
    models = usual(study.table("toy_models"))
    models = models[(models["n"] >= LARGE_N) & (np.abs(models["gamma"].astype(float) - GAMMA[regime]) < 0.02)]
    models = toy.models(models)[["frequency_law", "m", LOSS]].set_axis(list(points), axis=1)
    for source, frame in ((PUBLISHED_DATA, points), (study.name, models)):
        for law, part in frame.groupby("feature_importance", sort=False):
            kept = np.unique(part["m"])[first[law] :]
            setting = f"{str(law).replace('_', ' ')} frequencies"
            setting += f", without the {first[law]} smallest m" if first[law] else ""
            yield source, str(law), setting, part[part["m"].isin(kept)]


@claim(
    id="toy.laws_strong",
    text="strong superposition: the loss falls nearly as 1/m for all three frequency laws",
    origin="statement",
    where="Fig. 1d",
    quantity="alpha_m at n = 10240",
    expected=1.0,
    expected_kind="published",
    delta=EXPONENT,
    tables=["toy_models"],
    how_to_run=toy.TRAIN_PAPER,
)
def laws_strong(study: Study) -> Iterator[Result]:
    """A line through the published points, and through the losses measured here."""
    for source, law, setting, points in losses(study, "strong"):
        ours = estimate.exponent(curve.line(points["m"], points["loss"]))
        yield Result(ours=ours, setting=setting, source=source, curve=f"strong, {law}")


def bends(study: Study, power_law: bool) -> Iterator[Result]:
    """Change of the local exponent over the widths under weak superposition, for one group of frequency laws."""
    for source, law, setting, points in losses(study, "weak"):
        if (law == "power_law") == power_law:
            bend = curve.bend(points["m"], points["loss"])
            form = forms.decide(points["m"], points["loss"])
            yield Result(
                ours=Estimate(value=bend.change, stderr=bend.change_stderr, df=bend.df, n=bend.n_points),
                setting=setting,
                source=source,
                curve=f"weak, {law}",
                note=f"local exponent {bend.first:.2f} to {bend.last:.2f}; form {form.form}: {form.reason}",
            )


@claim(
    id="toy.laws_weak_power",
    text="weak superposition: the loss is a power law in m if the frequencies are one",
    origin="statement",
    where="Fig. 4a",
    quantity="change of the local exponent over the widths, n = 10240",
    expected=0.0,
    expected_kind="derived",
    delta=EXPONENT,
    tables=["toy_models"],
    how_to_run=toy.TRAIN_PAPER,
)
def laws_weak_power(study: Study) -> Iterator[Result]:
    """A power law has one exponent at every width."""
    return bends(study, power_law=True)


@claim(
    id="toy.laws_weak_others",
    text="weak superposition: the loss is no power law for exponential and linear frequencies",
    origin="statement",
    where="Fig. 4a",
    quantity="change of the local exponent over the widths, n = 10240",
    expected=EXPONENT,
    expected_kind="derived",
    delta=EXPONENT,
    relation="at least",
    tables=["toy_models"],
    how_to_run=toy.TRAIN_PAPER,
)
def laws_weak_others(study: Study) -> Iterator[Result]:
    """A loss that is no power law bends by more than the margin of an exponent."""
    return bends(study, power_law=False)
