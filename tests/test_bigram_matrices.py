"""Bigram matrices: floors against independent entropies, smoothing by brute force, and the laws of the controls."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from scaling.bigram import counts as counting
from scaling.bigram import matrices
from scaling.bigram.study import LAWS, SYNTHETIC_LAWS, MatrixSettings
from scaling.command import InputError


STREAM = np.array([0, 1, 2, 0, 1, 0, 0, 2, 1, 1, 0, 3])


def made(law: str, **given: float) -> matrices.Matrix:
    counts = matrices.pair_counts(STREAM, 4).toarray().astype(float)
    settings = MatrixSettings(law=law, **({"n": 40, **given} if law in SYNTHETIC_LAWS else {"vocabulary": 300}))
    return matrices.build(settings, counts)


def test_pairs_are_counted_around_the_circle() -> None:
    counts = matrices.pair_counts(STREAM, 4).toarray()
    expected = Counter(zip(STREAM, np.roll(STREAM, -1), strict=True))
    assert {(x, y): counts[x, y] for x in range(4) for y in range(4) if counts[x, y]} == expected
    np.testing.assert_array_equal(counts.sum(axis=0), counts.sum(axis=1))


@pytest.mark.parametrize("law", LAWS)
def test_every_law_gives_distributions_and_the_floor_of_scipy(law: str) -> None:
    matrix = made(law, successors=5, blocks=4)
    assert matrix.r.sum() == pytest.approx(1)
    np.testing.assert_allclose(matrix.P.sum(axis=1), 1, atol=1e-12)
    joint = matrix.r[:, None] * matrix.P
    assert matrix.floor == pytest.approx(entropy(joint.ravel()) - entropy(matrix.r))
    information = entropy(matrix.next_frequency) + entropy(matrix.r) - entropy(joint.ravel())
    assert matrix.information == pytest.approx(information, abs=1e-12)


@given(tokens=st.lists(st.integers(0, 5), min_size=2, max_size=60))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_the_floor_is_the_entropy_of_pairs_less_that_of_tokens(tokens: list[int]) -> None:
    ranks, n = counting.by_frequency(np.array(tokens))
    matrix = matrices.from_counts(matrices.pair_counts(ranks, n).toarray().astype(float))
    pairs, single = Counter(zip(tokens, tokens[1:] + tokens[:1], strict=True)), Counter(tokens)
    entropies = [-sum(k / len(tokens) * math.log(k / len(tokens)) for k in c.values()) for c in (pairs, single)]
    assert matrix.floor == pytest.approx(entropies[0] - entropies[1], abs=1e-9)
    assert np.all(np.diff(matrix.r) <= 1e-12)


def test_kneser_ney_by_its_definition() -> None:
    counts = matrices.pair_counts(STREAM, 4).toarray().astype(float)
    matrix = matrices.kneser_ney(counts)
    once, twice = (sum(value == k for value in counts.ravel()) for k in (1, 2))
    discount = once / (once + 2 * twice)
    kinds = sum(value > 0 for value in counts.ravel())
    for x in range(4):
        for y in range(4):
            expected = max(counts[x, y] - discount, 0) / counts[x].sum()
            expected += discount * (counts[x] > 0).sum() / counts[x].sum() * (counts[:, y] > 0).sum() / kinds
            assert matrix.P[x, y] == pytest.approx(expected)
    assert np.all(matrix.P > 0)


def test_shuffling_keeps_the_tokens() -> None:
    counts = matrices.pair_counts(STREAM, 4).toarray().astype(float)
    np.testing.assert_allclose(matrices.shuffled(counts, np.random.default_rng(0)).r, counts.sum(axis=1) / 12)


def test_independent_tokens_have_no_information() -> None:
    assert made("independent").information == pytest.approx(0, abs=1e-12)


def test_blocks_have_the_rank_of_their_number() -> None:
    matrix = made("blocks", blocks=4)
    assert np.linalg.matrix_rank(np.log(matrix.P) - np.log(matrix.r), tol=1e-8) == 4
    block = np.arange(40) % 4
    inside = (matrix.P * (block[:, None] == block)).sum(axis=1)
    np.testing.assert_allclose(inside, 0.9 + 0.1 * np.bincount(block, matrix.r)[block])


def test_sparse_rows_have_their_number_of_successors() -> None:
    assert set((made("sparse", successors=5).P > 0).sum(axis=1)) == {5}


def test_the_spectrum_is_the_requested_one() -> None:
    n, rng = 40, np.random.default_rng(0)
    matrix = matrices.spectrum(matrices.power_law(n, 0.0), 1.0, rng)
    logits = np.log(matrix.P * n)
    centred = logits - logits.mean(axis=1, keepdims=True)
    values = np.linalg.svd(centred, compute_uv=False)[:10]
    np.testing.assert_allclose(values / values[0], 1 / np.arange(1, 11), rtol=0.1)


def test_the_same_seed_gives_the_same_matrix() -> None:
    np.testing.assert_array_equal(made("random", seed=3).P, made("random", seed=3).P)
    assert not np.array_equal(made("random", seed=3).P, made("random", seed=4).P)


def test_counts_survive_their_file(tmp_path: Path) -> None:
    counts = matrices.pair_counts(STREAM, 4)
    matrices.write_counts(tmp_path / "counts.safetensors", counts)
    np.testing.assert_array_equal(matrices.read_counts(tmp_path / "counts.safetensors"), counts.toarray())


def test_texts_are_read_or_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    assert counting.read_texts(tmp_path / "a.jsonl") == ["one", "two"]
    (tmp_path / "b.txt").write_text("three\n")
    assert counting.read_texts(tmp_path / "b.txt") == ["three\n"]
    (tmp_path / "c.jsonl").write_text('["text"]\n')
    with pytest.raises(InputError, match="a line is not an object"):
        counting.read_texts(tmp_path / "c.jsonl")
    (tmp_path / "d.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match="not UTF-8"):
        counting.read_texts(tmp_path / "d.txt")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"law": "markov", "n": 3}, "must be one of text"),
        ({"law": "text", "n": 3}, "takes vocabulary, not n"),
        ({"law": "random", "vocabulary": 300}, "takes n, not vocabulary"),
        ({"law": "sparse", "n": 4, "blocks": 1, "successors": 5}, "successors = 5: must lie between 1 and n = 4"),
        ({"law": "blocks", "n": 16, "alpha": math.inf}, "alpha = inf: must be finite"),
    ],
)
def test_wrong_settings_are_named(given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MatrixSettings(**given)


def test_a_counted_law_needs_counts() -> None:
    with pytest.raises(InputError, match="give --counts"):
        matrices.build(MatrixSettings(law="text", vocabulary=300))
