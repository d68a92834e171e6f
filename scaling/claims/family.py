"""Claims about the language models trained here, where gamma is a knob: does superposition cause what width brings?

The paper suggests that it does and trains none; so the published numbers here are what that would mean.
"""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from scaling.claims.bridge import Claim
from scaling.claims.toy_study import standard_error


SOURCE = "local"
NOT_THERE = "no such members: give a gamma on each side of 0 under `llm: family: models`, `snakemake --cores all llm`"
NOT_CHECKED = "no member with another learning_rate_factor under `llm: family: models`, `snakemake --cores all llm`"


def claims(family: pd.DataFrame) -> Iterator[Claim]:
    """Rows of claims.csv from table llm_family: the knob works, what it does to the loss, the learning rate."""
    study = family[family["learning_rate_factor"] == 1]
    strong = study[study["gamma"] < 0]
    weak = study[study["gamma"] > 0]
    strong, weak = (part[part["gamma"].abs() == part["gamma"].abs().max()] for part in (strong, weak))
    common: dict[str, Any] = {"where": "not in the paper", "source": SOURCE}
    yield from knob(strong, weak, common)
    yield gain(strong, weak, common)
    yield from learning_rate(family, common)


def knob(strong: pd.DataFrame, weak: pd.DataFrame, common: dict[str, Any]) -> Iterator[Claim]:
    """gamma moves a language model between the regimes as it moves the toy model (the paper's Fig. 3)."""
    for part, sign, published, relation in ((strong, "< 0", 1.0, "equal"), (weak, "> 0", 0.5, "at most")):
        values = part["phi_half"].dropna().astype(float)
        here = {**common, "claim": "language models: gamma sets the share of tokens that are represented"}
        here |= {"quantity": f"mean phi_half of the head, gamma {sign}", "published": published, "relation": relation}
        if values.empty:
            yield Claim(**here, note=NOT_THERE)
        else:
            widths = f"gamma = {part['gamma'].iloc[0]:g}, m = {part['m'].min()} to {part['m'].max()}"
            yield Claim(**here, ours=values.mean(), ours_err=standard_error(values), n=len(values), note=widths)


def fall(members: pd.DataFrame) -> pd.Series:
    """By how much the loss of each seed falls from the smallest to the largest width; nats a token."""
    loss = members.pivot_table(index="seed", columns="m", values="loss").dropna()
    return loss.iloc[:, 0] - loss.iloc[:, -1] if loss.shape[1] > 1 else pd.Series(dtype=float)


def gain(strong: pd.DataFrame, weak: pd.DataFrame, common: dict[str, Any]) -> Claim:
    """If superposition were what makes the loss fall with m, it would fall less where gamma > 0 undoes it."""
    ratio = (fall(weak) / fall(strong)).dropna()
    here = {**common, "claim": "language models: without superposition the loss falls less with m"}
    here |= {"quantity": "fall of the loss over the widths, gamma > 0 over gamma < 0", "published": 1.0}
    if ratio.empty:
        return Claim(**here, relation="at most", note=NOT_THERE)
    note = (
        f"{fall(weak).mean():.3f} over {fall(strong).mean():.3f} nats, m = {strong['m'].min()} to {strong['m'].max()}"
    )
    error = standard_error(ratio)
    if math.isnan(error):
        note += "; one seed, so no error"
    return Claim(**here, relation="at most", ours=ratio.mean(), ours_err=error, n=len(ratio), note=note)


def learning_rate(family: pd.DataFrame, common: dict[str, Any]) -> Iterator[Claim]:
    """No other learning rate that was tried is better by more than 1 % of the loss: it makes no scaling law."""
    here = {**common, "claim": "language models: the learning rate is tuned at every width that was checked"}
    here |= {"quantity": "largest gain by another learning rate, share of the loss", "published": 0.01}
    keys = ["m", "gamma", "seed"]
    own = family[family["learning_rate_factor"] == 1].set_index(keys)["loss"].astype(float)
    best = family[family["learning_rate_factor"] != 1].groupby(keys)["loss"].min().astype(float)
    gains = (1 - best / own).dropna()
    if gains.empty:
        yield Claim(**here, relation="at most", note=NOT_CHECKED)
    else:
        where = ", ".join(f"{value:g}" for value in sorted(set(gains.index.get_level_values("m"))))
        note = f"checked at m = {where}; below 0: the recipe's rate is the best of all"
        yield Claim(**here, relation="at most", ours=gains.max(), n=len(gains), note=note)
