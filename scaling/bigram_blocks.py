"""The marked blocks of docs/bigram.md, from the tables of a recorded run."""

from pathlib import Path

import pandas as pd

from scaling.markdown import NOT_RECORDED, markdown_table, recorded_table


WINDOWS = {"narrow": "m ≤ n/16", "all": "m < n/2"}
COUNTED = ("text", "smoothed", "shuffled")  # laws of matrices that are counted from a text
RIVALS = ("overlap", "chi_square", "log_spectrum", "truncated", "frequency", "successors")


def value(number: float, error: float) -> str:
    """`number ± error` to two decimals; nothing without a number."""
    return "" if pd.isna(number) else f"{number:.2f} ± {error:.2f}"


def bigram_exponents(recorded: Path) -> str:
    """Exponents of the excess and of the squared overlaps for text, without decay, over every window of widths."""
    table = recorded_table(recorded, "bigram_exponents")
    if table is None:
        return NOT_RECORDED
    table = table[(table["gamma"] == 0) & ~table["tied"].astype(bool) & table["law"].isin(COUNTED)]
    rows = [
        [
            row["matrix"],
            str(row["n"]),
            WINDOWS.get(row["window"], f"m = {row['window'].replace('-', ' to ')}"),
            value(row["exponent"], row["exponent_stderr"]),
            value(row["overlap_exponent"], row["overlap_exponent_stderr"]),
            f"{row['mean_m_overlap']:.2f}",
        ]
        for row in table.to_dict("records")
    ]
    return markdown_table(
        ["matrix", "n", "widths", "α_m of the excess", "exponent of overlaps", "m × mean overlap"], rows
    )


def bigram_excess(recorded: Path) -> str:
    """Excess at each width as a share of the mutual information, and the share of represented tokens."""
    table = recorded_table(recorded, "bigram_models")
    if table is None:
        return NOT_RECORDED
    table = table[table["law"].isin(COUNTED[:2]) & (table["vocabulary"] == table["vocabulary"].min())]
    widths = sorted(table.loc[table["gamma"] != 0, "m"].unique())
    rows = []
    for (matrix, tied, gamma), part in table.groupby(["matrix", "tied", "gamma"]):
        shares = part.groupby("m")["excess_share"].mean()
        kind = f"{matrix}, A = W" if tied else str(matrix)
        cells = [f"{shares[m]:.3f}" if m in shares else "" for m in widths]
        rows.append([kind, f"{gamma:g}".replace("-", "−"), f"{part['phi_half'].mean():.2f}", *cells])
    return markdown_table(["matrix", "γ", "φ_½", *(f"m = {m}" for m in widths)], rows)


def bigram_rivals(recorded: Path) -> str:
    """Measured and predicted exponents over all m < n/2 without decay; predicted over measured excess in brackets."""
    table = recorded_table(recorded, "bigram_rivals")
    if table is None:
        return NOT_RECORDED
    table = table[(table["gamma"] == 0) & ~table["tied"].astype(bool) & (table["window"] == "all")]
    rows = []
    for matrix, part in table.groupby("matrix", sort=False):
        first, found = part.iloc[0], part.set_index("rival")
        cells = []
        for rival in RIVALS:
            row = found.loc[rival] if rival in found.index else None
            ratio = "" if row is None or rival == "overlap" else f" ({row['ratio']:.3g})"
            cells.append("" if row is None else f"{row['predicted_exponent']:.2f}{ratio}")
        rows.append([str(matrix), value(first["exponent"], first["exponent_stderr"]), *cells])
    return markdown_table(["matrix", "measured", *(rival.replace("_", " ") for rival in RIVALS)], rows)


def time_exponents(recorded: Path) -> str:
    """Exponents against time of models trained with a constant step, with a free constant."""
    table = recorded_table(recorded, "time_exponents")
    if table is None:
        return NOT_RECORDED
    table = table[(table["study"] == "bigram") | (table["training"] == "constant")]
    rows = [
        [
            f"{row['study']}: {row['model'].removeprefix('constant/')}",
            "" if pd.isna(row["phi_half"]) else f"{row['phi_half']:.2f}",
            f"{row['exponent_with_constant']:.2f}",
            f"{row['exponent_with_constant_low']:.2f} to {row['exponent_with_constant_high']:.2f}",
            row["form"].replace("_", " "),
        ]
        for row in table.to_dict("records")
    ]
    return markdown_table(["model", "φ_½", "exponent", "95 % profile interval", "preferred form"], rows)
