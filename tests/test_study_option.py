"""The option --study takes a config file or JSON text and reports anything else in one line."""

import re
from pathlib import Path

import pytest

from scaling.command import InputError
from scaling.study_option import section


def test_a_config_file_and_its_section_as_json_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("toy: {experiments: {a: []}}\nllm: {}\n")
    assert section(str(path), "toy", ["experiments"]) == {"experiments": {"a": []}}
    assert section('{"experiments": {"a": []}}', "toy") == {"experiments": {"a": []}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "nowhere.yaml",
            "nowhere.yaml cannot be read (No such file or directory); give a config file",
        ),
        ("{", "the given JSON cannot be read (Expecting property name"),
        ("[1]", "the given JSON has no section toy; give a config file"),
        ("{}", "the given JSON: the section toy lacks experiments"),
        ("list.yaml", "list.yaml has no section toy"),
        ("typo.yaml", "typo.yaml has no section toy"),
        ("broken.yaml", "broken.yaml cannot be read (while parsing"),
        ("binary.yaml", "binary.yaml cannot be read ("),
    ],
)
def test_anything_else_is_one_line(given: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {"list": "- 1", "typo": "toys: {}", "broken": "toy: [1, {"}.items():
        Path(f"{name}.yaml").write_text(text)
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=re.escape(f"--study: {message}")) as caught:
        section(given, "toy", ["experiments"])
    assert "\n" not in str(caught.value)
