"""Claims about which features the toy model represents: phi_half, phi_1, and the norms of rows."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from scaling import geometry
from scaling.claims import toy
from scaling.claims.registry import RATIO, SHARE, Result, claim
from scaling.claims.study import Study
from scaling.claims.widths import READS, as_drawn, at_every_width, regime
from scaling.curves import decay_sweep
from scaling.fits import estimate


FULL_GAMMA = -0.55  # at or below this weight decay all features are represented (Fig. 3a)
FIGURE_GAMMA = -0.5556  # Fig. 6c does not state its gamma; this is that of Fig. 7b
FACTOR_TWO = 1.0  # margin of log2 of a ratio, where the paper says "about"


@claim(
    id="toy.phi_half_strong",
    text="strong superposition: all features are represented",
    origin="statement",
    where="Fig. 3a",
    quantity="phi_half at the width farthest from 1, gamma <= -0.55",
    expected=1.0,
    expected_kind="published",
    delta=SHARE,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def phi_half_strong(study: Study) -> list[Result]:
    """phi_half = 1 at every alpha and width once gamma <= -0.55."""
    models = regime(study, "strong")
    return at_every_width(models[models["gamma"] <= FULL_GAMMA], lambda rows: rows["phi_half"], "phi_half", 1.0)


@claim(
    id="toy.phi_half_weak",
    text="weak superposition: about m features are represented (within a factor of two)",
    origin="statement",
    where="Fig. 3a",
    quantity="log2(phi_half n/m) at the width farthest from 0",
    expected=0.0,
    expected_kind="published",
    delta=FACTOR_TWO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def phi_half_weak(study: Study) -> list[Result]:
    """The paper says "about m/n"."""
    models = regime(study, "weak")
    return at_every_width(
        models, lambda rows: np.log2((rows["phi_half"] * rows["n"] / rows["m"]).astype(float)), "phi_half", 0.0
    )


@claim(
    id="toy.phi_half_figure",
    text="the share of represented features is as drawn",
    origin="figure",
    where="Fig. 3a",
    quantity="phi_half, ours over the figure, at the width farthest from 1",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def phi_half_figure(study: Study) -> list[Result]:
    """Fig. 3a at every gamma that was trained with alpha = 1."""
    points = study.published("fig3a_phi_half", ["gamma", "m", "phi_half"]).rename(columns={"phi_half": "value"})
    models = toy.models(decay_sweep(study.table("toy_models")))
    return as_drawn(models[models["alpha"] == 1], points, "phi_half")


@claim(
    id="toy.phi_1_formula",
    text="about m^2/(2n) of the features have norm > 1 (within a factor of two)",
    origin="statement",
    where="Fig. 6c",
    quantity="log2(phi_1 2n/m^2) at the width farthest from 0, m^2/2 < n",
    expected=0.0,
    expected_kind="published",
    delta=FACTOR_TWO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def phi_1_formula(study: Study) -> list[Result]:
    """The guide line of Fig. 6c, against which the paper draws its points."""
    models = regime(study, "strong")
    models = models[(models["m"].map(geometry.etf_like_rows) < models["n"]) & (models["phi_1"] > 0)]
    return at_every_width(
        models,
        lambda rows: np.log2((rows["phi_1"] * rows["n"] / rows["m"].map(geometry.etf_like_rows)).astype(float)),
        "phi_1",
        0.0,
    )


@claim(
    id="toy.phi_1_figure",
    text="the share of features with norm > 1 is as drawn",
    origin="figure",
    where="Fig. 6c",
    quantity="phi_1, ours over the figure, at the width farthest from 1",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def phi_1_figure(study: Study) -> list[Result]:
    """Fig. 6c at every alpha, with the gamma of Fig. 7b, since the figure states none."""
    points = study.published("fig6c_phi_one", ["alpha", "m", "phi_1"]).rename(columns={"phi_1": "value"})
    return as_drawn(toy.near(regime(study, "strong"), gamma=FIGURE_GAMMA), points, "phi_1")


def norms(study: Study, name: str) -> pd.DataFrame:
    """Rows of toy_features in one regime, with gamma, alpha and m of their models."""
    models = regime(study, name)[["model", "gamma", "alpha", "m", "seed"]]
    return study.table("toy_features").merge(models, on="model", how="inner")


@claim(
    id="toy.norms_two_groups",
    text="norms form two groups near 0 and 1",
    origin="figure",
    where="Fig. 3, inset",
    quantity="share of norms in (0.1, 0.9), mean over models",
    expected=0.0,
    expected_kind="published",
    delta=SHARE,
    tables=["toy_models", "toy_features"],
    how_to_run=toy.TRAIN,
)
def norms_two_groups(study: Study) -> Iterator[Result]:
    """Few norms lie between the groups, in both regimes."""
    for name in ("strong", "weak"):
        features = norms(study, name)
        between = features["norm"].between(0.1, 0.9).groupby(features["model"]).mean()
        if len(between):
            note = f"from {between.min():.2f} to {between.max():.2f} over the models"
            ours = estimate.mean_over(between.index, between, unit="models")
            yield Result(ours=ours, setting=f"{name} superposition", note=note)


@claim(
    id="toy.norms_by_frequency",
    text="strong superposition: the features with norm > 1 are the frequent ones",
    origin="statement",
    where="Fig. 6c",
    quantity="AUC of frequency for norm > 1, mean over models with alpha > 0",
    expected=1.0,
    expected_kind="published",
    delta=SHARE,
    tables=["toy_models", "toy_features"],
    how_to_run=toy.TRAIN,
)
def norms_by_frequency(study: Study) -> list[Result]:
    """1 if every feature with norm > 1 is more frequent than every other, 1/2 if frequency says nothing."""
    features = norms(study, "strong")
    features = features[features["alpha"] > 0]
    results = []
    for (gamma, alpha), part in features.groupby(["gamma", "alpha"]):
        each = part.groupby("model")[["frequency", "norm"]].apply(
            lambda rows: estimate.auc(rows["frequency"], rows["norm"] > 1)
        )
        each = each.dropna()
        ours = estimate.mean_over(each.index, each, unit="models")
        note = f"from {each.min():.2f} to {each.max():.2f} over the models" if len(each) else ""
        results.append(Result(ours=ours, setting=f"gamma = {gamma:.3g}, alpha = {alpha:g}", note=note))
    return toy.over_grid(results, 1.0)
