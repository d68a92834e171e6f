"""Superposition scaling: toy models, language-model heads, fits and figures (Liu, Liu, Gore; NeurIPS 2025).

    import scaling

    model = scaling.train(m=25, gamma=-0.56)
    print(scaling.evaluate(model))
    print(scaling.measure(model.W))
    print(scaling.fit_power_law(m=[10, 15, 25, 39], loss=[0.105, 0.071, 0.043, 0.028]))

Importing the package imports nothing else: each name is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from scaling.fits.power_law import fit_power_law as fit_power_law
    from scaling.geometry import measure as measure
    from scaling.llm.library import read_head as read_head
    from scaling.toy.library import evaluate as evaluate
    from scaling.toy.library import train as train

    __version__: str

# name: the module that defines it, and the extra of pyproject.toml that installs what the module needs
PUBLIC = {
    "train": ("scaling.toy.library", ""),
    "evaluate": ("scaling.toy.library", ""),
    "measure": ("scaling.geometry", ""),
    "fit_power_law": ("scaling.fits.power_law", ""),
    "read_head": ("scaling.llm.library", "llm"),
}
__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name == "__version__":
        value = version()
    elif name in PUBLIC:
        module, extra = PUBLIC[name]
        try:
            value = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if not extra:
                raise
            raise ModuleNotFoundError(
                f"scaling.{name} needs {error.name}; install it with pip install 'superposition-scaling[{extra}]'",
                name=error.name,
            ) from None
    else:
        raise AttributeError(f"module 'scaling' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def version() -> str:
    """Return the version in pyproject.toml: of the installed package, or of the repository it is imported from."""
    import importlib.metadata
    import tomllib
    from pathlib import Path

    try:
        return importlib.metadata.version("superposition-scaling")
    except importlib.metadata.PackageNotFoundError:
        project = Path(__file__).parents[1] / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
