"""Figures of the toy study: from full and nearly empty tables, the same bytes twice, one style for all."""

import re
from pathlib import Path

import matplotlib
import pytest
import synthetic_toy
from matplotlib.figure import Figure

from scaling.command import InputError
from scaling.curves import regime
from scaling.figures import overview, style, toy
from scaling.figures.study import Study, thinned


ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "resources" / "published"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study with everything: two regimes, three laws, two densities, three learning rates, four seeds."""
    folder = tmp_path_factory.mktemp("full")
    return Study(synthetic_toy.study(folder, n=200, widths=(4, 8, 16), large=True, seeds=4), [PUBLISHED])


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


@pytest.mark.parametrize("name", toy.FIGURES)
def test_every_figure_says_what_is_missing(name: str, nearly_empty: Study, tmp_path: Path) -> None:
    figure = toy.FIGURES[name](nearly_empty)
    drawn = name in ("final_fig5c_overlap_variance",)  # two widths are enough for it
    assert drawn or re.search(r"\bno\b|not trained|few weight decays", words(figure))
    style.save(figure, tmp_path / "a.png")


def test_the_line_below_says_what_was_trained(full: Study, nearly_empty: Study) -> None:
    assert "n = 200 features; m = 4–16; γ = −0.556; α = 0, 1, 2; E = 1; 20000 steps; 4 seeds; bars: seed SD" in words(
        toy.FIGURES["fig6_geometry"](full)
    )
    alone = words(toy.FIGURES["fig1_loss"](nearly_empty))
    assert "1 seed; bars: held-out standard error" in alone


def test_published_points_are_grey_and_only_where_given(full: Study, nearly_empty: Study) -> None:
    for study, expected in ((full, True), (nearly_empty, False)):
        axes = toy.FIGURES["fig6_geometry"](study).axes[5]
        grey = [line for line in axes.lines if line.get_color() == style.GREY and len(line.get_xdata()) > 1]
        assert bool(grey) == expected


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
    matplotlib.pyplot.close(figure)


def test_colours_are_different_and_stay_within_their_range() -> None:
    assert len({style.alpha_colour(alpha) for alpha in (0, 0.5, 1, 1.5, 2)}) == 5
    assert len({style.gamma_colour(gamma) for gamma in (-1, -0.5, 0.1, 0.5, 1)}) == 5
    assert style.density_colour(100) == style.density_colour(7.5)
    assert style.number(-0.55556) == "−0.556"


def test_choices() -> None:
    assert [regime(value) for value in (0.9, 0.6, 0.1)] == ["strong", "between", "weak"]
    assert thinned([3, 1, 2, 2], 5) == [1, 2, 3]
    assert thinned(range(17), 3) == [0, 8, 16]


def test_figures_need_no_screen() -> None:
    assert matplotlib.get_backend().lower() == "agg"
