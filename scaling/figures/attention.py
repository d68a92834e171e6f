"""Draw figures of the attention study from its tables.

python -m scaling.figures.attention --figure attention_phase --tables results/tables --output attention_phase.svg
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from scaling.command import run
from scaling.figures import style
from scaling.figures.attention_clusters import attention_circle, attention_k_means, attention_phase, attention_tokens
from scaling.figures.attention_matrices import attention_markov, attention_mixers
from scaling.figures.attention_packing import attention_packing, toy_pair_energy
from scaling.figures.attention_tables import Tables


DRAWINGS: tuple[Callable[[Tables], Figure], ...] = (
    attention_tokens,
    attention_k_means,
    attention_phase,
    attention_circle,
    attention_markov,
    attention_mixers,
    attention_packing,
    toy_pair_energy,
)
FIGURES = {drawing.__name__: drawing for drawing in DRAWINGS}


def main() -> None:
    """Command line: read the tables, draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", nargs="+", required=True, help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="files to write, .svg or .png")
    arguments = parser.parse_args()
    style.write_figures(FIGURES, arguments.figure, Tables(arguments.tables), arguments.output)


if __name__ == "__main__":
    run(main)
