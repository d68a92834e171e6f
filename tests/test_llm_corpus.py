"""The corpus of the running Python, and documents read from files: whole, in order, split by name."""

import json
import pydoc_data.topics
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling import command
from scaling.command import InputError
from scaling.llm.documents import Document, checksum, read_documents, write_documents
from scaling.llm.family import corpus
from scaling.llm.family.corpus import is_held_out


@pytest.fixture(scope="module")
def everything() -> list[Document]:
    return corpus.python_documents()


def test_it_holds_docstrings_and_topics(everything: list[Document]) -> None:
    texts = {document.name: document.text for document in everything}
    assert len(texts) == len(everything)
    assert json.__doc__ is not None
    assert texts["json/__init__.py"].startswith(json.__doc__.strip()[:40])
    assert "Serialize ``obj``" in texts["json/__init__.py"]
    assert texts["topic assert"] == pydoc_data.topics.topics["assert"]
    assert not any("idle_test" in name or name.startswith("test/") for name in texts)
    assert sum(map(len, texts.values())) > 1_500_000


def test_it_is_the_same_each_time(everything: list[Document]) -> None:
    assert checksum(corpus.python_documents()) == checksum(everything)
    assert checksum(everything[1:]) != checksum(everything)
    assert checksum([Document("a", "bc")]) != checksum([Document("ab", "c")])


def test_a_tenth_is_held_out_by_name(everything: list[Document]) -> None:
    share = sum(is_held_out(document.name) for document in everything) / len(everything)
    assert share == pytest.approx(0.1, abs=0.03)


def test_docstrings_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        '"""one"""\nclass A:\n    """two"""\n    def f(self):\n        """three"""\ndef g():\n    """four"""\n'
    )
    assert corpus.docstrings(file) == "one\n\ntwo\n\nthree\n\nfour"
    file.write_text("print 'another Python'")
    assert corpus.docstrings(file) == ""


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), min_size=1))
def test_documents_come_back_as_they_were_written(texts: list[str]) -> None:
    import tempfile

    some = [Document(str(i), text) for i, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        write_documents(some, Path(folder) / "some.jsonl")
        assert read_documents(Path(folder) / "some.jsonl") == some


def test_files_and_folders_are_documents(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("zwei")
    (tmp_path / "a.txt").write_text("one\ntwo")
    (tmp_path / "blank.txt").write_text(" \n")
    (tmp_path / "c.md").write_text("three")
    assert read_documents(tmp_path) == [Document("a.txt", "one\ntwo"), Document("b.txt", "zwei")]
    assert read_documents(tmp_path / "c.md") == [Document("c.md", "three")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.txt", None, "no such text"),
        ("empty.txt", b"", "no text in it"),
        ("blank.jsonl", b'{"text": "  "}\n', "no text in it"),
        ("latin.txt", "é".encode("latin-1"), "not UTF-8"),
        ("cut.jsonl", b'{"text": "a', "a line is not an object"),
        ("other.jsonl", b'{"words": "a"}\n', "a line is not an object"),
        ("list.jsonl", b'["a"]\n', "a line is not an object"),
    ],
)
def test_a_source_that_is_not_text_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_documents(tmp_path / name)


def test_a_python_without_its_sources_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus.sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(InputError, match="without the sources of its library"):
        corpus.python_documents()
    (tmp_path / "topics.py").write_text("other = 1")
    with pytest.raises(InputError, match="no topics"):
        corpus.topic_texts(tmp_path / "topics.py")


def test_the_command_writes_both_parts(
    tmp_path: Path, everything: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "python_documents", lambda: everything)
    train, held_out = tmp_path / "train.jsonl", tmp_path / "held_out.jsonl"
    monkeypatch.setattr(sys, "argv", ["corpus", "--train", str(train), "--held-out", str(held_out)])
    command.run(corpus.main)
    assert len(read_documents(train)) + len(read_documents(held_out)) == len(everything)
    assert all(is_held_out(document.name) for document in read_documents(held_out))
