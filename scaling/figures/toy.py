"""Draw figures of the toy study from its tables.

python -m scaling.figures.toy --figure fig1_loss --models results/tables/toy_models.csv
    --exponents results/tables/toy_exponents.csv --published resources/published --output results/figures/fig1_loss.svg
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from scaling.command import run
from scaling.figures import style
from scaling.figures.study import Study
from scaling.figures.toy_checks import learning_rate_check, seed_scatter, training_curves
from scaling.figures.toy_density import fig7_density
from scaling.figures.toy_exponents import fig4_phase, fig6e_exponent
from scaling.figures.toy_geometry import fig6_geometry, final_fig5c_overlap_variance
from scaling.figures.toy_loss import fig1_loss
from scaling.figures.toy_representation import fig3_representation, final_fig3_norms
from scaling.figures.toy_weak import fig5_weak, final_fig4a_loss_against_represented


DRAWINGS: tuple[Callable[[Study], Figure], ...] = (
    fig1_loss,
    fig3_representation,
    fig4_phase,
    fig5_weak,
    fig6_geometry,
    fig6e_exponent,
    fig7_density,
    final_fig3_norms,
    final_fig4a_loss_against_represented,
    final_fig5c_overlap_variance,
    seed_scatter,
    learning_rate_check,
    training_curves,
)
FIGURES = {drawing.__name__: drawing for drawing in DRAWINGS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, draw the figures."""
    parser = argparse.ArgumentParser(prog="python -m scaling.figures.toy", description="Draw figures of the toy study.")
    parser.add_argument("--figure", nargs="+", required=True, help=f"of {', '.join(FIGURES)}")
    for name in ("models", "curves", "features", "exponents"):
        parser.add_argument(f"--{name}", type=Path, help=f"the table toy_{name}.csv")
    parser.add_argument(
        "--published",
        type=Path,
        nargs="+",
        default=[],
        help="points read off the paper, drawn in grey: CSV files or their folder",
    )
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="files to write, .svg or .png")
    given = parser.parse_args(arguments)
    paths = {f"toy_{name}": getattr(given, name) for name in ("models", "curves", "features", "exponents")}
    style.write_figures(FIGURES, given.figure, Study(paths, given.published), given.output)


if __name__ == "__main__":
    run(main)
