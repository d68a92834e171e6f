"""Documents of data sets: rows streamed and joined, and what is not to be had said by name within seconds."""

import itertools
import json
import sys
from pathlib import Path

import pytest
from fake_hub import FakeHub

from scaling import command
from scaling.command import InputError
from scaling.llm import texts
from scaling.llm.checkpoint.hub import AccessDeniedError, HubError, NoConnectionError, UnknownModelError
from scaling.llm.documents import read_documents


ROWS = [{"text": text} for text in ("a b", "", "c d e", " ", "f", "g h i j", "k")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set in a folder, as `datasets` reads it."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path / "set"


def test_rows_are_texts() -> None:
    assert list(texts.texts(ROWS, "text", 0)) == [row["text"] for row in ROWS]


def test_rows_are_joined_until_they_have_the_words() -> None:
    assert list(texts.texts(ROWS, "text", 4)) == ["a b c d e", "f g h i j"]


def test_no_more_rows_are_taken_than_needed() -> None:
    stream = iter(ROWS)
    assert list(itertools.islice(texts.texts(stream, "text", 0), 2)) == ["a b", ""]
    assert next(stream) == ROWS[2]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InputError, match="no column 'words' of texts; the columns are text"):
        next(texts.texts(ROWS, "words", 0))


def test_a_folder_is_streamed(folder: Path) -> None:
    assert list(texts.texts(texts.rows(str(folder), None, "train", None), "text", 4)) == ["a b c d e", "f g h i j"]


@pytest.mark.parametrize(
    ("subset", "split", "message"), [(None, "test", "test"), ("en", "train", "en"), (None, "train[", "train")]
)
def test_what_a_data_set_lacks_is_named(folder: Path, subset: str | None, split: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"cannot be read as a data set: .*{message}"):
        next(texts.rows(str(folder), subset, split, None))
    with pytest.raises(InputError, match="cannot be read as a data set"):
        next(texts.rows(str(folder / "nowhere"), None, "train", None))


def test_the_command_writes_the_first_documents(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "pinned_commit", lambda *_: "0123456789abcdef")
    output = tmp_path / "texts.jsonl"
    arguments = ["--dataset", str(folder), "--documents", "3", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["texts", *arguments])
    command.run(texts.main)
    found = read_documents(output)
    assert [document.text for document in found] == ["a b", "c d e"]  # the second of three is blank
    assert found[0].name.endswith("@0123456789ab 0")
    monkeypatch.setattr(sys, "argv", ["texts", *arguments, "--join-words", "1000"])
    with pytest.raises(SystemExit, match="no documents in its split train"):
        command.run(texts.main)
    monkeypatch.setattr(sys, "argv", ["texts", *arguments, "--documents", "0"])
    with pytest.raises(SystemExit, match="--documents must be at least 1"):
        command.run(texts.main)


def test_no_network_is_reported_at_once(refusing_address: str, waits: list[float]) -> None:
    with pytest.raises(NoConnectionError, match=r"owner/set: no connection to .* give the text as a file"):
        texts.pinned_commit("owner/set", "main", refusing_address)
    assert waits == []


@pytest.mark.parametrize(
    ("code", "header", "error"),
    [
        (401, "RepoNotFound", UnknownModelError),
        (403, "GatedRepo", AccessDeniedError),
        (404, "RevisionNotFound", HubError),
        (500, "", HubError),
    ],
)
def test_refusals_have_names(tmp_path: Path, code: int, header: str, error: type[InputError]) -> None:
    with FakeHub(tmp_path) as hub:
        hub.api_answer = (code, header)
        with pytest.raises(error, match="owner/set") as caught:
            texts.pinned_commit("owner/set", "main", hub.url)
    assert "127.0.0.1" not in str(caught.value) or error is UnknownModelError


def test_a_branch_is_pinned_to_its_commit(tmp_path: Path) -> None:
    with FakeHub(tmp_path) as hub:
        assert texts.pinned_commit("owner/set", "main", hub.url) == "0" * 40
