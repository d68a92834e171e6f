"""A frequency law is added in one place: docs/extending.md is followed to the letter, up to the figures."""

import re
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import toy_run
import yaml

from scaling import frequency_laws, tables
from scaling.command import InputError
from scaling.figures import style, toy
from scaling.figures.study import Study
from scaling.fits.toy import exponent_table
from scaling.frequency_laws import FREQUENCY_LAWS
from scaling.plan.config import checked, read_schemas
from scaling.toy.cell import Cell
from scaling.toy.features import frequencies
from scaling.toy.training import arguments_parser


ROOT = Path(__file__).parents[1]
SECTION = (
    (ROOT / "docs" / "extending.md").read_text(encoding="utf-8").split("## Add a frequency law")[1].split("\n## ")[0]
)


def block(language: str) -> str:
    """The code block of that language in the section."""
    (code,) = re.findall(rf"   ```{language}\n(.*?)   ```", SECTION, re.DOTALL)
    return textwrap.dedent(code)


@pytest.fixture
def shifted(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the new law, after the file with the entry added has been loaded."""
    text = Path(frequency_laws.__file__).read_text(encoding="utf-8")
    assert text.endswith("    ),\n}\n")
    edited = types.ModuleType("frequency_laws")
    monkeypatch.setitem(sys.modules, "frequency_laws", edited)
    exec(text.removesuffix("}\n") + textwrap.indent(block("python"), "    ") + "}\n", edited.__dict__)
    (name,) = set(edited.FREQUENCY_LAWS) - set(FREQUENCY_LAWS)
    monkeypatch.setitem(FREQUENCY_LAWS, name, edited.FREQUENCY_LAWS[name])
    for cached in (tables.dictionary, tables.schema):
        cached.cache_clear()
    return str(name)


@pytest.fixture(autouse=True)
def without_caches() -> Iterator[None]:
    yield
    for cached in (tables.dictionary, tables.schema):
        cached.cache_clear()


def test_a_law_is_added_as_the_documentation_says(shifted: str, tmp_path: Path) -> None:
    schemas = read_schemas(ROOT / "workflow" / "schemas")
    config = checked(yaml.safe_load(block("yaml")), schemas)["toy"]
    assert (
        shifted
        in arguments_parser()
        .parse_args(["--frequency-law", shifted, "--m", "4", "--gamma", "1", "--folder", "."])
        .frequency_law
    )
    toy_run.run(config, tmp_path)
    models = tables.read("toy_models", tmp_path / "toy_models.csv")
    assert set(models["frequency_law"]) == {"linear", shifted}
    tables.write("toy_exponents", exponent_table(models), tmp_path / "toy_exponents.csv")
    paths = {name: tmp_path / f"{name}.csv" for name in ("toy_models", "toy_curves", "toy_features", "toy_exponents")}
    study = Study(paths, [ROOT / "resources" / "published"])
    for name, drawing in toy.FIGURES.items():
        style.save(drawing(study), tmp_path / f"{name}.png")
    (axes,) = (axes for axes in toy.FIGURES["fig1_loss"](study).axes if "strong" in axes.get_title(loc="left"))
    assert any("shifted power law" in text.get_text() for text in axes.texts)


def test_without_the_entry_the_law_is_refused() -> None:
    with pytest.raises(InputError, match="frequency_law"):
        checked(yaml.safe_load(block("yaml")), read_schemas(ROOT / "workflow" / "schemas"))


def test_each_law_says_whether_it_has_a_data_exponent() -> None:
    for name, law in FREQUENCY_LAWS.items():
        cell = Cell(m=2, gamma=0.0, n=5, frequency_law=name)
        assert (cell.alpha is not None) == law.has_alpha
        weight = law.weight(np.arange(1.0, 6), 5, 1.0)
        np.testing.assert_allclose(cell.p, weight / weight.sum())
        assert law.formula
        assert law.label
    assert len({law.marker for law in FREQUENCY_LAWS.values()}) == len(FREQUENCY_LAWS)
    with pytest.raises(InputError, match="must be one of power_law, exponential, linear"):
        frequencies("zipf", 5, None, 1.0)
