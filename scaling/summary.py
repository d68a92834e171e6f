"""The first page of the report: the main picture, how many claims have which verdict, and the main results in words.

python -m scaling.summary --tables results/tables --picture results/figures/mechanism_loss.png \
    --output results/pages/summary.html
"""

import argparse
import base64
import html
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template

import pandas as pd

from scaling import command, mechanism_blocks, tables
from scaling.blocks import VERDICTS, by_origin, claim_row, counted, number
from scaling.command import InputError, whole_file


# One sentence per claim, with the numbers of the run; a claim that was not run has none.
SENTENCES = {
    "toy.weak_loss": "Weak superposition: the loss is {ours} times that of the features without a row; the paper "
    "states {expected}.",
    "llm.loss": "Published losses of language models give α_m = {ours}; the paper states {expected}.",
    "suites.width_exponent": "Training suites of other groups give α_m = {ours}; the hypothesis is {expected}.",
}
PAGE = Template("""<meta charset="utf-8">
<title>Summary</title>
<style>
.summary { font: 15px/1.45 sans-serif; color: #222; max-width: 76em; display: flex; flex-wrap: wrap; gap: 0 2em; }
.summary > * { flex: 1 1 30em; min-width: 0; }
.summary h2 { font-size: 1.2em; font-weight: bold; margin: 0.6em 0 0.4em; }
.summary img { width: 100%; margin: 0; }
.summary table { border-collapse: collapse; width: 100%; margin: 0; }
.summary th, .summary td { padding: 0.2em 0.6em; border-bottom: 1px solid #ddd; text-align: right; }
.summary th:first-child, .summary td:first-child { text-align: left; }
.summary li { margin: 0.4em 0; }
.summary ol { list-style: decimal; padding-left: 1.4em; margin: 0; }
.reproduced { background: #d5efe5; } .inconclusive { background: #fbeccb; } .differs { background: #f9dccb; }
.no_verdict, .not_run { background: #ececec; }
</style>
<div class="summary">
<div><h2>What holds and what does not</h2><img alt="$name" src="data:image/png;base64,$picture"></div>
<div><h2>Claims by verdict</h2>
<table><thead><tr><th>numbers</th>$head</tr></thead><tbody>
$rows
</tbody></table>
<h2>In short</h2>
<ol>
$sentences
</ol></div>
</div>
""")


def tally(claims: pd.DataFrame) -> Iterator[str]:
    """One table row per origin of the claims: how many of its numbers have each verdict."""
    for words, part in by_origin(claims).items():
        counts = part["verdict"].value_counts()
        cells = "".join(f'<td class="{name}">{counts.get(name, 0) or ""}</td>' for name in VERDICTS)
        if len(part):
            yield f"<tr><td>{words}</td>{cells}</tr>"


def silent_features(models: pd.DataFrame) -> Iterator[str]:
    """The share of the loss on features that never fire, from b ~ N(0, 1) at the smallest alpha, and from b = 0."""
    models = mechanism_blocks.strong(models).drop_duplicates("model").dropna(subset=["alpha", "loss_silent"])
    models = models[models["alpha"] == models["alpha"].min()]
    shares = {
        str(start): 100 * part["loss_silent"] / part["loss"]
        for start, part in models.groupby("initial_bias")
        if start in mechanism_blocks.START
    }
    if "normal" in shares:
        texts = [
            f"{share.min():.0f} to {share.max():.0f} % from b {'~' if start == 'normal' else '='} "
            f"{mechanism_blocks.START[start]}"
            for start, share in shares.items()
        ]
        alpha, m = models["alpha"].iloc[0], models["m"]
        yield (
            f"Strong superposition, α = {alpha:g}, m = {m.min()} to {m.max()}: the share of the loss on features that "
            f"never fire is {' and '.join(texts)} at the start."
        )


def exponents_by_start(exponents: pd.DataFrame) -> Iterator[str]:
    """Exponents from b = 0 beside those from b ~ N(0, 1), for each alpha that has both."""
    fits = mechanism_blocks.strong_exponents(exponents)
    both = fits[fits["initial_bias"] == "zero"].merge(
        fits[fits["initial_bias"] == "normal"], on="alpha", suffixes=("", "_normal")
    )
    texts = [
        f"{number(row['exponent'], row['exponent_stderr'])} instead of "
        f"{number(row['exponent_normal'], row['exponent_stderr_normal'])} (α = {row['alpha']:g})"
        for row in both.sort_values("alpha").to_dict("records")
    ]
    if texts:
        yield f"From b = 0 instead of b ~ N(0, 1), α_m is {' and '.join(texts)}; the paper states 1 for α ≤ 1."


def sentences(folder: Path, claims: pd.DataFrame) -> Iterator[str]:
    """What the initial bias does, then one sentence and its verdict per claim of SENTENCES that was run."""
    yield from silent_features(tables.read("toy_models", folder / "toy_models.csv"))
    yield from exponents_by_start(tables.read("toy_exponents", folder / "toy_exponents.csv"))
    for name, text in SENTENCES.items():
        part = claims[(claims["id"] == name) & (claims["verdict"] != "not_run")]
        if len(part):
            expected, ours = claim_row(part)[3:5]
            verdict = part["verdict"].iloc[0].replace("_", " ") if len(part) == 1 else counted(part["verdict"])
            yield f"{html.escape(text.format(expected=expected, ours=ours))} <i>{verdict[0].upper()}{verdict[1:]}.</i>"


def summary(folder: Path, picture: Path) -> str:
    """The page as HTML that needs no other file; `folder` has the tables, `picture` is a PNG file.

    Raises InputError when a file is not there.
    """
    if picture.suffix != ".png" or not picture.is_file():
        raise InputError(f"{picture}: no such PNG figure; make it with `snakemake --cores all {picture}`")
    claims = tables.read("claims", folder / "claims.csv")
    return PAGE.substitute(
        name=picture.stem,
        picture=base64.b64encode(picture.read_bytes()).decode(),
        head="".join(f"<th>{name.replace('_', ' ')}</th>" for name in VERDICTS),
        rows="\n".join(tally(claims)),
        sentences="\n".join(f"<li>{sentence}</li>" for sentence in sentences(folder, claims)),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: write the first page of the report."""
    parser = argparse.ArgumentParser(
        prog="python -m scaling.summary", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=Path, required=True, help="folder of the run's tables, such as results/tables")
    parser.add_argument("--picture", type=Path, required=True, help="main figure, .png")
    parser.add_argument("--output", type=Path, required=True, help="page to write, .html")
    given = parser.parse_args(arguments)
    text = summary(given.tables, given.picture)
    with whole_file(given.output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    logging.info("wrote %s", given.output)


if __name__ == "__main__":
    command.run(main)
