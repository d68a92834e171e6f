"""Write the documentation of the running Python as a corpus: `python -m scaling.llm.family.corpus --train ...`.

One document per module of the standard library (its docstrings) and one per topic of the language reference. The text
depends on the version of Python, so the checksum is recorded with each model trained on it.
"""

import argparse
import ast
import hashlib
import logging
import sysconfig
from pathlib import Path

from scaling.command import InputError, run
from scaling.llm.documents import Document, checksum, write_documents


log = logging.getLogger(__name__)

# Folders of the standard library.
EXCLUDED = {
    "test",
    "tests",
    "idle_test",
    "site-packages",
    "dist-packages",
    "pydoc_data",
}
HELD_OUT = 10  # one in this many documents is held out


def python_documents() -> list[Document]:
    """The documents of the running Python: modules, then topics, each in order of name.

    Raises InputError if this Python is installed without the sources of its library.
    """
    library = Path(sysconfig.get_path("stdlib"))
    modules = [path.relative_to(library) for path in sorted(library.rglob("*.py"))]
    found = [
        Document(path.as_posix(), text)
        for path in modules
        if not EXCLUDED & set(path.parts) and (text := docstrings(library / path))
    ]
    topics = library / "pydoc_data" / "topics.py"
    if not found or not topics.exists():
        raise InputError(f"{library}: this Python is installed without the sources of its library; use another Python")
    return found + [Document(f"topic {name}", text) for name, text in sorted(topic_texts(topics).items())]


def docstrings(file: Path) -> str:
    """Docstrings of a module, its classes and functions, in the order of the file; empty for a file of other syntax."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # a sample of other syntax, for the tests of Python's tools
        return ""
    nodes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    nodes.sort(key=lambda node: getattr(node, "lineno", 0))
    return "\n\n".join(filter(None, (ast.get_docstring(node) for node in nodes)))


def topic_texts(file: Path) -> dict[str, str]:
    """The dictionary that a module assigns to `topics`; the module is not imported."""
    for node in ast.parse(file.read_bytes()).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id == "topics" and value is not None:
            return dict(ast.literal_eval(value))
    raise InputError(f"{file}: has no topics of the language reference")


def is_held_out(name: str) -> bool:
    """Whether the document is held out; depends on its name alone, so it is the same in every version of Python."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % HELD_OUT == 0


def main() -> None:
    """Parse the command line, write both parts, log their sizes and checksums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="write the training documents to this .jsonl file")
    parser.add_argument("--held-out", type=Path, required=True, help="write the held-out documents to this .jsonl file")
    arguments = parser.parse_args()
    everything = python_documents()
    for part, path in ((False, arguments.train), (True, arguments.held_out)):
        some = [document for document in everything if is_held_out(document.name) == part]
        write_documents(some, path)
        size = sum(len(document.text) for document in some)
        log.info("%s: %d documents, %d characters, sha256 %s", path, len(some), size, checksum(some))


if __name__ == "__main__":
    run(main)
