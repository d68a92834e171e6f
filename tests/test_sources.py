"""A rule follows every module that its command imports, near or far, whatever Snakemake sees."""

import re
from pathlib import Path

import pytest

from scaling import sources


ROOT = Path(__file__).parents[1]
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("[!c]*.smk")))  # not common
# (what the rule follows, the module that it runs), in the order of each rule
FOLLOWED = re.findall(r"source_fingerprint\(([^)]*)\).*?python -m scaling\.([\w.]+)", RULES, re.DOTALL)


def test_imports_are_followed_near_and_far() -> None:
    engine = {f"toy/engines/{name}" for name in ("numba_engine", "gram_step", "rows")}
    assert engine | {"toy/training", "toy/features", "arrays", "theory"} <= set(sources.sources(["toy/training"]))
    assert "toy/engines/torch_engine" not in sources.sources(["toy/training"])  # imported by the function that needs it
    assert "toy/engines/torch_engine" in sources.sources(["toy/training", "toy/engines/torch_engine"])
    assert {"llm/losses", "llm/windows", "llm/corpus", "decay"} <= set(sources.sources(["llm/training"]))
    assert "claims/verdict" in sources.sources(["claims"])
    assert "command" not in sources.sources(["claims", "llm/training"])


def test_the_wings_never_meet() -> None:
    for first, second in (("toy", "llm"), ("llm", "toy")):
        for path in (ROOT / "scaling" / first).rglob("*.py"):
            module = path.relative_to(ROOT / "scaling").with_suffix("").as_posix()
            reached = sources.sources([module])
            assert not [module for module in reached if module.startswith(f"{second}/")], path


def test_the_ground_floor_imports_no_other_room() -> None:
    for module in ("geometry", "theory", "tables", "decay", "arrays", "command"):
        assert not [name for name in sources.imported(module) if "/" in name]


def test_pictures_and_claims_never_read_a_model() -> None:
    rooms = {module.split("/")[0] for room in ("figures", "claims", "fits") for module in reached_from(room)}
    assert rooms <= {"figures", "claims", "fits", "geometry", "theory", "tables"}


def reached_from(room: str) -> list[str]:
    return sources.sources(f"{room}/{path.stem}" for path in (ROOT / "scaling" / room).glob("*.py"))


def test_a_changed_byte_far_away_changes_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
