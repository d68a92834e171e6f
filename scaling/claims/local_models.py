"""Claims about the language models trained here, whose weight decay sets the regime. All are our own hypotheses.

They have m <= 128 and are not comparable with Fig. 8, so they are never pooled with open models.
"""

import math
from collections.abc import Iterator

import pandas as pd

from scaling.claims.language_models import loss_exponent, power_fits
from scaling.claims.registry import EXPONENT, RATIO, SHARE, Result, claim
from scaling.claims.study import Study
from scaling.fits import estimate
from scaling.fits.estimate import Estimate


WHERE = "not in the paper"
TRAIN = "`snakemake --cores all llm` with a gamma on each side of 0 under `llm: family: models`"


def members(study: Study, sign: int) -> pd.DataFrame:
    """Members at the recipe's learning rate with the strongest weight decay of one sign."""
    family = study.table("llm_family")
    rows = family[(family["learning_rate_factor"] == 1) & (family["gamma"] * sign > 0)]
    return rows[rows["gamma"].abs() == rows["gamma"].abs().max()]


def phi_half(study: Study, sign: int, expected: float, relation: str) -> Iterator[Result]:
    """phi_half of the head at the width that contradicts the claim most."""
    rows = members(study, sign).dropna(subset=["phi_half"])
    if rows.empty:
        return
    seeds = estimate.scatter([rows["m"]], rows["phi_half"])
    mean = rows.groupby("m")["phi_half"].mean()
    yield Result(
        ours=estimate.farthest(rows["m"], rows["phi_half"], expected, seeds, relation),
        setting=f"gamma = {rows['gamma'].iloc[0]:g}, m = {rows['m'].min()} to {rows['m'].max()}",
        source="local",
        note=f"over the widths {mean.min():.3g} to {mean.max():.3g}",
    )


@claim(
    id="local.phi_half_strong",
    text="models trained here: with gamma < 0 every token is represented",
    origin="hypothesis",
    where=WHERE,
    quantity="phi_half of the head at the width farthest from 1",
    expected=1.0,
    expected_kind="hypothesis",
    delta=SHARE,
    tables=["llm_family"],
    how_to_run=TRAIN,
)
def phi_half_strong(study: Study) -> Iterator[Result]:
    """Weight decay moves a language model between the regimes as it moves the toy model (Fig. 3)."""
    return phi_half(study, -1, 1.0, "equal")


@claim(
    id="local.phi_half_weak",
    text="models trained here: with gamma > 0 fewer than half of the tokens are represented",
    origin="hypothesis",
    where=WHERE,
    quantity="largest phi_half of the head over the widths",
    expected=0.5,
    expected_kind="hypothesis",
    delta=SHARE,
    relation="at most",
    tables=["llm_family"],
    how_to_run=TRAIN,
)
def phi_half_weak(study: Study) -> Iterator[Result]:
    """The other side of the same knob."""
    return phi_half(study, 1, 0.5, "at most")


def fall(rows: pd.DataFrame) -> pd.Series:
    """Loss at the smallest width less loss at the largest, per seed; nats per token."""
    loss = rows.pivot_table(index="seed", columns="m", values="loss").dropna()
    return loss.iloc[:, 0] - loss.iloc[:, -1] if loss.shape[1] > 1 else pd.Series(dtype=float)


@claim(
    id="local.loss_gain",
    text="models trained here: without superposition the loss falls less with m",
    origin="hypothesis",
    where=WHERE,
    quantity="fall of the loss over the widths, gamma > 0 over gamma < 0",
    expected=1.0,
    expected_kind="hypothesis",
    delta=RATIO,
    relation="at most",
    tables=["llm_family"],
    how_to_run=TRAIN,
)
def loss_gain(study: Study) -> Iterator[Result]:
    """Paired by seed, which sets the initial weights and the windows of both."""
    weak, strong = fall(members(study, 1)), fall(members(study, -1))
    ratio = (weak / strong).dropna()
    if len(ratio):
        note = f"{weak.mean():.3f} over {strong.mean():.3f} nats per token"
        note += "; one seed, so no error" if len(ratio) == 1 else ""
        yield Result(ours=estimate.mean_over(ratio.index, ratio, unit="seeds"), source="local", note=note)


@claim(
    id="local.learning_rate",
    text="models trained here: the learning rate is tuned at every width that was checked",
    origin="hypothesis",
    where=WHERE,
    quantity="largest gain by another learning rate, share of the loss",
    expected=0.01,
    expected_kind="hypothesis",
    delta=0.01,
    relation="at most",
    tables=["llm_family"],
    how_to_run="`snakemake --cores all llm` with another learning_rate_factor under `llm: family: models`",
)
def learning_rate(study: Study) -> Iterator[Result]:
    """A recipe that suits some widths better than others would make a scaling law of its own."""
    family = study.table("llm_family")
    keys = ["m", "gamma", "seed"]
    own = family[family["learning_rate_factor"] == 1].set_index(keys)["loss"].astype(float)
    best = family[family["learning_rate_factor"] != 1].groupby(keys)["loss"].min().astype(float)
    gains = (1 - best / own).dropna()
    if len(gains):
        widths = sorted(set(gains.index.get_level_values("m")))
        note = f"checked at m = {', '.join(map(str, widths))}; below 0 no other rate is better; a maximum has no error"
        yield Result(ours=Estimate(value=float(gains.max()), n=len(gains), unit="models"), source="local", note=note)


@claim(
    id="local.overlap",
    text="models trained here: the mean squared overlap falls as 1/m",
    origin="hypothesis",
    where=WHERE,
    quantity="exponent of the mean squared overlap in m",
    expected=1.0,
    expected_kind="hypothesis",
    delta=EXPONENT,
    tables=["llm_overlaps"],
    how_to_run="`snakemake --cores all llm` with local checkpoints under `llm: models`",
)
def overlap(study: Study) -> Iterator[Result]:
    """Each local family by itself; seeds of a width are averaged first."""
    heads = study.table("llm_overlaps")
    for family, rows in heads[heads["source"] == "local"].groupby("family"):
        for words, column in (("all rows", "mean_sq_overlap_all_rows"), ("centred", "centred_mean_sq_overlap")):
            some = rows[rows[column] > 0]
            ours = estimate.common_exponent(some["family"], some["m"], some[column])
            note = "" if ours.n > 2 else f"{ours.n} widths are too few for an exponent"
            yield Result(ours=ours, setting=f"{family}, {words}", source="local", note=note)


@claim(
    id="local.loss",
    text="models trained here: the loss falls as a power of m near 1",
    origin="hypothesis",
    where=WHERE,
    quantity="alpha_m of L = C/m^alpha_m + L0[family, data set]",
    expected=1.0,
    expected_kind="hypothesis",
    delta=EXPONENT,
    tables=["llm_loss_fit"],
    how_to_run="`snakemake --cores all llm fits` with local checkpoints under `llm: models`",
)
def loss(study: Study) -> Iterator[Result]:
    """All local families with one C and one exponent."""
    found = loss_exponent(power_fits(study, "local"))
    if found and not math.isnan(found[0].value):
        yield Result(ours=found[0], source="local", note=found[1])
