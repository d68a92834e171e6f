"""Provenance of a recorded run: the machine type and the code that made its numbers, and a manifest of its files.

The manifest, SHA256SUMS, has the format of sha256sum, so `sha256sum --check SHA256SUMS` also checks it.
`python -m scaling.recorded` prints the provenance of models that are trained here.
"""

import hashlib
import importlib.metadata
import platform
from pathlib import Path

import yaml
from llvmlite import binding

from scaling.command import InputError, whole_file
from scaling.sources import fingerprint


MANIFEST = "SHA256SUMS"
FILES = ("*.csv", "*.csv.gz", "run.yaml")
PACKAGES = ["numpy", "scipy", "pandas", "torch", "numba", "snakemake", "transformers"]
NUMERICS = ["numpy", "scipy", "numba"]  # packages whose version may change the bits of a toy model
STEPS = ["toy/training", "toy/measurement"]  # modules whose code may


def provenance() -> dict[str, str]:
    """Return what decides the bits of a toy model besides its config: processor type, packages, and code."""
    versions = {name: importlib.metadata.version(name) for name in NUMERICS}
    processor = f"{platform.system()} {platform.machine()} {binding.get_host_cpu_name()}"
    return {"machine": processor, **versions, "code": fingerprint(STEPS)}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the main packages."""
    return {"Python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each recorded table and of run.yaml by file name."""
    paths = sorted(path for pattern in FILES for path in folder.glob(pattern))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def write_manifest(folder: Path) -> None:
    """Write the manifest of a folder of recorded tables."""
    lines = [f"{digest}  {name}\n" for name, digest in checksums(folder).items()]
    with whole_file(folder / MANIFEST) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def check_manifest(folder: Path) -> int:
    """Return the number of recorded files, all of which match the manifest.

    Raises InputError naming the files that changed, are missing, or are not in the manifest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{path}: no manifest; make one with `make record`")
    lines = path.read_text(encoding="utf-8").splitlines()
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = checksums(folder)
    wrong = {
        "changed": [name for name in expected if name in found and found[name] != expected[name]],
        "missing": [name for name in expected if name not in found],
        "not in the manifest": [name for name in found if name not in expected],
    }
    if parts := [f"{', '.join(names)} {what}" for what, names in wrong.items() if names]:
        raise InputError(f"{folder}: {'; '.join(parts)} (by {MANIFEST})")
    return len(found)


if __name__ == "__main__":
    print(yaml.safe_dump(provenance(), sort_keys=False), end="")
