"""Which code a step runs: its module and all that this imports of the package, so that a rule can follow it.

Snakemake sees what stands in a rule, not what a command imports.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path


PACKAGE = Path(__file__).parent
SHARED = {"command"}  # lines on the screen and whole files: it changes no number


def file_of(module: str) -> Path | None:
    """The file of a module, named as toy/training; of a folder its __main__; None where there is none."""
    paths = (PACKAGE / f"{module}.py", PACKAGE / module / "__main__.py")
    return next((path for path in paths if path.is_file()), None)


@cache
def imported(module: str) -> frozenset[str]:
    """Modules of the package that a module imports when it is loaded; what a function imports is not among them."""
    path = file_of(module)
    names: set[str] = set()
    for node in ast.parse(path.read_bytes()).body if path else []:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE.name:
            parts = node.module.split(".")[1:]
            names |= {"/".join(parts), *("/".join([*parts, name.name]) for name in node.names)}
    return frozenset(name for name in names if file_of(name)) - SHARED


def sources(modules: Iterable[str]) -> list[str]:
    """The modules and all that they import, near or far, in order of name; raises ValueError for one that is none."""
    found: set[str] = set()
    rest = list(modules)
    while rest:
        module = rest.pop()
        if file_of(module) is None:
            raise ValueError(f"no module {module} in the package")
        if module not in found:
            found.add(module)
            rest += imported(module)
    return sorted(found)


def fingerprint(modules: Iterable[str]) -> str:
    """16 hexadecimal digits that change with any byte of the modules and of what they import."""
    digest = hashlib.sha256()
    for module in sources(modules):
        path = file_of(module)
        digest.update(path.read_bytes() if path else b"")
    return digest.hexdigest()[:16]
