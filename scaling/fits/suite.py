"""Fit the width exponent of a table of training runs: L = L0 + c_m/m^a [+ c_l/l^b] [+ c_D/D^c] [+ c_t/t^d].

Least squares in log L by variable projection. The interval of a comes from the jackknife over widths; the profile
of a against L0 shows what a short range of widths cannot determine. See docs/suites.md for an example.
"""

import argparse
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from scaling import command, tables
from scaling.command import InputError
from scaling.fits import errors, inputs, power_sum
from scaling.fits.inputs import FloatArray
from scaling.fits.power_sum import LIMITS, PowerSum, Problem, newton_or_bound


EXPONENTS = {"width": "a", "depth": "b", "data": "c", "steps": "d"}  # columns of a run that can be terms of the law
PROFILE = (0.1, 4.0, 40)  # range and number of the values of a in the profile

NOT_DETERMINED = "not determined"


@dataclass(frozen=True)
class Rules:
    """When an exponent counts as determined, and what it is compared with besides 1; defaults as in config.yaml."""

    min_widths: int = 4
    longest_interval: float = 1.0
    largest_inflation: float = 50.0
    published: float = 0.91
    published_err: float = 0.04

    def verdict(self, row: dict[str, Any]) -> str:
        """Return the verdict for a row of width_suites, from the union of the jackknife and profile intervals."""
        ends = np.array([row.get(f"a_{kind}") for kind in ("low", "high", "profile_low", "profile_high")], dtype=float)
        if row["status"] == inputs.NOT_RUN:
            return inputs.NOT_RUN
        if row["status"] != inputs.CONVERGED or row["n_widths"] < self.min_widths or np.isnan(ends).any():
            return NOT_DETERMINED
        low, high = ends.min() - 1e-9, ends.max() + 1e-9  # an exact fit has no width
        if high - low > self.longest_interval:
            return NOT_DETERMINED
        one = low <= 1 <= high
        published = low <= self.published + self.published_err and high >= self.published - self.published_err
        return {
            (True, True): "agrees with both",
            (True, False): "agrees with 1",
            (False, True): "agrees with published",
            (False, False): "differs",
        }[bool(one), bool(published)]


def inflation(runs: pd.DataFrame, terms: list[str]) -> float:
    """Return the variance inflation 1/(1 - R^2) of log width due to the logs of the other terms; 1 without them."""
    logs = np.log(runs[["width", *terms]].to_numpy(dtype=np.float64))
    centred = logs - logs.mean(axis=0)
    total = float(centred[:, 0] @ centred[:, 0])
    if not terms or total == 0:
        return 1.0
    residual = centred[:, 0] - centred[:, 1:] @ np.linalg.lstsq(centred[:, 1:], centred[:, 0], rcond=None)[0]
    return total / max(float(residual @ residual), 1e-12 * total)


def part_of(problem: Problem, some: np.ndarray) -> Problem:
    """Return the problem for the chosen runs only (boolean, (n,)), in the same coordinates."""
    return replace(problem, z=problem.z[:, some], log_loss=problem.log_loss[some], weights=problem.weights[some])


def without(law: PowerSum, left_out: np.ndarray) -> tuple[FloatArray, str]:
    """Refit without the runs `left_out` (boolean, (n,)); returns theta, and the reason if the refit is not valid."""
    part = part_of(law.problem, ~left_out)
    if part.log_loss.size <= law.theta.size or (np.ptp(part.z, axis=1) == 0).any():
        return law.theta, "too few runs are left"
    theta, _, converged = newton_or_bound(part, law.theta)
    return theta, power_sum.judge(part, theta, converged, constant_may_vanish=True)[1]


def jackknife(law: PowerSum, clusters: np.ndarray, level: float = 0.95) -> dict[str, Any]:
    """Return the error and interval of a: V = (G - 1)/G sum_g (a_(g) - a)^2 over refits without cluster g, t(G - 1).

    Source: MacKinnon, Nielsen, Webb 2023 (CV3); the coverage is accurate with few clusters.
    """
    index, values = law.problem.terms + 1, np.unique(clusters)
    leaves = []
    for value in values:
        theta, why = without(law, clusters == value)
        if why:
            return {"note": f"no interval: the refit without {value:g} is unsound ({why})"}
        leaves.append(theta[index])
    G = values.size
    stderr = float(np.sqrt((G - 1) / G * np.sum((np.array(leaves) - law.theta[index]) ** 2)))
    half = float(stats.t.ppf(0.5 + level / 2, G - 1)) * stderr
    a = float(law.theta[index])
    return {"a_stderr": stderr, "a_low": a - half, "a_high": a + half}


def width_profile(law: PowerSum) -> pd.DataFrame:
    """Return a table with a fixed at values from 0.1 to 4: L0, c_m, rms of log L, and (RSS/RSS_min - 1)(n - p)."""
    low, high, count = PROFILE
    best = float(law.exponents[0])
    values = np.unique([*np.geomspace(low, high, count), *np.linspace(0.7 * best, 1.4 * best, 22), 1.0, best])
    thetas, objectives = errors.profile_path(law, 0, values)
    natural = np.array([law.problem.natural(theta) for theta in thetas])
    K, freedom = law.problem.terms, law.n_points - law.theta.size
    return pd.DataFrame(
        {
            "a": values,
            "L0": natural[:, K],
            "c_m": natural[:, 0],
            "rms": np.sqrt(2 * objectives / law.n_points),
            "excess": (objectives / law.objective - 1) * freedom if law.objective > 0 else np.nan,
        }
    )


def fit_suite(
    runs: pd.DataFrame, terms: list[str], rules: Rules | None = None, cluster: str = "width"
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Fit the law to `runs` with columns width, loss and `terms` (of depth, data, steps); returns row and profile.

    The row has the columns of width_suites except suite, text and selection; the profile is that of `width_profile`.
    `cluster` is width or shape (width and depth). If the runs do not determine the law, the row has a status and note.
    Raises InputError for entries that are not finite and positive.
    """
    rules = rules or Rules()
    names = ["width", *terms]
    inputs.positive(**{name: runs[name] for name in [*names, "loss"]})
    widths = runs["width"].to_numpy(dtype=np.float64)
    row: dict[str, Any] = {
        "form": " + ".join(names),
        "n_runs": len(runs),
        "n_widths": np.unique(widths).size,
        "m_min": widths.min() if len(runs) else np.nan,
        "m_max": widths.max() if len(runs) else np.nan,
        "note": "",
    }
    nothing = pd.DataFrame(columns=["a", "L0", "c_m", "rms", "excess"], dtype=float)
    if len(runs):
        row["inflation"] = inflation(runs, terms)
    if row["n_widths"] < 3:
        row |= {"status": inputs.TOO_FEW, "note": f"a needs at least 3 different widths, got {row['n_widths']}"}
    elif row["inflation"] > rules.largest_inflation:
        others = " and ".join(terms)
        why = f"width and {others} cannot be told apart: log width is a line in log {others} with R^2 = "
        why += f"{1 - 1 / row['inflation']:.4f} (variance inflation {row['inflation']:.3g}, at most "
        why += f"{rules.largest_inflation:g}); leave {others} out and read a as the exponent of all of them"
        row |= {"status": inputs.NOT_IDENTIFIED, "note": why}
    else:
        columns = [runs[name] for name in names]
        law = power_sum.fit(columns, runs["loss"], "least_squares", n_starts=6, constant_may_vanish=True)
        row |= {"status": law.status, "note": law.note}
        if law.status == inputs.CONVERGED:
            row |= numbers(law, runs, names, cluster)
            return row | {"verdict": rules.verdict(row)}, width_profile(law)
    return row | {"verdict": rules.verdict(row)}, nothing


def numbers(law: PowerSum, runs: pd.DataFrame, names: list[str], cluster: str) -> dict[str, Any]:
    """Return the numbers of a row of width_suites for a fit that converged."""
    widths = runs["width"].to_numpy(dtype=np.float64)
    shape = runs.groupby(["width", "depth"]).ngroup().to_numpy() if cluster == "shape" else widths
    row: dict[str, Any] = {EXPONENTS[name]: value for name, value in zip(names, law.exponents, strict=True)}
    shares = law.problem.shares(law.theta)[1]
    constant_share = float(shares[-1].max())
    J = law.problem.jacobian(shares)
    J = J[np.linalg.norm(J, axis=1) > power_sum.VANISHED]
    row |= {
        "L0": law.constant if constant_share >= power_sum.VANISHED else 0.0,
        "c_m": law.amplitudes[0],
        "rms": float(np.sqrt(2 * law.objective / law.n_points)),
        "condition": float(np.linalg.cond(J / np.linalg.norm(J, axis=1, keepdims=True))),
    }
    _, at_one = errors.profile_path(law, 0, [1.0])
    row["rms_at_1"] = float(np.sqrt(2 * at_one[0] / law.n_points))
    notes = [] if row["L0"] else ["L0 is at its bound 0"]
    for name, value in (("smallest", widths.min()), ("largest", widths.max())):
        theta, why = without(law, widths == value)
        if why:
            notes.append(f"no refit without the {name} width: {why}")
            continue
        row[f"a_without_{name}"] = theta[law.problem.terms + 1]
        if name == "largest":
            held_out = part_of(law.problem, widths == value)
            error = held_out.shares(theta)[0] - held_out.log_loss
            row |= {"held_out_error": float(error.mean()), "held_out_rms": float(np.sqrt(np.mean(error**2)))}
    interval = jackknife(law, shape)
    notes.append(interval.pop("note", ""))
    row |= interval
    row["a_profile_low"], row["a_profile_high"] = errors.profile_interval(law, 0)
    if np.isnan([row["a_profile_low"], row["a_profile_high"]]).any():
        notes.append(f"a is not bounded within {LIMITS[0]} .. {LIMITS[1]}: these widths trade a for L0")
    return row | {"note": "; ".join(filter(None, notes))}


def read_runs(data: bytes, name: str, columns: dict[str, str]) -> pd.DataFrame:
    """Read columns of a CSV file, or of JSON lines if `name` ends in .jsonl, renamed by `columns` (ours: theirs).

    Raises InputError with the file, the missing column and the columns it has, or the row of an invalid entry.
    """
    lines = name.endswith(".jsonl")
    try:
        frame = pd.read_json(io.BytesIO(data), lines=True) if lines else pd.read_csv(io.BytesIO(data), comment="#")
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: not a readable {'JSON lines' if lines else 'CSV'} file: {error}") from None
    lacking = [theirs for theirs in columns.values() if theirs not in frame]
    if lacking:
        raise InputError(f"{name}: lacks column {', '.join(lacking)}; it has {', '.join(map(str, frame.columns))}")
    runs = pd.DataFrame({ours: frame[theirs] for ours, theirs in columns.items()})
    for ours in [*EXPONENTS, "parameters", "loss"]:
        if ours not in runs:
            continue
        values = pd.to_numeric(runs[ours], errors="coerce")
        wrong = runs[ours][~np.isfinite(values) | (values <= 0)]
        if len(wrong):
            value = repr(wrong.iloc[0]) if isinstance(wrong.iloc[0], str) else f"{wrong.iloc[0]}"
            where = f"{name}: row {wrong.index[0] + 1}: column {columns[ours]}"
            raise InputError(f"{where} is {value}, but must be a number above zero")
        runs[ours] = values.astype(np.float64)
    return runs


def groups(runs: pd.DataFrame, by: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield (name, runs) for each combination of values of the columns `by`; without columns, ("all", all runs)."""
    if not by:
        yield "all", runs
        return
    for values, part in runs.groupby(by):
        yield ", ".join(f"{column} = {value}" for column, value in zip(by, values, strict=True)), part


def in_words(row: dict[str, Any], name: str) -> Iterator[str]:
    """Yield the row of a fit as readable lines."""
    yield f"{name}: {row['form']}, {row['n_runs']} runs, {row['n_widths']} widths: {row['status']}"
    if row["status"] == inputs.CONVERGED:
        ends = [row.get(f"a_{end}", np.nan) for end in ("low", "high", "profile_low", "profile_high")]
        low, high, profile_low, profile_high = ends
        interval = f"jackknife [{low:.3f}, {high:.3f}], profile [{profile_low:.3f}, {profile_high:.3f}]"
        yield f"  a = {row['a']:.3f}, {interval}"
        yield f"  L0 = {row['L0']:.4g}; rms of log L {row['rms']:.4f} with a free, {row['rms_at_1']:.4f} with a = 1"
    if "held_out_error" in row:
        yield f"  the law of the other widths predicts the loss at m = {row['m_max']:g} to {row['held_out_error']:+.2%}"
    yield f"  {row['verdict']}" + (f": {row['note']}" if row["note"] else "")


def main() -> None:
    """Command line: fit the law to a table of runs, log the result, and write it as tables if requested."""
    parser = argparse.ArgumentParser(prog="python -m scaling.fits.suite", description=__doc__)
    parser.add_argument("--table", required=True, help="CSV or JSON lines file (.jsonl), one row per run")
    parser.add_argument(
        "--loss", required=True, help="column of the final loss, in nats per token or any positive unit"
    )
    parser.add_argument("--width", required=True, help="column of the model dimension m")
    parser.add_argument("--depth", help="column of the number of layers l, for a term c_l/l^b")
    parser.add_argument("--data", help="column of training tokens or samples D, for a term c_D/D^c")
    parser.add_argument("--steps", help="column of training steps t, for a term c_t/t^d")
    parser.add_argument("--group", default="", help="columns (seed,text): each combination is fitted separately")
    parser.add_argument(
        "--cluster",
        choices=["width", "shape"],
        default="width",
        help="runs with correlated errors: those of one width, or of one width and depth",
    )
    parser.add_argument("--output", help="table width_suites to write")
    parser.add_argument("--profile", help="table width_suite_profiles to write")
    options = parser.parse_args()
    terms = [name for name in EXPONENTS if name != "width" and getattr(options, name)]
    by = [column for column in options.group.split(",") if column]
    columns = {name: getattr(options, name) for name in ["width", *terms, "loss"]} | {column: column for column in by}
    if options.cluster == "shape" and "depth" not in terms:
        raise InputError("--cluster shape needs --depth")
    runs = read_runs(Path(options.table).read_bytes(), options.table, columns)
    rows: list[dict[str, Any]] = []
    profiles = []
    for name, part in groups(runs, by):
        row, profile = fit_suite(part, terms, cluster=options.cluster)
        key = {"suite": Path(options.table).stem, "text": options.loss, "selection": name}
        rows.append(key | {"primary": not rows, "control": False} | row)
        profiles.append(profile.assign(**key))
        for line in in_words(row, name):
            logging.info(line)
    if options.output:
        tables.write("width_suites", as_table("width_suites", rows), options.output)
    if options.profile:
        tables.write("width_suite_profiles", pd.concat(profiles, ignore_index=True), options.profile)


def as_table(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows with the columns of table `name`; missing values are empty."""
    return pd.DataFrame(rows, columns=list(tables.dictionary()[name]["columns"]))


if __name__ == "__main__":
    command.run(main)
