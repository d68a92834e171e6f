"""Fingerprint the code that a step runs, so that a rule reruns when its numbers may change and only then.

Snakemake sees the text of a rule, not the modules that its command imports. The fingerprint covers a module and
everything that it imports from the package. It ignores what cannot change a number: comments, formatting, docstrings,
type annotations, log messages, and the texts of errors and of command-line help.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path


PACKAGE = Path(__file__).parent
SHARED = {"command"}  # error lines, logging, atomic files: changes no number
HELP = {"help", "description", "epilog", "metavar"}  # keywords of argparse that only a reader sees


def file_of(module: str) -> Path | None:
    """Return the file of a module written as `toy/training` (for a package its __main__), or None."""
    paths = (PACKAGE / f"{module}.py", PACKAGE / module / "__main__.py")
    return next((path for path in paths if path.is_file()), None)


@cache
def imported(module: str) -> frozenset[str]:
    """Return the package's modules that a module imports at its top level; imports inside functions do not count."""
    path = file_of(module)
    names: set[str] = set()
    for node in ast.parse(path.read_bytes()).body if path else []:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE.name:
            parts = node.module.split(".")[1:]
            names |= {"/".join(parts), *("/".join([*parts, name.name]) for name in node.names)}
    return frozenset(name for name in names if file_of(name)) - SHARED


def sources(modules: Iterable[str]) -> list[str]:
    """Return the modules and everything that they import, directly or indirectly, sorted by name.

    Raises ValueError for a module that does not exist.
    """
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


class NumbersOnly(ast.NodeTransformer):
    """Remove from a syntax tree everything that cannot change a number."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop docstrings, other bare constants, and calls of a logger."""
        value = node.value
        if isinstance(value, ast.Constant):
            return None
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            owner = value.func.value
            if isinstance(owner, ast.Name) and owner.id in ("log", "logging"):
                return None
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        """Keep the type of an exception, drop its message."""
        if isinstance(node.exc, ast.Call):
            return ast.Raise(exc=node.exc.func, cause=None)
        return ast.Raise(exc=node.exc, cause=None)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Drop the help texts of a command line."""
        node.keywords = [keyword for keyword in node.keywords if keyword.arg not in HELP]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Keep the names of annotated fields and their values, drop the types."""
        value = None if node.value is None else self.visit(node.value)
        return ast.AnnAssign(target=node.target, annotation=ast.Constant(None), value=value, simple=node.simple)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """Drop the type of an argument."""
        return ast.arg(arg=node.arg, annotation=None)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Drop the type of the result."""
        node.returns = None
        return self.generic_visit(node)


def code_of(path: Path) -> str:
    """Return the code of a file that can change a number, in a normal form."""
    tree = NumbersOnly().visit(ast.parse(path.read_bytes()))
    return ast.unparse(ast.fix_missing_locations(tree))


def fingerprint(modules: Iterable[str]) -> str:
    """Return 16 hexadecimal digits that change with the code of the modules and of everything that they import."""
    digest = hashlib.sha256()
    for module in sources(modules):
        path = file_of(module)
        digest.update(f"{module}\n{code_of(path) if path else ''}\n".encode())
    return digest.hexdigest()[:16]
