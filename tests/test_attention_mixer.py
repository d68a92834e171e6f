"""ClusterMixer and HCFormer: the mixer by loops, published sizes, identities, training."""

import numpy as np
import pytest
import torch

from scaling.attention import kernel, mixer, mixer_measurement, mixer_training
from scaling.command import InputError


def test_gather_and_scatter_by_loops() -> None:
    rng = np.random.default_rng(0)
    A, v, centres = rng.dirichlet(np.ones(3), size=6), rng.normal(size=(6, 2)), rng.normal(size=(3, 2))
    gathered = [(sum(A[i, j] * v[i] for i in range(6)) + centres[j]) / (A[:, j].sum() + 1) for j in range(3)]
    expected = [sum(A[i, j] * gathered[j] for j in range(3)) for i in range(6)]
    found = mixer.gather_and_scatter(*(torch.from_numpy(part) for part in (A, v, centres)))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-14)


@pytest.mark.parametrize("metric", ["hyperbolic", "euclidean"])
def test_mixer_is_its_definition(metric: mixer.Mixer) -> None:
    """One head, maps of 4 x 4 in 2 x 2 windows: patches with 1 centre, windows with 1 centre."""
    torch.manual_seed(0)
    module = mixer.ClusterMixer(3, 1, 5, 2, 1, 2, 4, True, metric, kappa=0.7).double()
    torch.nn.init.normal_(module.window_bias)
    torch.nn.init.normal_(module.bias)
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    keys, values = (part(x)[0].permute(1, 2, 0).detach().numpy() for part in (module.keys, module.values))

    def windows(F: np.ndarray) -> np.ndarray:  # (window, token, channel)
        return np.array([F[i : i + 2, j : j + 2].reshape(4, -1) for i in (0, 2) for j in (0, 2)])

    patch = np.zeros((4, 4, 5))
    for w, (i, j) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2)]):
        # one centre: every token gives all its weight to it
        v = windows(values)[w]
        patch[i : i + 2, j : j + 2] = (v.sum(0) + v.mean(0)) / 5
    means, v_means = windows(keys).mean(1), windows(values).mean(1)
    clipped = means * np.minimum(1, 1 / np.linalg.norm(means, axis=1, keepdims=True))
    bias = module.window_bias.detach().numpy()[0].reshape(4, 4).T
    similarity = (
        kernel.minus_distance if metric == "euclidean" else lambda q, k: kernel.minus_lorentz_distance(q, k, 0.7)
    )
    A = kernel.attention_weights(clipped, clipped, similarity=similarity, bias=bias)
    gathered = (A.T @ v_means + v_means) / (A.sum(0)[:, None] + 1)
    upper = (A @ gathered).reshape(2, 2, 5).repeat(2, 0).repeat(2, 1)
    both = torch.from_numpy(np.concatenate([patch, upper], -1)).permute(2, 0, 1)[None]
    np.testing.assert_allclose(module(x).detach(), module.out(both).detach(), atol=1e-5)


def test_windows_are_split_and_merged() -> None:
    module = mixer.ClusterMixer(3, 2, 4, 2, 1, 1, 4, False)
    x = torch.arange(2 * 2 * 4 * 6 * 8.0).reshape(2, 2, 4, 6, 8)
    cut = module.in_windows(x)
    assert cut.shape == (2, 2, 4, 4, 3, 4)
    assert torch.equal(cut[0, 0, 1], x[0, 0, :, :3, 4:])
    assert torch.equal(module.from_windows(cut), x)


def test_published_sizes() -> None:
    rows = {row["size"]: row for row in mixer_measurement.size_rows()}
    for name in ("tiny", "small", "medium"):
        assert rows[name]["millions"] == pytest.approx(rows[name]["published_millions"], abs=0.06)
    assert rows["nano"]["millions"] == pytest.approx(5.326, abs=1e-3)
    assert rows["nano"]["millions_without_head"] == pytest.approx(rows["nano"]["published_millions"], abs=0.01)


def test_a_small_network_of_every_kind_takes_images_of_any_size() -> None:
    size = mixer.Size((1, 1), (4, 6), (2, 2), 3, (2, 2), (3, 1), (2, 2), (2, 1), (6, 3), (True, False), 2, 1)
    for kind in mixer_training.MIXERS:
        network = mixer.HCFormer(size, 5, kind)
        for side in (12, 10):
            assert network(torch.randn(2, 1, side, side)).shape == (2, 5)


def test_identities_hold() -> None:
    rows = list(mixer_measurement.identity_rows())
    assert max(row["value"] for row in rows[:3]) < 1e-13
    assert rows[3]["value"] == 1
    ratio = {row["kappa"]: row["value"] for row in rows if row["identity"].startswith("largest d_L")}
    assert 1 < ratio[1e-4] < 1.0001 < ratio[4.0]


def test_training_is_deterministic_and_learns() -> None:
    first, second = (mixer_training.train("attention", 0, epochs=2) for _ in range(2))
    *_, images, labels = mixer_training.digits(0)
    with torch.no_grad():
        assert torch.equal(first(images), second(images))
        assert (first(images).argmax(1) == labels).double().mean() > 0.2
    assert len(images) == 500


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="kappa = 0"):
        mixer.HCFormer(mixer_training.DIGITS, 10, "hyperbolic", kappa=0)
    with pytest.raises(InputError, match="mixer 'flat'"):
        mixer.HCFormer(mixer_training.DIGITS, 10, "flat")  # type: ignore[arg-type]
