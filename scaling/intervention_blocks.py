"""The blocks of docs/mechanism.md on causes: interventions, predictors of the loss, and the theory."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from scaling.markdown import NOT_RECORDED, markdown_table, recorded_table
from scaling.mechanism_blocks import strong


REFITS = {"bias": "loss, b refitted", "bias_and_norms": "b and norms refitted", "all": "trained on"}
SCALED = {  # quantities of the table of scaled overlaps: column and refit
    "loss, b kept": ("loss", "none"),
    "loss, b refitted": ("loss", "bias"),
    "shrink": ("loss_shrink", "bias"),
    "interference": ("loss_interference", "bias"),
    "false": ("loss_false", "bias"),
}
PREDICTORS = {
    "log_m": "m",
    "log_welch": "κ² of the live rows",
    "log_mean": "mean square",
    "log_fourth": "fourth moment",
    "log_quantile": "99 % quantile, squared",
    "log_max": "largest, squared",
}


def interventions(recorded: Path, prefix: str) -> tuple[pd.DataFrame, Path]:
    """Return interventions whose names start with `prefix`, and the folder of their run.

    Those of the recorded part of the paper's study, where it has some, else those of the default study.
    """
    for folder in (recorded / "paper", recorded):
        table = recorded_table(folder, "interventions")
        if table is not None:
            rows = strong(table)
            rows = rows[rows["intervention"].str.startswith(prefix)]
            if len(rows):
                return rows, folder
    return pd.DataFrame(), recorded


def mean_loss(rows: pd.DataFrame, column: str = "loss") -> str:
    """Mean over seeds ± their standard deviation; with one seed ± the standard error over held-out samples."""
    values = rows[column].astype(float)
    if values.empty:
        return ""
    error = values.std() if len(values) > 1 else float(rows[f"{column}_stderr"].iloc[0])
    return f"{values.mean():.4f} ± {error:.4f}"


def with_silent(rows: pd.DataFrame) -> str:
    """The mean loss after an intervention and, in brackets, the mean number of silent features."""
    return f"{mean_loss(rows)} ({rows['n_silent'].mean():.0f})" if len(rows) else ""


def mechanism_interventions(recorded: Path) -> str:
    """Losses and silent features before and after the interventions that train on, beside training from b = 0."""
    frame, folder = interventions(recorded, "")
    models = recorded_table(folder, "toy_models")
    if frame.empty or models is None:
        return NOT_RECORDED
    frame = frame[frame["refit"].eq("all") & ~frame["intervention"].str.startswith("rows_")]
    names = list(dict.fromkeys(frame["intervention"]))
    zero = strong(models).drop_duplicates("model")
    zero = zero[zero["initial_bias"] == "zero"]
    rows = []
    for (alpha, m), part in frame.groupby(["alpha", "m"]):
        before = part.drop_duplicates("model")
        from_zero = zero[(zero["alpha"] == alpha) & (zero["m"] == m)]
        rows.append(
            [
                f"{alpha:g}",
                f"{m:g}",
                str(before["seed"].nunique()),
                f"{before['loss_before'].mean():.4f} ({before['n_silent_before'].mean():.0f})",
                *(with_silent(part[part["intervention"] == name]) for name in names),
                f"{from_zero['loss'].mean():.4f}" if len(from_zero) else "",
            ]
        )
    head = ["α", "m", "seeds", "before (silent features)", *(name.replace("_", " ") for name in names)]
    return markdown_table([*head, "trained from b = 0"], rows)


def mechanism_directions(recorded: Path) -> str:
    """Statistics of the overlaps and losses for each set of directions, means over seeds."""
    frame, _ = interventions(recorded, "rows_")
    if frame.empty:
        return NOT_RECORDED
    statistics = ["mean_sq_overlap_live", "overlap_quantile_live", "max_overlap_live"]
    rows = []
    for (alpha, m), of_cell in frame.groupby(["alpha", "m"]):
        losses = of_cell[of_cell["refit"] == "bias"].groupby("intervention")["loss"].mean()
        for name in losses.sort_values().index:
            part = of_cell[of_cell["intervention"] == name]
            mean = part.loc[part["refit"] == "bias", statistics].astype(float).mean()
            rows.append(
                [
                    f"{alpha:g}",
                    f"{m:g}",
                    "trained" if name == "rows_kept" else name.removeprefix("rows_").replace("_", " "),
                    f"{m * mean['mean_sq_overlap_live']:.3f}",
                    f"{mean['max_overlap_live']:.2f}",
                    f"{mean['overlap_quantile_live']:.3f}",
                    *(mean_loss(part[part["refit"] == refit]) for refit in REFITS),
                ]
            )
    head = ["α", "m", "directions", "m · mean square", "largest", "99 % quantile", *REFITS.values()]
    return markdown_table(head, rows)


def mechanism_scales(recorded: Path) -> str:
    """Losses and their parts at each factor on the overlaps, means over seeds."""
    frame, _ = interventions(recorded, "overlaps")
    if frame.empty:
        return NOT_RECORDED
    scales = sorted(frame["scale"].unique(), reverse=True)
    rows = []
    for (alpha, m), of_cell in frame.groupby(["alpha", "m"]):
        for name, (column, refit) in SCALED.items():
            mean = of_cell[of_cell["refit"] == refit].groupby("scale")[column].mean()
            cells = [f"{abs(mean[scale]):.4f}" if scale in mean else "" for scale in scales]
            rows.append([f"{alpha:g}", f"{m:g}", name, *cells])
    return markdown_table(["α", "m", "", *(f"s = {scale:g}" for scale in scales)], rows)


def mechanism_mediation(recorded: Path) -> str:
    """What predicts the loss of curves left out: functions of the overlaps, of m, and a count of features."""
    table = recorded_table(recorded, "mediation")
    if table is None:
        return NOT_RECORDED
    data = {"live": "loss of live features", "counting": "loss", "rows_bias": "loss after new directions"}
    table = table[table["data"].isin(list(data)) & table["error_outside"].notna()]
    table = table[table["predictors"].isin(list(PREDICTORS)) | (table["data"] == "counting")]
    rows = []
    for row in table.to_dict("records"):
        slope = (
            "" if pd.isna(row["slope_stderr"]) else f"{row['slope']:.2f} ± {row['slope_stderr']:.2f}".replace("-", "−")
        )
        counts = f"4/3 Σ p_i over i > k, {row['predictors']}"
        rows.append(
            [
                data[row["data"]],
                PREDICTORS.get(row["predictors"], counts),
                slope,
                f"{row['error_outside']:.2f}",
                "" if pd.isna(row["exponent_error"]) else f"{row['exponent_error']:.2f}",
                f"{row['n_models']} in {row['n_curves']}",
            ]
        )
    head = ["predicted", "by", "slope", "RMS error of log loss", "RMS error of the exponent", "models in curves"]
    return markdown_table(head, rows)


def mechanism_theory(recorded: Path) -> str:
    """Local exponents of the mean-field theory between neighbouring widths, one row per n."""
    table = recorded_table(recorded, "mean_field")
    if table is None:
        return NOT_RECORDED
    middle: dict[int, dict[str, str]] = {}
    for n in sorted(map(int, table["n"].unique())):
        part = table[(table["n"] == n) & table["m"].between(25, n / 2, inclusive="left")].sort_values("m")
        m, loss = (part[name].to_numpy(np.float64) for name in ("m", "loss"))
        slopes = -np.diff(np.log(loss)) / np.diff(np.log(m))
        ends = [f"{first:g} to {last:g}" for first, last in pairwise(m)]
        middle[n] = {end: f"{slope:.2f}" for end, slope in zip(ends, slopes, strict=True)}
    steps = list(dict.fromkeys(step for slopes in middle.values() for step in slopes))
    rows = [[step, *(slopes.get(step, "") for slopes in middle.values())] for step in steps]
    return markdown_table(["m", *(f"n = {n:,}" for n in middle)], rows)
