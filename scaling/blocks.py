"""Contents of the marked blocks of README.md and docs/*.md, from the tables of a recorded run."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from scaling import (
    bias_blocks,
    bigram_blocks,
    correlation_blocks,
    intervention_blocks,
    mechanism_blocks,
    paper_blocks,
    tables,
)
from scaling.command import InputError
from scaling.curves import usual
from scaling.markdown import markdown_table, number
from scaling.plan.figures import NOT_IN_THE_PAPER, read_drawings


VERDICTS = ("reproduced", "inconclusive", "differs", "no_verdict")
# Claims that the README shows.
KEY_CLAIMS = (
    "toy.exponent_strong_even",
    "toy.exponent_strong_figure",
    "toy.phi_half_strong",
    "toy.overlap_strong_rows",
    "toy.weak_loss",
    "llm.chinchilla_alpha_m",
    "suites.width_exponent",
    "bigram.exponent_narrow",
    "attention.k_means_exact",
)
# Each system of the README: name, code, page, and the claim that shows that it works.
SYSTEMS = (
    ("toy model of superposition", "scaling/toy", "mechanism.md", "toy.weak_loss"),
    ("toy model with correlated features", "scaling/toy/correlation.py", "correlation.md", "correlation.strong"),
    (
        "language models: heads, losses, a family trained here",
        "scaling/llm",
        "language_models.md",
        "local.phi_half_strong",
    ),
    ("exact bigram language model", "scaling/bigram", "bigram.md", "bigram.floor"),
    ("training suites of other groups", "scaling/fits/suite.py", "suites.md", "suites.width_exponent"),
    ("k-means transformer", "scaling/attention/k_means.py", "attention.md", "attention.k_means_exact"),
    ("tokens as particles that cluster", "scaling/attention/sphere.py", "attention.md", "attention.metastable"),
    ("ClusterMixer and HCFormer", "scaling/attention/mixer.py", "attention.md", "attention.hcformer_parameters"),
    ("attention as a Markov generator", "scaling/attention/markov.py", "attention.md", "attention.triangles"),
    ("packing by repulsive attention", "scaling/attention/packing.py", "attention.md", "attention.flow_reaches_welch"),
)
RULE = re.compile(r"(id\d+)\[([^\]]+)\]")  # a node of the rule graph
LISTED = 6  # a claim with at most this many published numbers lists each of them with ours
BOUNDS = {"at least": "≥ ", "at most": "≤ "}
ORIGINS = {
    "statement": "that the paper states",
    "figure": "that its figures show",
    "theorem": "that follow from a theorem",
    "hypothesis": "under our own hypotheses",
}


def counted(verdicts: pd.Series) -> str:
    """How many of each verdict, the words of verdicts that occur."""
    counts = verdicts.value_counts()
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in VERDICTS if name in counts)


def together(values: pd.Series, one_by_one: bool) -> str:
    """The numbers of one claim to three digits: one by one in their order, or the least and the greatest."""
    if one_by_one:
        return ", ".join(f"{value:.3g}" for value in values)
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low} to {high}"


def by_origin(claims: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Claims that were run, by origin in words.

    Statements and figures of the attention study are those of its own sources, not of the paper.
    """
    done = claims[claims["verdict"] != "not_run"]
    sources = done["id"].str.startswith("attention.") & done["origin"].isin(["statement", "figure"])
    groups = {words: done[(done["origin"] == origin) & ~sources] for origin, words in ORIGINS.items()}
    return {**groups, "that the sources of the attention study state or show": done[sources]}


def headline(recorded: Path) -> str:
    """How many numbers have which verdict, one line per origin of the claim."""
    frame = tables.read("claims", recorded / "claims.csv")
    groups = by_origin(frame)
    lines = [
        f"- {len(part)} numbers {words}: {counted(part['verdict'])}." for words, part in groups.items() if len(part)
    ]
    missing = int((frame["verdict"] == "not_run").sum())
    return "\n".join([*lines, f"- {missing} numbers were not run in the recorded study."])


def claim_row(part: pd.DataFrame) -> list[str]:
    """One claim at all its settings: claim, where, origin, expected, ours, verdict."""
    expected = [number(*pair) for pair in zip(part["expected"], part["expected_err"], strict=True)]
    ours = [number(*pair) for pair in zip(part["ours"], part["ours_err"], strict=True)]
    same = len(set(expected)) == 1
    listed = not same and len(part) <= LISTED
    return [
        part["claim"].iloc[0],
        ", ".join(part["where"].unique()),
        part["origin"].iloc[0],
        BOUNDS.get(part["relation"].iloc[0], "") + (expected[0] if same else together(part["expected"], listed)),
        ours[0] if len(part) == 1 else together(part["ours"], listed),
        counted(part["verdict"]) if len(part) > 1 else part["verdict"].iloc[0].replace("_", " "),
    ]


def results(recorded: Path) -> str:
    """The claims of KEY_CLAIMS that were run."""
    frame = tables.read("claims", recorded / "claims.csv")
    done = frame[frame["verdict"] != "not_run"]
    parts = [done[done["id"] == name] for name in KEY_CLAIMS]
    rows = [claim_row(part) for part in parts if len(part)]
    return markdown_table(["claim", "where", "origin", "expected", "ours", "verdict"], rows)


def systems(recorded: Path) -> str:
    """Every system of SYSTEMS with its code, its page, and one claim that was computed with it."""
    frame = tables.read("claims", recorded / "claims.csv")
    rows = []
    for name, code, page, claim in SYSTEMS:
        part = frame[frame["id"] == claim]
        if len(part) == 0:
            raise InputError(f"{recorded / 'claims.csv'}: no claim {claim}; record the run again")
        text, _, _, expected, ours, verdict = claim_row(part)
        rows.append([f"[{name}]({code})", f"[{page}](docs/{page})", text, expected, ours, verdict])
    return markdown_table(["system", "documentation", "check", "expected", "ours", "verdict"], rows)


def claims(recorded: Path) -> str:
    """One row per claim that was run, and the claims that were not run as a line below."""
    frame = tables.read("claims", recorded / "claims.csv")
    done = frame[frame["verdict"] != "not_run"]
    rows = [claim_row(part) for _, part in done.groupby("id", sort=False)]
    table = markdown_table(["claim", "where", "origin", "expected", "ours", "verdict"], rows)
    missing = frame.loc[frame["verdict"] == "not_run", "claim"].value_counts(sort=False)
    if len(missing):
        names = "; ".join(f"{claim} ({count} row{'s' if count > 1 else ''})" for claim, count in missing.items())
        table += f"\n\nNot run in this study, with how to run them in the note of the table: {names}."
    return table


def all_claims(recorded: Path) -> str:
    """Every row of the claims table: each claim at each setting, with its statistics and its note."""
    rows = []
    for row in tables.read("claims", recorded / "claims.csv").to_dict("records"):
        expected = BOUNDS.get(row["relation"], "") + number(row["expected"], row["expected_err"])
        cells = [row["verdict"].replace("_", " "), f"`{row['id']}`", row["claim"], f"{row['origin']}, {row['where']}"]
        cells += [row["quantity"], f"{expected} ({row['expected_kind']})", number(row["ours"], row["ours_err"])]
        cells += [digits(row[name]) for name in ("delta", "z", "df")]
        cells += [f"{row['n']} {row['unit']}" if row["n"] else "", row["source"]]
        rows.append([*map(str, cells), "" if pd.isna(row["note"]) else row["note"]])
    head = [
        "verdict",
        "id",
        "claim",
        "origin",
        "quantity",
        "expected",
        "ours",
        "delta",
        "z",
        "df",
        "n",
        "source",
        "note",
    ]
    return markdown_table(head, rows)


def digits(value: float) -> str:
    """Three digits, or nothing for a number that is missing."""
    return "" if pd.isna(value) else f"{value:.3g}"


def claim_rule(recorded: Path) -> str:
    """Rates of the verdicts reproduced / inconclusive / differs in simulated studies, per cent."""
    frame = tables.read("claim_rule", recorded / "claim_rule.csv")
    keys = ["comparison", "bend", "seed_std", "n_seeds", "n_curves"]
    rows = []
    for setting, part in frame.groupby(keys, sort=False):
        names = ("reproduced", "inconclusive", "differs")
        rates = [" / ".join(f"{100 * row[name]:.0f}" for name in names) for row in part.to_dict("records")]
        rows.append([str(setting[0]), *(f"{value:g}" for value in setting[1:]), *rates])
    head = ["comparison", "bend", "sd of log L between seeds", "our seeds", "curves", *frame["world"].unique()]
    return markdown_table(head, rows)


def exponents(recorded: Path) -> str:
    """The exponents of the recorded curves at the usual learning rate and E = 1 that have at least four widths."""
    frame = tables.read("toy_exponents", recorded / "toy_exponents.csv")
    frame = usual(frame)
    frame = frame[((frame["activation_density"] - 1).abs() < 1e-3) & (frame["n_points"] >= 4)]
    frame = frame.drop_duplicates(["frequency_law", "n", "gamma", "alpha"])
    rows = []
    for row in frame.sort_values(["gamma", "alpha"], kind="stable").to_dict("records"):
        alpha = "" if pd.isna(row["alpha"]) else f"{row['alpha']:.3g}"
        seeds = f"{row['n_seeds']} seed{'s' if row['n_seeds'] > 1 else ''}"
        rows.append(
            [
                f"{row['gamma']:.3g}".replace("-", "−"),
                row["frequency_law"].replace("_", " "),
                alpha,
                f"{row['m_min']} to {row['m_max']}, {seeds}",
                f"{row['mean_phi_half']:.2f}",
                number(row["predicted_exponent"], math.nan),
                number(row["exponent"], row["exponent_stderr"]),
                f"{row['exponent_low']:.2f} to {row['exponent_high']:.2f}",
                digits(row["lack_of_fit_pvalue"]),
            ]
        )
    head = ["γ", "frequencies", "α", "m", "φ_1/2", "α_m predicted", "α_m measured"]
    head += ["95 % t-interval", "p of lack of fit"]
    return markdown_table(head, rows)


def family(recorded: Path) -> str:
    """The language models trained here, means over seeds: loss, overlaps in units of 1/m, represented tokens."""
    frame = tables.read("llm_family", recorded / "llm_family.csv")
    study = frame[frame["learning_rate_factor"] == 1]
    rows = []
    for (gamma, m), part in study.groupby(["gamma", "m"]):
        mean = part[["loss", "loss_stderr", "phi_half", "mean_sq_overlap", "centred_mean_sq_overlap"]].mean()
        rows.append(
            [
                f"{gamma:.3g}".replace("-", "−"),
                str(m),
                number(mean["loss"], mean["loss_stderr"]),
                f"{mean['phi_half']:.2f}",
                f"{m * mean['mean_sq_overlap']:.1f}/m",
                f"{m * mean['centred_mean_sq_overlap']:.1f}/m",
                str(len(part)),
            ]
        )
    head = ["γ", "m", "held-out loss, nats per token", "φ_1/2", "mean squared overlap", "mean row removed", "seeds"]
    return markdown_table(head, rows)


def read_run(recorded: Path) -> dict[str, Any]:
    """`run.yaml` of a recorded run; raises InputError when it is not there or says too little."""
    path = recorded / "run.yaml"
    if not path.is_file():
        raise InputError(f"{path}: no recorded run; make one with `make record`")
    run = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(run, dict) or not {"date", "versions", "config"} <= set(run):
        raise InputError(f"{path}: must hold date, versions and config")
    return run


def run(recorded: Path) -> str:
    """When and with what the recorded run was made, and how long its models took."""
    content = read_run(recorded)
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    models = tables.read("toy_models", recorded / "toy_models.csv").drop_duplicates("model")
    members = tables.read("llm_family", recorded / "llm_family.csv")
    return (
        f"Recorded on {content['date']} ({versions}): {len(models)} toy models, trained in "
        f"{models['seconds'].sum() / 60:.0f} minutes of one core, and {len(members)} language models, in "
        f"{members['seconds'].sum() / 60:.0f}. [resources/recorded](resources/recorded) contains its config and tables."
    )


def table_index(recorded: Path) -> str:
    """One line per table, with a link to its section of the data dictionary."""
    rows = []
    for name, table in tables.dictionary().items():
        link = f"[`{name}.csv`](#{name}csv)"
        rows.append([link, str(len(table["columns"])), table["description"]])
    return markdown_table(["table", "columns", "what a row is"], rows)


def dictionary(recorded: Path) -> str:
    """The data dictionary of every table."""
    return tables.markdown().rstrip()


def rules(recorded: Path) -> str:
    """The rule graph as `snakemake --rulegraph mermaid-js` gave it, without the target and without implied arrows.

    Rules that train the models of one job, such as train_text_512_gamma0_m4_seed0, are one node.
    """
    text = (recorded / "rules.mmd").read_text(encoding="utf-8")
    names = {key: re.sub(r"^train_.*_seed\d+$", "train_bigram_models", rule) for key, rule in RULE.findall(text)}
    followers: dict[str, set[str]] = {name: set() for name in names.values() if name != "all"}
    for first, then in re.findall(r"(id\d+) --> (id\d+)", text):
        if names[then] != "all":
            followers[names[first]].add(names[then])

    def reached(rule: str) -> set[str]:
        return followers[rule].union(*map(reached, followers[rule]))

    arrows = [
        f"    {rule} --> {follower}"
        for rule in sorted(followers)
        for follower in sorted(followers[rule] - set().union(*map(reached, followers[rule])))
    ]
    return "\n".join(["```mermaid", "flowchart LR", *arrows, "```"])


def gallery(recorded: Path) -> str:
    """Every figure of workflow/figures.yaml whose picture is recorded: number in the paper, title, picture."""
    drawings = read_drawings(recorded.parents[1] / "workflow" / "figures.yaml").values()
    figures = [figure for drawing in drawings for figure in drawing.figures]
    cells = []
    for figure in sorted(figures, key=lambda figure: figure.paper == NOT_IN_THE_PAPER):
        if (recorded / "figures" / f"{figure.name}.png").is_file():
            where, title = (text[0].upper() + text[1:] for text in (figure.paper, figure.title))
            picture = f"![{figure.name}](../resources/recorded/figures/{figure.name}.png)"
            cells.append(f"**{where}.** {title}<br>{picture}")
    pairs = [[*cells[i : i + 2], ""][:2] for i in range(0, len(cells), 2)]
    return markdown_table(["", ""], pairs)


def suites(recorded: Path) -> str:
    """The exponent of width of each suite and selection, for the suite's first text."""
    frame = tables.read("width_suites", recorded / "width_suites.csv")
    frame = frame[frame["text"] == frame.groupby("suite")["text"].transform("first")]

    def span(low: float, high: float) -> str:
        ends = ["not bounded" if pd.isna(end) else f"{end:.2f}" for end in (low, high)]
        return f"{ends[0]} to {ends[1]}"

    rows = []
    for row in frame.to_dict("records"):
        done = pd.notna(row["a"])
        name = f"{row['suite'].replace('_', ' ')}: {row['selection']}"
        rows.append(
            [
                f"**{name}**" if row["primary"] else name,
                row["form"],
                f"{row['n_runs']} / {row['n_widths']}",
                f"{row['a']:.2f}" if done else "",
                span(row["a_low"], row["a_high"]) if done else "",
                span(row["a_profile_low"], row["a_profile_high"]) if done else "",
                f"{row['L0']:.2f}" if done else "",
                f"{100 * row['rms']:.1f} / {100 * row['rms_at_1']:.1f}" if done else "",
                f"{100 * row['held_out_error']:+.1f}" if pd.notna(row["held_out_error"]) else "",
                row["verdict"].replace("published", "0.91"),
            ]
        )
    head = ["suite and selection", "terms", "runs / widths", "a", "jackknife 95 %", "profile 95 %", "L0"]
    head += ["rms free / at a = 1 (%)", "held-out error (%)", "verdict"]
    return markdown_table(head, rows)


BLOCKS: dict[str, Callable[[Path], str]] = {
    "headline": headline,
    "results": results,
    "systems": systems,
    "exponents": exponents,
    "claims": claims,
    "all_claims": all_claims,
    "claim_rule": claim_rule,
    "family": family,
    "suites": suites,
    "run": run,
    "tables": table_index,
    "dictionary": dictionary,
    "finding": mechanism_blocks.finding,
    "mechanism_parts": mechanism_blocks.mechanism_parts,
    "mechanism_exponents": mechanism_blocks.mechanism_exponents,
    "mechanism_interventions": intervention_blocks.mechanism_interventions,
    "mechanism_directions": intervention_blocks.mechanism_directions,
    "mechanism_scales": intervention_blocks.mechanism_scales,
    "mechanism_mediation": intervention_blocks.mechanism_mediation,
    "mechanism_theory": intervention_blocks.mechanism_theory,
    "mechanism_wide": bias_blocks.mechanism_wide,
    "mechanism_recipes": bias_blocks.mechanism_recipes,
    "mechanism_spreads": bias_blocks.mechanism_spreads,
    "mechanism_densities": bias_blocks.mechanism_densities,
    "mechanism_weak": bias_blocks.mechanism_weak,
    "paper_exponents": mechanism_blocks.paper_exponents,
    "paper_silent": mechanism_blocks.paper_silent,
    "paper_recorded": paper_blocks.paper_recorded,
    "paper_published": paper_blocks.paper_published,
    "paper_differences": paper_blocks.paper_differences,
    "paper_map": paper_blocks.paper_map,
    "paper_packings": paper_blocks.paper_packings,
    "bigram_exponents": bigram_blocks.bigram_exponents,
    "bigram_excess": bigram_blocks.bigram_excess,
    "bigram_rivals": bigram_blocks.bigram_rivals,
    "time_exponents": bigram_blocks.time_exponents,
    "correlation": correlation_blocks.correlation,
    "rules": rules,
    "gallery": gallery,
}
