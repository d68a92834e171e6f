"""The prose of the repository avoids phrases that no native speaker would write."""

import re
import subprocess
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]
SUFFIXES = {".md", ".py", ".smk", ".rst", ".yaml", ".ipynb"}
PHRASES = [
    r"the same line goes on",
    r"nats a (token|byte)",
    r"\b[Oo]ne row a\b",
    r"\brow a (model|claim|curve|language|thing)\b",
    r"\bis none of\b",
    r"\bstands? in the (table|row)",
    r"holds every headline",
    r"\bagainst ours\b",
    r"\bground floor\b",
    r"\bwings\b",
    r"\b(ms|us|bytes|features|seeds?|clusters?|refits) a (step|model|sample|point|stack|width|fit|resample)\b",
    r"\b(points?|groups?|fit|tables?) a (step|model|sample|point|stack|width|fit|resample)\b",
    r"\b([Oo]ne|a) (line|entry|text|section|seed|group|point|curve|model) a [a-z]",
    r"\bfitted anew\b",
    r"\bstands? beside\b",
    r"\bheld against\b",
    r"\bput right\b",
    r"\bfrom there on\b",
    r"\bin place of the Hub\b",
    r"\bpart company\b",
    r"\bat work in\b",
    r"\ba person can\b",
    r"\bas a person runs\b",
]


def texts() -> list[Path]:
    """Tracked text files, without this one and without recorded tables."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in done.stdout.splitlines()]
    return [path for path in paths if path.suffix in SUFFIXES and path != Path(__file__) and path.is_file()]


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_does_not_occur(phrase: str) -> None:
    found = [str(path.relative_to(ROOT)) for path in texts() if re.search(phrase, path.read_text(encoding="utf-8"))]
    assert not found
