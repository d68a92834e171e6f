"""A made-up bigram study whose exponents are known, as the tables that the study writes."""

import itertools

import numpy as np
import pandas as pd

from scaling import tables
from scaling.bigram.measurement import rank_bins
from scaling.fits import bigram


N = 400
WIDTHS = [4, 8, 16, 25, 64, 128]
EXPONENTS = {"text": 1.5, "smoothed": 1.0, "shuffled": 0.5, "spectrum": 2.0, "independent": 0.0}
PREDICTED = {"chi_square": 0.5, "log_spectrum": 1.0, "truncated": 1.0, "frequency": 0.1, "successors": 0.0}


def row(law: str, m: int, gamma: float, tied: bool, seed: int) -> dict[str, object]:
    """One model: excess 2 m^-a exactly, scattered by the seed; 2 + 0.1 / m under gamma > 0."""
    excess = 2 + 0.1 / m if gamma > 0 else 2 * m ** -EXPONENTS[law] * (1 + 0.01 * seed)
    if law == "independent":
        excess = 1e-6
    empty = {"str": "x", "int": 1, "float": 0.5, "bool": False}
    made: dict[str, object] = {
        name: empty[entry["type"]] for name, entry in tables.dictionary()["bigram_models"]["columns"].items()
    }
    tie = "_tied" if tied else ""
    made |= {"model": f"{law}_512/gamma{gamma:g}{tie}/m{m}_seed{seed}", "matrix": f"{law}_512", "law": law, "n": N}
    made["vocabulary"] = 512
    made |= {"m": m, "gamma": gamma, "tied": tied, "seed": seed, "excess": excess, "information": 3.0}
    made |= {"excess_share": excess / 3, "balanced_mean_sq_overlap": 1.5 / m, "mean_sq_overlap": 2 / m}
    made["phi_half"] = 0.2 if gamma > 0 else 1.0
    made |= {f"predicted_{rival}": 3 * m**-slope for rival, slope in PREDICTED.items()}
    if law in ("text", "shuffled"):
        made |= {"predicted_log_spectrum": None, "predicted_truncated": None}
    return made


def models(laws: list[str] | None = None) -> pd.DataFrame:
    """Table bigram_models: every law without decay, two seeds; on text and smoothed also decay, tied, and m > n."""
    chosen = laws or list(EXPONENTS)
    rows = [row(law, m, 0.0, False, seed) for law, m, seed in itertools.product(chosen, WIDTHS, (0, 1))]
    for law in set(chosen) & {"text", "smoothed"}:
        rows += [row(law, m, gamma, False, 0) for gamma, m in itertools.product((-1.0, 1.0), WIDTHS)]
        rows += [row(law, m, 0.0, True, 0) for m in WIDTHS]
        rows += [row(law, 512, 0.0, False, 0) | {"excess": 1e-5}]
    return pd.DataFrame(rows)


def ranks(frame: pd.DataFrame) -> pd.DataFrame:
    """Table bigram_ranks of these models."""
    parts = []
    for model, excess in zip(frame["model"], frame["excess"], strict=True):
        bins = rank_bins(N)
        part = pd.DataFrame({"rank_min": [a for a, _ in bins], "rank_max": [b for _, b in bins]})
        share = np.full(len(bins), 1 / len(bins))
        parts.append(
            part.assign(
                model=model,
                frequency=share,
                excess_context=share * excess,
                excess_next=share * excess,
                mean_norm=1.0,
                mean_norm_context=1.0,
            )
        )
    return pd.concat(parts, ignore_index=True)[list(tables.dictionary()["bigram_ranks"]["columns"])]


def study(laws: list[str] | None = None) -> dict[str, pd.DataFrame]:
    """All four tables, checked against the dictionary."""
    frame = models(laws)
    made = {"bigram_models": frame, "bigram_ranks": ranks(frame)}
    made |= {"bigram_exponents": bigram.exponent_table(frame), "bigram_rivals": bigram.rival_table(frame)}
    return {name: tables.validate(name, table, "test") for name, table in made.items()}
