"""The toy study's tables as the figures need them: who is drawn, means over seeds, points read off the paper."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scaling import tables
from scaling.command import InputError
from scaling.curves import CURVE, decay_sweep, main_recipe, regime, usual
from scaling.figures.style import number


SYMBOLS = {"γ": "gamma", "α": "alpha", "E": "activation_density"}
USUAL_GAMMA = {"weak": 0.3333, "strong": -0.5556}  # weight decay drawn when several were trained alike
PUBLISHED_N = 1000  # features of the paper's figures, but for those of LARGE_PUBLISHED
LARGE_PUBLISHED = {"fig1b_weak_loss": 0.1, "fig1d_strong_loss": -1.0}  # n = 10240: weight decay
LARGE_PUBLISHED_N, LARGE_PUBLISHED_ALPHA = 10240, 1.2


class Study:
    """The tables of one run, read when first asked for.

    `paths` maps table names to files; `read_off` are the CSV files of points read off the paper, or their folder.
    """

    def __init__(self, paths: Mapping[str, Path | None], read_off: Iterable[Path] = ()) -> None:
        self.paths = paths
        files = [file for path in read_off for file in (sorted(path.glob("*.csv")) if path.is_dir() else [path])]
        self.read_off = {file.stem: file for file in files}

    @property
    def given(self) -> set[str]:
        """The names of the tables that there are files for."""
        return {name for name, path in self.paths.items() if path is not None}

    def read(self, name: str) -> pd.DataFrame:
        """Table `name`; raises InputError when the command was given no file for it."""
        path = self.paths.get(name)
        if path is None:
            option = name.removeprefix("toy_")
            raise InputError(f"this figure needs the table {name}: give --{option} results/tables/{name}.csv")
        return tables.read(name, path)

    def published(self, name: str) -> pd.DataFrame:
        """Points read off the paper's figure `name`; an empty frame when the command was given none."""
        return pd.read_csv(self.read_off[name], comment="#") if name in self.read_off else pd.DataFrame()

    def comparable(self, name: str, models: pd.DataFrame) -> pd.DataFrame:
        """Points of a figure with n = PUBLISHED_N; an empty frame where `models` have another n."""
        frame = self.published(name)
        return frame if set(models["n"]) == {PUBLISHED_N} else frame.iloc[:0]

    @cached_property
    def published_losses(self) -> pd.DataFrame:
        """Every loss L(m) read off the paper: frequency_law, n, gamma, alpha, activation_density, m, loss.

        From Fig. 1b, d (three laws), 5a (alpha = 0, inferred) and 7b (alpha = 1); each setting once.
        """
        names = {"gamma_inferred": "gamma", "alpha_inferred": "alpha", "feature_importance": "frequency_law"}
        setting = ["frequency_law", "n", "gamma", "alpha", "activation_density"]
        usual_values: dict[str, Any] = {
            "frequency_law": "power_law",
            "n": PUBLISHED_N,
            "alpha": 1.0,
            "activation_density": 1.0,
        }
        found = [pd.DataFrame(columns=[*setting, "m", "loss"])]
        for name in ("fig7b_density_scaling", "fig5a_loss_vs_unlearned_alpha0", *LARGE_PUBLISHED):
            frame = self.published(name).rename(columns=names)
            if frame.empty:
                continue
            if name in LARGE_PUBLISHED:
                power = frame["frequency_law"] == "power_law"
                alpha = power.map({True: LARGE_PUBLISHED_ALPHA, False: np.nan})
                frame = frame.assign(n=LARGE_PUBLISHED_N, gamma=LARGE_PUBLISHED[name], alpha=alpha)
            frame = frame.assign(**{key: value for key, value in usual_values.items() if key not in frame})
            found.append(frame[[*setting, "m", "loss"]])
        return rounded(pd.concat([frame for frame in found if len(frame)] or found, ignore_index=True))

    def published_curve(self, key: pd.Series) -> pd.DataFrame:
        """Losses read off the paper at the setting of the curve `key`, by m; empty where it has none."""
        columns = ["frequency_law", "n", "gamma", "alpha", "activation_density"]
        return of_curve(self.published_losses, key, columns).sort_values("m")

    @cached_property
    def models(self) -> pd.DataFrame:
        """Every model once, whatever experiments ask for it, with the regime of its curve."""
        frame = rounded(self.read("toy_models")).drop_duplicates("model").reset_index(drop=True)
        mean = frame.groupby(CURVE, dropna=False)["phi_half"].transform("mean")
        return frame.assign(regime=[regime(value) for value in mean])

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Training curves: `toy_curves`."""
        return self.read("toy_curves")

    @cached_property
    def features(self) -> pd.DataFrame:
        """Rows of W, with the settings of their models: `toy_features` joined to the models."""
        settings = self.models[["model", "seed", "m", "regime", *CURVE]]
        return self.read("toy_features").merge(settings, on="model", how="inner")

    @cached_property
    def exponents(self) -> pd.DataFrame:
        """Every curve once, from the experiment that gives it most points, with its regime."""
        frame = rounded(self.read("toy_exponents"))
        frame = frame.assign(regime=[regime(value) for value in frame["mean_phi_half"]])
        frame = frame.sort_values(["n_points", "n_seeds"], ascending=False, kind="stable")
        return frame.drop_duplicates(CURVE).sort_values(CURVE, kind="stable").reset_index(drop=True)

    @cached_property
    def sweep(self) -> pd.DataFrame:
        """Models of the decay sweep (see `scaling.curves`) with the n that most of them have: one n per figure."""
        frame = decay_sweep(self.models)
        return frame if frame.empty else frame[frame["n"] == frame["n"].mode().iloc[0]]

    @cached_property
    def sweep_exponents(self) -> pd.DataFrame:
        """Exponents of the curves of `sweep`."""
        frame = self.exponents
        return frame.merge(self.sweep[CURVE].drop_duplicates(), on=CURVE, how="inner")

    def varying(self, column: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Models and exponents of the experiments in which a curve was trained at several values of `column`.

        Each at the widths and seeds of its own experiment, so that the values compare; by the main recipe, from the
        paper's initial bias.
        """
        models = main_recipe(rounded(self.read("toy_models")))
        models = models[models["initial_bias"] == "normal"]
        same = ["experiment", *(key for key in CURVE if key != column)]
        models = models[models.groupby(same, dropna=False)[column].transform("nunique") > 1]
        curves = models[["experiment", *CURVE]].drop_duplicates()
        exponents = rounded(self.read("toy_exponents")).merge(curves, on=["experiment", *CURVE], how="inner")
        return models.drop_duplicates("model"), exponents.drop_duplicates(CURVE).dropna(subset=["exponent"])


def rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows with gamma, alpha and E to four decimals, so that -5/9 and -0.5556 fall into one cell."""
    return frame.round({"gamma": 4, "alpha": 4, "activation_density": 4})


def at_one_density(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the usual training at the activation density nearest 1."""
    frame = usual(frame)
    distance = (frame["activation_density"] - 1).abs()
    return frame[distance <= distance.min() + 1e-9]


def of_curve(frame: pd.DataFrame, key: pd.Series, columns: Sequence[str] = CURVE) -> pd.DataFrame:
    """Rows of `frame` that agree with `key` in all `columns`; an empty alpha agrees with an empty one."""
    for column in columns:
        frame = frame[frame[column].isna() if pd.isna(key[column]) else frame[column] == key[column]]
    return frame


def nearest(values: Sequence[float] | pd.Series, target: float) -> float:
    """The one of `values` nearest to `target`."""
    return float(min(set(map(float, values)), key=lambda value: (abs(value - target), value)))


def fullest(frame: pd.DataFrame, column: str, counted: str, near: float) -> float:
    """The value of `column` with the most different values of `counted`; among equals the nearest to `near`."""
    counts = frame.groupby(column)[counted].nunique()
    return nearest(list(counts.index[counts == counts.max()]), near)


def thinned(values: Sequence[float] | pd.Series, most: int) -> list[float]:
    """At most `most` of the sorted different values, evenly spread, both ends among them."""
    ordered = sorted({float(value) for value in values})
    if len(ordered) <= most:
        return ordered
    return [ordered[i] for i in np.unique(np.linspace(0, len(ordered) - 1, most).round().astype(int))]


def over_seeds(frame: pd.DataFrame, column: str, by: Sequence[str]) -> pd.DataFrame:
    """One row per group: value, error, n_seeds.

    The loss is averaged as its logarithm, as the exponents are fitted; everything else as it is. The error is seed
    SD/sqrt(S); with one seed it is the held-out standard error for the loss and empty for the rest.
    """
    rows = []
    for key, group in frame.dropna(subset=[column]).groupby(list(by), dropna=False):
        values = group[column].to_numpy(dtype=float)
        if column == "loss" and (values > 0).all():
            value = float(np.exp(np.log(values).mean()))
            spread = value * float(np.log(values).std(ddof=1)) if len(values) > 1 else np.nan
        else:
            value = float(values.mean())
            spread = float(values.std(ddof=1)) if len(values) > 1 else np.nan
        error = spread / np.sqrt(len(values))
        if len(values) == 1 and column == "loss":
            error = float(group["loss_stderr"].iloc[0])
        rows.append((*key, value, error, len(values)))
    return pd.DataFrame(rows, columns=[*by, "value", "error", "n_seeds"])


def local_slopes(rows: pd.DataFrame) -> pd.DataFrame:
    """-d log L / d log m between neighbouring widths, at their geometric mean; `rows` have m and value."""
    rows = rows.sort_values("m")
    m, log = rows["m"].to_numpy(np.float64), np.log(rows["value"].to_numpy(np.float64))
    return pd.DataFrame({"m": np.sqrt(m[1:] * m[:-1]), "slope": -np.diff(log) / np.diff(np.log(m))})


def described(models: pd.DataFrame, bars: str = "loss") -> str:
    """What was trained and what the error bars are: the line beneath a figure; `bars` is loss, mean or none."""
    if models.empty:
        return ""
    seeds = models.groupby([*CURVE, "m"], dropna=False)["seed"].nunique()
    parts = [
        f"n = {span(models['n'])} features",
        f"m = {span(models['m'])}",
        *(f"{symbol} = {listed(models[key])}" for symbol, key in SYMBOLS.items() if models[key].notna().any()),
        f"{span(models['steps'])} steps",
        f"{span(seeds)} {'seed' if seeds.max() == 1 else 'seeds'}",
    ]
    alone = {"loss": "held-out standard error", "mean": "none"}
    if bars in alone:
        words = [r"seed SD/$\sqrt{S}$"] if seeds.max() > 1 else []
        words += [alone[bars] + (" where S = 1" if words else "")] if seeds.min() == 1 else []
        parts.append(f"bars: {', '.join(words)}" if words != ["none"] else "one seed: no bars")
    return "; ".join(parts) + "."


def listed(values: pd.Series) -> str:
    """Up to four different settings one by one, else their ends and their number."""
    ordered = sorted({float(value) for value in values.dropna()})
    if len(ordered) > 4:
        return f"{number(ordered[0])} to {number(ordered[-1])} ({len(ordered)} values)"
    return ", ".join(number(value) for value in ordered)


def span(values: pd.Series) -> str:
    """The smallest and the largest of whole numbers, as 10–100, or the one there is."""
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"{low}–{high}"
