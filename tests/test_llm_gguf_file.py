"""Heads in GGUF checkpoints: against the package's own reader, split files, damaged files, bounded memory."""

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from numpy.typing import NDArray

from scaling.command import InputError
from scaling.llm.checkpoint.files import LocalFile
from scaling.llm.checkpoint.gguf_file import GgufFile, open_gguf
from scaling.llm.checkpoint.store import gguf_head
from scaling.llm.checkpoint.tensor import DTYPES, QUANTISED, Rows, block_of
from scaling.llm.overlaps import Request, measure


NU, M = 40, 256
RNG = np.random.default_rng(0)
HEAD = RNG.standard_normal((NU, M)).astype(np.float32)
GAIN = (1 + 0.1 * RNG.standard_normal(M)).astype(np.float32)


def stored(values: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """`values` as a GGUF tensor of this type; K-quants, which the package cannot make, from random blocks."""
    kind = GGMLQuantizationType[dtype]
    if not dtype.endswith("_K"):
        return gguf.quantize(values, kind) if dtype != "F64" else values.astype(np.float64)
    block, size = QUANTISED[dtype]
    content = RNG.integers(0, 256, (len(values), values.shape[1] // block, size), dtype=np.uint8)
    for place in {"Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}[dtype]:  # scales in float16
        scale = RNG.uniform(0.01, 1, content.shape[:2]).astype("<f2")
        content[..., place : place + 2] = scale[..., None].view(np.uint8)
    return content.reshape(len(values), -1)


def write(path: Path, dtype: str = "Q8_0", tied: bool = False, tokens: int = NU, **writer: Any) -> Path:
    """A small checkpoint whose head has this type."""
    file = GGUFWriter(path, "llama", **writer)
    file.add_embedding_length(M)
    file.add_token_list([f"token {k}" for k in range(tokens)])
    file.add_token_types([1] * tokens)
    head = stored(HEAD, dtype)
    quantised = {"raw_dtype": GGMLQuantizationType[dtype]} if dtype in QUANTISED or dtype == "BF16" else {}
    file.add_tensor("token_embd.weight", HEAD[::-1].copy() if not tied else head, **(quantised if tied else {}))
    file.add_tensor("blk.0.attn_norm.weight", GAIN[::-1].copy())
    file.add_tensor("output_norm.weight", GAIN)
    if not tied:
        file.add_tensor("output.weight", head, **quantised)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


def official(path: Path, name: str) -> NDArray[np.float32]:
    """The tensor as the package reads it."""
    tensor = next(tensor for tensor in GGUFReader(path).tensors if tensor.name == name)
    if tensor.tensor_type == GGMLQuantizationType.F64:
        return tensor.data.astype(np.float32)
    return gguf.dequantize(tensor.data, tensor.tensor_type)


def matrix(path: Path) -> NDArray[np.float32]:
    """The head as it is read here, in blocks of 7 rows."""
    return np.concatenate([block for _, block in Rows(open_gguf(path).head().tensor).blocks(7)])


def test_types_and_blocks_are_those_of_the_package() -> None:
    for name in [*DTYPES, *QUANTISED]:
        kind = GGMLQuantizationType[name]
        assert gguf.GGML_QUANT_SIZES[kind] == block_of(name)


@pytest.mark.parametrize("dtype", [*DTYPES, *QUANTISED])
@pytest.mark.parametrize("tied", [False, True])
def test_every_type_is_read_as_by_the_package(tmp_path: Path, dtype: str, tied: bool) -> None:
    path = write(tmp_path / "model.gguf", dtype, tied)
    name = "token_embd.weight" if tied else "output.weight"
    expected = official(path, name)
    found = matrix(path)
    assert found.shape == (NU, M)
    np.testing.assert_array_equal(found, expected)
    _, source = gguf_head(path)
    assert (source.tensor, source.tied, source.vocabulary, source.format) == (name, tied, NU, "gguf")
    np.testing.assert_array_equal(np.float32(source.gain), GAIN)
    if not dtype.endswith("_K"):
        assert np.corrcoef(found.ravel(), HEAD.ravel())[0, 1] > 0.99


def test_split_checkpoints(tmp_path: Path) -> None:
    write(tmp_path / "model.gguf", split_max_tensors=2)
    parts = sorted(tmp_path.glob("model-*.gguf"))
    assert len(parts) == 2
    whole = write(tmp_path / "whole.gguf")
    np.testing.assert_array_equal(matrix(parts[0]), matrix(whole))
    assert open_gguf(parts[0]).vocabulary == NU
    with pytest.raises(InputError, match=r"this is part 2 of 2; give the first part"):
        open_gguf(parts[1])
    parts[0].rename(tmp_path / "other.gguf")
    with pytest.raises(InputError, match=r"its header says 2 parts, but its name does not"):
        open_gguf(tmp_path / "other.gguf")
    (tmp_path / "other.gguf").rename(parts[0])
    parts[1].write_bytes(whole.read_bytes())
    with pytest.raises(InputError, match="does not say part 2 of 2"):
        open_gguf(parts[0])
    parts[1].unlink()
    with pytest.raises(InputError, match=r"part 2 of 2 is missing: model-00002-of-00002\.gguf"):
        open_gguf(parts[0])


def test_a_head_is_measured_and_its_columns_say_what_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", tokens=NU - 4)
    row, norms, energies = measure(Request("small", "small", path=path, pairs="exact"))
    assert (row["format"], row["dtype"], row["quantisation"]) == ("gguf", None, "Q8_0")
    assert (row["vocabulary"], row["n_padded"], row["m"]) == (NU - 4, 4, M)
    W = official(path, "output.weight")[: NU - 4].astype(np.float64)
    for scaled, column in ((W, "mean_sq_overlap"), (W * GAIN, "gain_mean_sq_overlap")):
        unit = scaled / np.linalg.norm(scaled, axis=1)[:, None]
        squares = (unit @ unit.T)[np.triu_indices(NU - 4, 1)] ** 2
        assert row[column] == pytest.approx(squares.mean(), rel=1e-5)
    assert row["gain_mean"] == pytest.approx(GAIN.mean(), rel=1e-6)
    assert {entry["head"] for entry in energies} == {"stored", "with gain"}
    assert norms["kept"].sum() == NU - 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda whole: b"GGJT" + whole[4:], r"not a GGUF file"),
        (lambda whole: b"", r"not a GGUF file"),
        (lambda whole: whole[:4] + struct.pack(">I", 3) + whole[8:], r"a big-endian GGUF file"),
        (lambda whole: whole[:4] + struct.pack("<I", 1) + whole[8:], r"GGUF version 1 is not supported"),
        (lambda whole: whole[:8] + struct.pack("<Q", 1 << 60) + whole[16:], r"corrupt"),
        (lambda whole: whole[:16] + struct.pack("<Q", 1 << 60) + whole[24:], r"corrupt|truncated"),
        (lambda whole: whole[:-100], r"ends at byte \d+ of \d+; truncated\?"),
        (lambda whole: whole[:200], r"truncated"),
        (lambda whole: whole.replace(b"output.weight", b"output.weighs"), None),
        (lambda whole: whole.replace(struct.pack("<QQ", M, NU), struct.pack("<QQ", M, 1 << 61), 2), r"corrupt"),
        (
            lambda whole: whole.replace(struct.pack("<QQ", M, NU), struct.pack("<QQ", M, NU * 2), 2),
            r"corrupt|truncated",
        ),
        (
            lambda whole: whole.replace(
                b"embedding_length" + struct.pack("<II", 4, M), b"embedding_length\4\0\0\0\7\0\0\0"
            ),
            r"not an output matrix for 40 tokens in 7 dimensions",
        ),
    ],
)
def test_damaged_files_end_in_one_line(tmp_path: Path, change: Any, message: str | None) -> None:
    path = write(tmp_path / "model.gguf")
    path.write_bytes(change(path.read_bytes()))
    if message is None:  # without an output matrix the embedding is it
        assert open_gguf(path).head().tensor.name == "token_embd.weight"
        return
    with pytest.raises(InputError, match=message) as caught:
        open_gguf(path).head()
    assert "\n" not in str(caught.value)


def test_a_type_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf")
    content = bytearray(path.read_bytes())
    place = content.index(b"output.weight") + len(b"output.weight") + 4 + 16
    content[place : place + 4] = struct.pack("<I", 10)  # Q2_K
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"output\.weight has type Q2_K; supported are F64"):
        open_gguf(path).head()


def test_only_the_header_and_the_rows_asked_for_are_read(tmp_path: Path) -> None:
    file = LocalFile(write(tmp_path / "model.gguf"))
    GgufFile(file)
    assert file.received <= 1 << 20
