"""The recipes of docs/extending.md for a claim and a figure are followed to the letter, on the recorded tables."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from scaling.claims import bigram, registry
from scaling.claims.study import Study
from scaling.figures import toy
from scaling.figures.study import Study as FigureStudy
from scaling.plan.figures import read_drawings


ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "resources" / "recorded"


def code(heading: str) -> str:
    """Return the Python block below a heading of the page."""
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8").split(f"## {heading}")[1].split("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return textwrap.dedent(block)


def test_a_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "REGISTRY", dict(registry.REGISTRY))
    known = set(registry.REGISTRY)
    exec(code("Add a claim"), {"__name__": bigram.__name__})
    (name,) = set(registry.REGISTRY) - known
    study = Study.read([RECORDED / "bigram_exponents.csv"], ROOT / "resources" / "published", "recorded")
    rows = registry.table(study, [registry.REGISTRY[name]])
    assert len(rows) > 1
    assert rows["ours"].notna().all()
    assert set(rows["verdict"]) <= {"reproduced", "inconclusive", "differs", "no_verdict"}


def test_a_figure(tmp_path: Path) -> None:
    names: dict[str, Any] = dict(vars(toy))
    exec(code("Add a figure"), names)
    (name,) = set(names) - set(vars(toy)) - {"__builtins__"}
    figure = names[name](FigureStudy({"toy_models": RECORDED / "toy_models.csv"}))
    assert figure.axes[0].lines
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    (entry,) = re.findall(rf"`({name}: .*?)`", page)
    listed = (ROOT / "workflow" / "figures.yaml").read_text(encoding="utf-8")
    path = tmp_path / "figures.yaml"
    path.write_text(listed.replace("      seed_scatter:", f"      {entry}\n      seed_scatter:"), encoding="utf-8")
    assert name in [drawn.name for drawn in read_drawings(path)["draw_toy_figures"].figures]
