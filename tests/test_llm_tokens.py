"""Exponents of token frequencies: known answers, by every method, and texts and tokenizers that are not there."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from scaling.command import InputError
from scaling.llm.checkpoint.files import Folder
from scaling.llm.checkpoint.store import load_tokenizer
from scaling.llm.checkpoint.tensor import UnsupportedCheckpointError
from scaling.llm.checkpoint.tokenizer_file import read_tokenizer, tokenizer_size
from scaling.llm.tokens import (
    Text,
    encode,
    frequencies,
    main,
    rank_bins,
    rank_table,
    read_norms,
    read_text,
    zeta_exponent,
)


def drawn(alpha: float, vocabulary: int, n: int, seed: int) -> Text:
    """Tokens of the truncated zeta law, the names of the ranks shuffled."""
    rng = np.random.default_rng(seed)
    p = np.arange(1, vocabulary + 1) ** -alpha
    return Text(rng.permutation(vocabulary)[rng.choice(vocabulary, n, p=p / p.sum())], vocabulary)


@pytest.mark.parametrize("alpha", [0.9, 1.0, 1.1])
def test_known_exponent(alpha: float) -> None:
    row = frequencies(drawn(alpha, 50257, 1_000_000, 0), 10, 10_000)
    assert row["exponent"] == pytest.approx(alpha, abs=0.01)
    assert row["exponent_window"] == pytest.approx(alpha, abs=0.03)
    assert 0 < row["exponent_stderr"] < 0.01
    assert row["rank_max"] <= 10_000
    assert "note" not in row


def test_standard_error_is_the_scatter_of_repetitions() -> None:
    rows = [frequencies(drawn(1.0, 500, 60_000, seed), 2, 300) for seed in range(40)]
    scatter = np.std([row["exponent"] for row in rows])
    assert np.mean([row["exponent_stderr"] for row in rows]) == pytest.approx(scatter, rel=0.35)


def test_likelihood_is_that_of_scipy() -> None:
    counts = np.array([50, 22, 17, 9, 8, 3, 2, 0, 1])
    alpha = zeta_exponent(counts)

    def likelihood(a: float) -> float:
        return float(counts @ stats.zipfian.logpmf(np.arange(1, 10), a, 9))

    assert likelihood(alpha) > max(likelihood(alpha - 1e-3), likelihood(alpha + 1e-3))
    assert np.isnan(zeta_exponent(np.zeros(5, int)))


def test_short_texts_say_so() -> None:
    assert "too short" in str(frequencies(drawn(1.0, 100, 5000, 0), 1, 100)["note"])
    assert "fewer than 3 bins" in str(frequencies(drawn(1.0, 100, 60_000, 0), 99, 100)["note"])


def test_rank_bins_cover_every_rank_once() -> None:
    for vocabulary in (1, 2, 3, 10, 999, 50257):
        edges = rank_bins(vocabulary)
        assert edges[0] == 1
        assert edges[-1] == vocabulary + 1
        assert (np.diff(edges) > 0).all()


def test_norm_against_rank() -> None:
    ids = np.repeat(np.arange(6), [50, 30, 10, 5, 4, 1])
    norms, kept = np.array([6.0, 5, 4, 3, 2]), np.array([True, True, True, False, True])
    table = rank_table(Text(ids, 8), norms, kept)
    assert table["rank_high"].iloc[-1] == 6
    assert (table["frequency"] * (table["rank_high"] - table["rank_low"] + 1)).sum() == pytest.approx(1)
    assert table["n_rows"].sum() == 4  # token 3 is left out, token 5 has no row
    assert table["mean_norm"].iloc[0] == 6
    assert rank_table(Text(ids, 8), np.zeros(0), np.zeros(0, bool))["mean_norm"].isna().all()


def test_words_and_bytes() -> None:
    text = encode("words", "The cat, the CAT; don't 42!")
    assert (len(text.ids), text.vocabulary) == (6, 4)
    assert encode("bytes", "é").ids.tolist() == [0xC3, 0xA9]
    with pytest.raises(InputError, match="use words, bytes, or a model's name"):
        encode("letters", "x")


def test_texts(tmp_path: Path) -> None:
    assert len(read_text("python")) > 1_000_000
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(InputError, match="not UTF-8"):
        read_text(str(tmp_path / "latin"))
    with pytest.raises(InputError, match="no such text"):
        read_text(str(tmp_path / "none"))


def test_tokenizers_of_models(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedCheckpointError, match=r"neither tokenizer\.json nor vocab\.json"):
        load_tokenizer(Folder(tmp_path), tmp_path)
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ċ": 5}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    tokenizer = load_tokenizer(Folder(tmp_path), tmp_path)
    assert tokenizer_size(tokenizer) == 6
    assert encode("model", "ab a\nab", Folder(tmp_path)).ids.tolist() == [2, 3, 0, 5, 2]
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="not a tokenizer"):
        read_tokenizer(tmp_path / "tokenizer.json")


def test_a_file_without_norms_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    for path in (tmp_path / "x", tmp_path / "none"):
        with pytest.raises(InputError, match="not the norms of a head"):
            read_norms(path)


@pytest.mark.parametrize(("low", "high"), [("50", "10"), ("0", "10"), ("-3", "10")])
def test_a_window_of_no_ranks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, low: str, high: str) -> None:
    outputs = ["--frequencies", str(tmp_path / "a.csv"), "--ranks", str(tmp_path / "b.csv")]
    window = ["--rank-min", low, "--rank-max", high, "--record-failure"]
    monkeypatch.setattr("sys.argv", ["tokens", "--tokenizer", "words", *window, *outputs])
    with pytest.raises(InputError, match=f"--rank-min {low}, --rank-max {high}"):
        main()
    assert not list(tmp_path.iterdir())
