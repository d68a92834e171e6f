"""The corpus that every Python carries: `python -m scaling.llm.corpus --train train.jsonl --held-out held_out.jsonl`.

Docstrings of the standard library, one document a module, and the topics of the language reference, one document each.
Pythons differ in them by version, so the checksum is recorded with whatever is trained on them.
"""

import argparse
import ast
import hashlib
import json
import logging
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scaling.command import InputError, run, whole_file


logger = logging.getLogger(__name__)

LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "pydoc_data"}  # folders of the library
HELD_OUT = 10  # one document in this many is held out


@dataclass(frozen=True)
class Document:
    """A text and its name."""

    name: str
    text: str


def documents() -> list[Document]:
    """The documents of the running Python, modules first, each kind in order of name.

    Raises InputError when this Python comes without the sources of its library.
    """
    library = Path(sysconfig.get_path("stdlib"))
    modules = [path.relative_to(library) for path in sorted(library.rglob("*.py"))]
    found = [
        Document(path.as_posix(), text)
        for path in modules
        if not LEFT_OUT & set(path.parts) and (text := docstrings(library / path))
    ]
    topics = library / "pydoc_data" / "topics.py"
    if not found or not topics.exists():
        raise InputError(f"{library}: this Python comes without the sources of its library; use another Python")
    return found + [Document(f"topic {name}", text) for name, text in sorted(topic_texts(topics).items())]


def docstrings(file: Path) -> str:
    """Docstrings of a module, its classes and functions, in the order of the file; empty for a file that is none."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # samples of other syntax, not meant to be imported
        return ""
    nodes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    nodes.sort(key=lambda node: getattr(node, "lineno", 0))
    return "\n\n".join(filter(None, (ast.get_docstring(node) for node in nodes)))


def topic_texts(file: Path) -> dict[str, str]:
    """The dictionary `topics` that a module assigns, without importing it."""
    for node in ast.parse(file.read_bytes()).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id == "topics" and value is not None:
            return dict(ast.literal_eval(value))
    raise InputError(f"{file}: no topics of the language reference there")


def is_held_out(name: str) -> bool:
    """Whether the document is held out: by its name alone, so that it stays on its side in every version of Python."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % HELD_OUT == 0


def checksum(some: Iterable[Document]) -> str:
    """SHA-256 over names and texts in order, hexadecimal."""
    digest = hashlib.sha256()
    for document in some:
        for part in (document.name, document.text):
            digest.update(f"{len(part.encode())} ".encode() + part.encode())
    return digest.hexdigest()


def write_documents(some: Iterable[Document], path: Path) -> None:
    """One JSON object a line, {"name": ..., "text": ...}; whole or not at all."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for document in some:
            file.write(json.dumps({"name": document.name, "text": document.text}) + "\n")


def read_documents(path: Path) -> list[Document]:
    """Documents of a text source on this machine, in order.

    A .jsonl file has an object with `text` a line; any other file is one document of UTF-8 text; a folder has one in
    each .txt file. Raises InputError for what is missing, is not UTF-8, or holds no text.
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
        raise InputError(f"{path}: no such text; name a UTF-8 file, a .jsonl file, or a folder of .txt files") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error})") from None
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f'{path}: a line is not an object {{"text": "..."}} ({error})') from None
    found = [document for document in found if isinstance(document.text, str) and document.text.strip()]
    if not found:
        raise InputError(f"{path}: no text in it")
    return found


def main() -> None:
    """Parse the command line, write both parts, log sizes and checksums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="documents to train on, .jsonl to write")
    parser.add_argument("--held-out", type=Path, required=True, help="documents held out, .jsonl to write")
    arguments = parser.parse_args()
    everything = documents()
    for part, path in ((False, arguments.train), (True, arguments.held_out)):
        some = [document for document in everything if is_held_out(document.name) == part]
        write_documents(some, path)
        size = sum(len(document.text) for document in some)
        logger.info("%s: %d documents, %d characters, sha256 %s", path, len(some), size, checksum(some))


if __name__ == "__main__":
    run(main)
