"""A rule follows every module that its command imports, near or far, whatever Snakemake sees."""

import itertools
import re
from pathlib import Path

import pytest

from scaling import sources


ROOT = Path(__file__).parents[1]
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("[!c]*.smk")))  # not common
# (what the rule follows, the module that it runs), in the order of each rule
FOLLOWED = re.findall(r"source_fingerprint\(([^)]*)\).*?python -m scaling\.([\w.]+)", RULES, re.DOTALL)


def test_imports_are_followed_near_and_far() -> None:
    assert {
        "toy/training",
        "toy/engines/numba_engine",
        "toy/engines/gram_step",
        "toy/engines/rows",
        "toy/features",
        "arrays",
    } <= set(sources.sources(["toy/training"]))
    assert "toy/engines/torch_engine" not in sources.sources(["toy/training"])  # imported by the function that needs it
    assert "toy/engines/torch_engine" in sources.sources(["toy/training", "toy/engines/torch_engine"])
    assert "claims/verdict" in sources.sources(["claims"])
    assert "command" not in sources.sources(["claims", "llm/family/training"])


def test_training_language_models_follows_neither_their_measurement_nor_the_hub() -> None:
    reached = set(sources.sources(["llm/family/training"]))
    assert {"decay", "llm/documents", "llm/family/members", "llm/family/vocabulary"} <= reached
    assert not reached & {"geometry", "tables", "llm/losses", "llm/windows", "llm/overlaps", "llm/checkpoint/hub"}


def test_studies_do_not_import_each_other() -> None:
    for first, second in itertools.permutations(("toy", "llm", "bigram", "attention"), 2):
        for path in (ROOT / "scaling" / first).rglob("[!_]*.py"):
            reached = sources.sources([path.relative_to(ROOT / "scaling").with_suffix("").as_posix()])
            assert not [module for module in reached if module.startswith(f"{second}/")], path


def test_shared_modules_import_no_study() -> None:
    for module in ("geometry", "theory", "tables", "decay", "arrays", "curves", "frequency_laws", "grid", "settings"):
        assert not [name for name in sources.imported(module) if "/" in name]


def test_pictures_and_claims_never_read_a_model() -> None:
    packages = {module.split("/")[0] for name in ("figures", "claims", "fits") for module in reached_from(name)}
    assert packages <= {"figures", "claims", "fits", "geometry", "theory", "tables", "curves", "frequency_laws"}


def reached_from(package: str) -> list[str]:
    return sources.sources(f"{package}/{path.stem}" for path in (ROOT / "scaling" / package).glob("*.py"))


def test_training_does_not_depend_on_measuring_modules() -> None:
    reached = set(sources.sources(["toy/training"]))
    assert not reached & {
        "toy/evaluation",
        "toy/measurement",
        "toy/collect",
        "toy/study",
        "geometry",
        "theory",
        "tables",
    }


STEP = '''
"""A module."""
import logging
from scaling.command import InputError

log = logging.getLogger(__name__)


def step(w: float, rate: float) -> float:
    """One step."""
    if rate < 0:
        raise InputError("rate < 0")
    log.info("step")
    return w * (1 - rate)
'''


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("One step.", "One step of gradient descent.", False),
        ("A module.", "Another module.", False),
        ("    if rate", "    # a comment\n\n    if rate", False),
        ("w * (1 - rate)", "(w\n        * (1 - rate))", False),
        ('info("step")', 'info("a step at rate %g", rate)', False),
        ('"rate < 0"', 'f"rate = {rate}: must be at least 0"', False),
        ("rate: float) -> float", "rate: int) -> int", False),
        ("w * (1 - rate)", "w - rate", True),
        ("rate < 0", "rate <= 0", True),
        ("raise InputError", "raise ValueError", True),
    ],
)
def test_the_fingerprint_follows_what_changes_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, changes: bool
) -> None:
    monkeypatch.setattr(sources, "PACKAGE", tmp_path)
    (tmp_path / "step.py").write_text(STEP)
    sources.imported.cache_clear()
    before = sources.fingerprint(["step"])
    assert old in STEP
    (tmp_path / "step.py").write_text(STEP.replace(old, new))
    sources.imported.cache_clear()
    assert (sources.fingerprint(["step"]) != before) == changes
    sources.imported.cache_clear()


def test_a_changed_line_far_away_changes_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"a": "from scaling import b\n", "b": "from scaling.c import x\n", "c": "x = 1\n"}.items():
        (tmp_path / "scaling" / f"{name}.py").parent.mkdir(exist_ok=True)
        (tmp_path / "scaling" / f"{name}.py").write_text(text)
    monkeypatch.setattr(sources, "PACKAGE", tmp_path / "scaling")
    sources.imported.cache_clear()
    before = sources.fingerprint(["a"])
    assert sources.sources(["a"]) == ["a", "b", "c"]
    assert sources.fingerprint(["a"]) == before
    (tmp_path / "scaling" / "c.py").write_text("x = 2\n")
    assert sources.fingerprint(["a"]) != before
    with pytest.raises(ValueError, match="no module d"):
        sources.fingerprint(["d"])
    sources.imported.cache_clear()


@pytest.mark.parametrize(("follows", "module"), FOLLOWED, ids=[module for _, module in FOLLOWED])
def test_a_rule_follows_the_module_that_it_runs(follows: str, module: str) -> None:
    assert module.replace(".", "/") in re.findall(r'"([\w/]+)"', follows)
