"""Documents as text: reading them from files, writing them as .jsonl, and their checksum."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scaling.command import InputError, whole_file


@dataclass(frozen=True)
class Document:
    """A text with a name."""

    name: str
    text: str


def checksum(some: Iterable[Document]) -> str:
    """SHA-256 of all names and texts in order, hexadecimal."""
    digest = hashlib.sha256()
    for document in some:
        for part in (document.name, document.text):
            digest.update(f"{len(part.encode())} ".encode() + part.encode())
    return digest.hexdigest()


def write_documents(some: Iterable[Document], path: Path) -> None:
    """Write one JSON object per line, {"name": ..., "text": ...}; atomically."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for document in some:
            file.write(json.dumps({"name": document.name, "text": document.text}) + "\n")


def read_documents(path: Path) -> list[Document]:
    """Read the documents of a text source on this machine, in order.

    A .jsonl file has one object with the key `text` per line. Any other file is one document of UTF-8 text. A folder
    has one document per .txt file. Blank documents are skipped. Raises InputError if the source does not exist, is not
    UTF-8, or contains no text.
    """
    try:
        if path.is_dir():
            found = [Document(file.name, file.read_text(encoding="utf-8")) for file in sorted(path.glob("*.txt"))]
        elif path.suffix == ".jsonl":
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
            found = [Document(str(line.get("name", i)), line["text"]) for i, line in enumerate(lines)]
        else:
            found = [Document(path.name, path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        raise InputError(f"{path}: no such text; give a UTF-8 file, a .jsonl file, or a folder of .txt files") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error})") from None
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f'{path}: a line is not an object {{"text": "..."}} ({error})') from None
    found = [document for document in found if isinstance(document.text, str) and document.text.strip()]
    if not found:
        raise InputError(f"{path}: no text in it")
    return found
