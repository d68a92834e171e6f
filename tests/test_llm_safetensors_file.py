"""Headers of safetensors files: whatever the safetensors library refuses is refused, and both read the same."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from scaling.llm.checkpoint.files import LocalFile
from scaling.llm.checkpoint.safetensors_file import BITS, SafetensorsFile
from scaling.llm.checkpoint.tensor import DTYPES, UnsupportedCheckpointError


Found = dict[str, tuple[str, tuple[int, ...]]]  # types and shapes by name
HEAD = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
OTHER = {"dtype": "I16", "shape": [4], "data_offsets": [24, 32]}


def file_content(header: str | bytes, size: int = 32) -> bytes:
    """A file with this header and `size` bytes of tensors."""
    text = header.encode("utf-8") if isinstance(header, str) else header
    return len(text).to_bytes(8, "little") + text + bytes(size)


def by_library(path: Path) -> Found | None:
    """What the safetensors library finds, None when it refuses the file."""
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
            return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except SafetensorError:
        return None


def by_us(path: Path) -> Found | None:
    """The same by our reader."""
    try:
        entries = SafetensorsFile(LocalFile(path)).entries
    except UnsupportedCheckpointError:
        return None
    return {name: (entry.dtype, entry.shape) for name, entry in entries.items()}


def check(content: bytes) -> Found | None:
    """What our reader finds in a file, which it has in common with the library unless it refuses the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        path.write_bytes(content)
        ours = by_us(path)
        assert ours is None or ours == by_library(path)
    return ours


def with_other(**changes: Any) -> str:
    """A header in which the entry of the other tensor is changed; None leaves a key out."""
    other = {key: value for key, value in {**OTHER, **changes}.items() if value is not None}
    return json.dumps({"head": HEAD, "other": other})


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    arrays = {name: np.zeros((2, 3), name) for name in ("f8", "f4", "f2", "i8", "i4", "u2", "i1", "bool")}
    arrays["empty"] = np.zeros((0, 5), "f4")
    arrays["number"] = np.zeros((), "f4")
    save_file(arrays, tmp_path / "x", {"format": "pt"})
    assert by_us(tmp_path / "x") == by_library(tmp_path / "x") != {}


@pytest.mark.parametrize("dtype", sorted(BITS))
def test_every_type_has_the_size_that_the_library_gives_it(dtype: str) -> None:
    entry = {"dtype": dtype, "shape": [8], "data_offsets": [0, BITS[dtype]]}
    assert check(file_content(json.dumps({"x": entry}), BITS[dtype])) == {"x": (dtype, (8,))}


@pytest.mark.parametrize(
    "header",
    [
        "{}x",
        "[]",
        b"\xff\xfe\xfd\xfc",
        json.dumps({"head": 3}),
        with_other(shape=None),
        with_other(dtype=None),
        with_other(data_offsets=None),
        with_other(dtype="I17"),
        with_other(dtype="I32"),
        with_other(dtype=3),
        with_other(shape=[-1, -4]),
        with_other(shape=["x"]),
        with_other(shape=[4.0]),
        with_other(shape=[True, 4]),
        with_other(shape={"0": 4}),
        with_other(shape=[2**40, 2**40, 0], data_offsets=[24, 24]),
        with_other(data_offsets=[0, 8]),
        with_other(data_offsets=[25, 33]),
        with_other(data_offsets=[24, 31]),
        with_other(data_offsets=[32, 24]),
        with_other(data_offsets=[24, 32, 32]),
        with_other(data_offsets=[24]),
        with_other().replace("24]", "-0]").replace("[24", "[-0"),
        with_other().replace("[4]", "[NaN]"),
        with_other().replace("[4]", "[1e999]"),
        with_other().replace('"other"', '"__metadata__"'),
        with_other().replace('"other"', r'"\ud800"'),
        with_other().replace('"shape": [4]', '"shape": [4], "shape": [4]'),
        "\ufeff" + with_other(),
        with_other().encode("utf-16"),
    ],
)
def test_an_invalid_header_is_refused_by_both(header: str | bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(file_content(header))
    assert by_library(tmp_path / "x") is None
    with pytest.raises(UnsupportedCheckpointError) as caught:
        SafetensorsFile(LocalFile(tmp_path / "x"))
    assert "\n" not in str(caught.value)


def test_the_tensors_end_where_the_file_ends() -> None:
    assert check(file_content(with_other())) == {"head": ("F32", (2, 3)), "other": ("I16", (4,))}
    assert check(file_content(with_other(), 31)) is None
    assert check(file_content(with_other(), 33)) is None
    assert check((1 << 60).to_bytes(8, "little") + b"{}") is None


def test_types_that_no_head_has_are_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(file_content(with_other()))
    file = SafetensorsFile(LocalFile(tmp_path / "x"))
    assert file.tensor("head").nbytes == 24
    assert "I16" not in DTYPES
    with pytest.raises(UnsupportedCheckpointError, match="other has type I16; supported are F64"):
        file.tensor("other")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3),
)
NUMBER = st.integers(-1, 40) | st.sampled_from([2**31, 2**32, 2**63, 2**64])
ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(sorted(BITS)) | JSON,
        "shape": st.lists(NUMBER, max_size=3) | JSON,
        "data_offsets": st.tuples(NUMBER, NUMBER) | JSON,
    },
    optional={"more": JSON},
)


@given(
    st.dictionaries(st.text(max_size=3), st.sampled_from([HEAD, OTHER]) | ENTRY | JSON, max_size=3), st.integers(0, 64)
)
@settings(max_examples=300)
def test_any_header_is_refused_or_read_as_by_the_library(header: dict[str, Any], size: int) -> None:
    check(file_content(json.dumps(header), size))


@given(st.integers(0, 300), st.integers(0, 4), st.text(st.sampled_from('0123456789-.e[]{}",:FI'), max_size=3))
@settings(max_examples=300)
def test_an_edited_header_is_refused_or_read_as_by_the_library(place: int, deleted: int, inserted: str) -> None:
    text = json.dumps({"__metadata__": {"format": "pt"}, "head": HEAD, "other": OTHER})
    place %= len(text)
    check(file_content(text[:place] + inserted + text[place + deleted :]))
