"""Figures of the toy study: from full and nearly empty tables, the same bytes twice, one style for all."""

import re
from itertools import pairwise
from pathlib import Path

import matplotlib
import matplotlib.pyplot
import numpy as np
import pandas as pd
import pytest
import synthetic_toy
from matplotlib.figure import Figure

from scaling.command import InputError
from scaling.curves import regime
from scaling.figures import overview, strips, style, toy
from scaling.figures.heat_map import edges, heat_map
from scaling.figures.study import Study, thinned


ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "resources" / "published"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study with everything: two regimes, three laws, two densities, three learning rates, four seeds."""
    folder = tmp_path_factory.mktemp("full")
    return Study(synthetic_toy.study(folder, n=1000, widths=(10, 25, 63), large=True, seeds=4), [PUBLISHED])


@pytest.fixture(scope="module")
def nearly_empty(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of one curve with two widths and one seed, without points read off the paper."""
    folder = tmp_path_factory.mktemp("nearly_empty")
    few = {"gammas": [-0.5556], "alphas": [1.0], "densities": [], "factors": []}
    return Study(synthetic_toy.study(folder, n=30, widths=(2, 4), seeds=1, **few))


def words(figure: Figure) -> str:
    """All text of a figure."""
    return " ".join(
        text.get_text().replace("\n", " ").replace("\u00a0", " ") for text in figure.findobj(matplotlib.text.Text)
    )


@pytest.mark.parametrize("name", toy.FIGURES)
def test_every_figure_draws_from_full_tables(name: str, full: Study, tmp_path: Path) -> None:
    figure = toy.FIGURES[name](full)
    assert all(axes.has_data() for axes in figure.axes)
    style.save(figure, tmp_path / "a.svg")
    assert [file.name for file in tmp_path.iterdir()] == ["a.svg"]


# Two widths and one seed are enough.
DRAWN_FROM_LITTLE = {"fig1_loss", "fig6e_exponent", "final_fig5c_overlap_variance", "training_curves"}


@pytest.mark.parametrize("name", toy.FIGURES)
def test_every_figure_says_what_is_missing(name: str, nearly_empty: Study, tmp_path: Path) -> None:
    figure = toy.FIGURES[name](nearly_empty)
    assert name in DRAWN_FROM_LITTLE or re.search(r"\bno\b", words(figure))
    style.save(figure, tmp_path / "a.png")


def test_the_line_below_says_what_was_trained(full: Study, nearly_empty: Study) -> None:
    assert "n = 1000 features; m = 10–63; γ = −0.556; α = 0, 1, 2; E = 1; 20000 steps; 4 seeds; bars: seed SD" in words(
        toy.FIGURES["fig6_geometry"](full)
    )
    alone = words(toy.FIGURES["fig1_loss"](nearly_empty))
    assert "1 seed; bars: held-out standard error" in alone


def grey(figure: Figure) -> list[matplotlib.lines.Line2D]:
    """Lines of points read off the paper."""
    return [
        line for axes in figure.axes for line in axes.lines if line.get_color() == style.GREY and len(line.get_xdata())
    ]


PUBLISHED_IN = ["fig3_representation", "fig5_weak", "fig6_geometry", "fig6e_exponent", "fig7_density"]


@pytest.mark.parametrize("name", PUBLISHED_IN)
def test_published_points_are_grey_and_only_where_n_agrees(name: str, full: Study, nearly_empty: Study) -> None:
    assert grey(toy.FIGURES[name](full))
    other_n = Study(nearly_empty.paths, [PUBLISHED])
    assert not grey(toy.FIGURES[name](other_n))


def test_published_losses_are_those_of_the_same_setting(full: Study) -> None:
    key = {"frequency_law": "power_law", "n": 1000, "gamma": -0.5556, "alpha": 0.0, "activation_density": 1.0}
    found = {}
    for alpha in (0.0, 0.5, 1.0):
        curve = full.published_curve(pd.Series({**key, "alpha": alpha}))
        found[alpha] = dict(zip(curve["m"], curve["loss"], strict=True))
    assert found[0.5] == {}
    assert found[0][100] == pytest.approx(0.162, abs=0.001)  # Fig. 5a
    assert found[1][100] == pytest.approx(0.0636, abs=0.0001)  # Fig. 7b
    large = pd.Series({**key, "n": 10240, "gamma": -1.0, "alpha": None, "frequency_law": "exponential"})
    assert full.published_curve(large)["loss"].iloc[0] == pytest.approx(1.2896, abs=0.001)  # Fig. 1d


def test_models_from_zero_are_marked_beside_the_others(tmp_path: Path) -> None:
    paths = synthetic_toy.study(
        tmp_path, gammas=[-0.5556], alphas=[0.0, 1.0], widths=(10, 25, 63), seeds=1, densities=[], factors=[],
        starts=["normal", "zero"],
    )  # fmt: skip
    figure = toy.FIGURES["fig6e_exponent"](Study(paths, [PUBLISHED]))
    exponent, loss, ratio = figure.axes
    assert "strong, from $b$ = 0" in [text.get_text() for text in exponent.get_legend().get_texts()]
    assert sum(line.get_color() == style.GREEN and line.get_marker() == "s" for line in loss.lines) == 2
    assert sum(len(line.get_xdata()) == 3 and line.get_marker() in "os" for line in ratio.lines) == 4


def test_labels_at_the_ends_of_curves_do_not_overlap() -> None:
    figure, (axes,) = style.panels(1, 1)
    axes.plot([0, 1], [0, 1])
    strips.end_labels(
        axes, [(0.5, "one", "black"), (0.5, "two", "black"), (0.51, "three", "black"), (0.9, "four", "black")]
    )
    heights = sorted(text.get_position()[1] for text in axes.texts)
    assert min(b - a for a, b in pairwise(heights)) * figure.get_figheight() > 0.1


def test_maps_have_true_axes_and_few_cells_are_dots() -> None:
    assert edges(np.array([0.0, 1.0, 3.0])).tolist() == [-0.5, 0.5, 2.0, 4.0]
    rows = [
        {"gamma": gamma, "alpha": alpha, "v": gamma + alpha} for gamma in (-1, 0, 0.2, 1) for alpha in (0, 1, 1.5, 2)
    ]
    for frame, dots in ((pd.DataFrame(rows), 0), (pd.DataFrame(rows[:5]), 5)):
        _, (axes,) = style.panels(1, 1)
        heat_map(axes, frame, "v", limits=(-1.0, 3.0), contour=1.0)
        assert len(axes.texts) >= dots
        scatters = [artist for artist in axes.collections if isinstance(artist, matplotlib.collections.PathCollection)]
        assert sum(len(artist.get_offsets()) for artist in scatters) == dots


def test_the_same_call_gives_the_same_bytes(full: Study, tmp_path: Path) -> None:
    for name in ("fig1_loss", "fig4_phase"):
        written = []
        for k in range(2):
            paths = [tmp_path / f"{k}.svg", tmp_path / f"{k}.png"]
            style.write_figures(toy.FIGURES, [name], full, paths)
            written.append([path.read_bytes() for path in paths])
        assert written[0] == written[1]


def test_the_command_draws_and_reports_wrong_input(full: Study, tmp_path: Path) -> None:
    models = str(full.paths["toy_models"])
    output = tmp_path / "fig1.svg"
    with pytest.raises(InputError, match=r"no figure 'fig9'; the figures are fig1_loss, fig3_representation"):
        toy.main(["--figure", "fig9", "--models", models, "--output", str(output)])
    with pytest.raises(InputError, match="needs the table toy_exponents: give --exponents"):
        toy.main(["--figure", "fig1_loss", "--models", models, "--output", str(output)])
    with pytest.raises(InputError, match="no such table"):
        toy.main(["--figure", "fig3_representation", "--models", str(tmp_path / "no.csv"), "--output", str(output)])
    with pytest.raises(InputError, match=r"written as png or svg"):
        toy.main(["--figure", "fig3_representation", "--models", models, "--output", str(tmp_path / "fig3.jpg")])
    assert not list(tmp_path.iterdir())
    toy.main(["--figure", "fig3_representation", "--models", models, "--output", str(output)])
    assert output.read_text().startswith("<?xml")


def test_the_sheet_contains_every_figure(full: Study, tmp_path: Path) -> None:
    figures = [tmp_path / f"{name}.png" for name in ("fig3_representation", "fig7_density", "final_fig3_norms")]
    for path in figures:
        style.write_figures(toy.FIGURES, [path.stem], full, [path])
    overview.main(["--figures", *map(str, figures), "--output", str(tmp_path / "overview.png")])
    assert (tmp_path / "overview.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="no such PNG figure"):
        overview.main(["--figures", str(tmp_path / "none.png"), "--output", str(tmp_path / "overview.png")])
    assert overview.rows_of([7.0, 3.0, 3.4, 7.0, 40.0]) == [[0], [1, 2], [3], [4]]


def test_panels_letters_and_sizes() -> None:
    figure, axes = style.panels(1, 2, titles=["one", "two"])
    assert figure.get_figwidth() == style.TWO_COLUMN
    assert [panel.get_title(loc="left") for panel in axes] == [r"$\mathbf{a}$  one", r"$\mathbf{b}$  two"]
    style.missing(axes[0], "nothing was trained")
    assert "nothing was trained" in words(figure)


def test_colours_are_different_and_stay_within_their_range() -> None:
    assert len({style.alpha_colour(alpha) for alpha in (0, 0.5, 1, 1.5, 2)}) == 5
    assert len({style.gamma_colour(gamma) for gamma in (-1, -0.5, 0.1, 0.5, 1)}) == 5
    assert style.density_colour(100) == style.density_colour(7.5)
    assert style.number(-0.55556) == "−0.556"
    assert [style.fixed(value) for value in (-0.001, -0.756, 0)] == ["0.00", "−0.76", "0.00"]


def test_choices() -> None:
    assert [regime(value) for value in (0.9, 0.6, 0.1)] == ["strong", "between", "weak"]
    assert thinned([3, 1, 2, 2], 5) == [1, 2, 3]
    assert thinned(range(17), 3) == [0, 8, 16]


def test_no_figure_stays_open(full: Study, tmp_path: Path) -> None:
    before = matplotlib.pyplot.get_fignums()
    toy.FIGURES["fig1_loss"](full)
    overview.sheet(["one"], [np.zeros((4, 4, 3), dtype=np.float32)])
    assert matplotlib.pyplot.get_fignums() == before
