"""The PyTorch stack on CPU against float64 autograd of the definition, its padding, its sampler, its memory."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode
from toy_oracle import CASES, TOLERANCE, autograd, double, errors, model_state, relative_error, samples, unavoidable

from scaling.toy.engines.torch_engine import Entries, Sampler, TorchStack, entries, models_that_fit, uniform
from scaling.toy.features import dense as dense_batch
from scaling.toy.features import draw_batch, frequencies
from scaling.toy.model import PlainTraining, ToyModel
from scaling.toy.recipe import Recipe, initial_state


ALARM = 1e-4  # probability that a statistical test fails a true sampler, had the seed been another
CPU = torch.device("cpu")
START = torch.tensor([0])  # the step


def stack(
    n: int, widths: list[int], gamma: list[float], recipe: Recipe, first_seed: int = 1, **more: Any
) -> TorchStack:
    """Models with different widths, decays, exponents and learning rates, from one seed."""
    rng = np.random.default_rng(0)
    W, b = zip(*(initial_state(n, m, rng) for m in widths), strict=True)
    p = [frequencies("power_law", n, k / 2, 1.2) for k in range(len(widths))]
    seeds = list(range(first_seed, first_seed + len(widths)))
    return TorchStack(W, b, p, gamma, recipe, seeds, **more)


def batches(engine: TorchStack, n: int, batch_size: int, seed: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    p = [frequencies("power_law", n, k / 2, 1.2) for k in range(len(engine.widths))]
    return torch.from_numpy(np.stack([dense_batch(draw_batch(rng, q, batch_size), n) for q in p]))


def dense(drawn: Entries, n: int) -> torch.Tensor:
    """Entries as dense rows, shape (K, R, n)."""
    K, R = drawn.weight.shape
    x = torch.zeros(K, R * n)
    return x.scatter_add_(1, drawn.row * n + drawn.feature, drawn.value).view(K, R, n)


@pytest.mark.parametrize(("n", "m", "sign", "kind", "law"), CASES)
def test_gradients_are_those_of_autograd(n: int, m: int, sign: str, kind: str, law: str) -> None:
    rng = np.random.default_rng([n, m])
    batch_size = 256 if n < 1000 else 2048
    (W, b), x = model_state(n, m, sign, rng), samples(kind, law, n, batch_size, rng)
    recipe = Recipe(steps=1, warmup_steps=0, batch_size=batch_size)
    engine = TorchStack([W], [b], [frequencies("linear", n, None, 1.0)], [0.0], recipe, [1])
    loss, dW, db = engine.gradients(torch.from_numpy(x)[None])
    assert max(errors((loss[0], dW[0], db[0]), autograd(W, b, x))) < TOLERANCE


@settings(max_examples=60)
@given(st.integers(2, 30), st.lists(st.integers(1, 30), min_size=1, max_size=4), st.floats(0, 1), st.integers(0, 2**32))
def test_gradients_of_any_small_stack(n: int, widths: list[int], p: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.uniform(0, 2, (len(widths), 5, n)) * (rng.random((len(widths), 5, n)) < p)).astype(np.float32)
    engine = stack(n, widths, [0.0] * len(widths), Recipe(steps=1, warmup_steps=0, batch_size=5))
    loss, dW, db = engine.gradients(torch.from_numpy(x))
    for k, (W, b) in enumerate(zip(*engine.state(), strict=True)):
        expected = autograd(W, b, x[k])
        assert max(errors((loss[k], dW[k], db[k]), expected)) < max(TOLERANCE, 4 * unavoidable(W, b, x[k]))


def test_a_drawn_batch_trains_as_its_dense_samples_do() -> None:
    engine = stack(40, [3, 8], [0.0, 0.0], Recipe(steps=1, warmup_steps=0, batch_size=500))
    drawn = engine.sampler.draw(START)
    loss = engine._backward(drawn) / (500 * 40)
    found = (engine.gradient * (2 / (500 * 40))).numpy()
    for k, (W, b) in enumerate(zip(*engine.state(), strict=True)):
        rows = dense(drawn, 40)[k, drawn.weight[k] == 1].numpy()
        x = np.zeros((500, 40), np.float32)
        x[: len(rows)] = rows
        ours = (loss[k].item(), found[k][:, : W.shape[1]], found[k][:, -1])
        assert max(errors(ours, autograd(W, b, x))) < TOLERANCE


def test_a_trajectory_is_that_of_the_plain_loop() -> None:
    gamma, factor = [-1.0, -0.556, 0.0, 0.333, 1.0], [1.0, 2.0, 0.5, 1.0, 1.0]
    recipe = Recipe(steps=200, warmup_steps=20, batch_size=128, learning_rate_exponent=-0.25, loss_scale=3.0)
    engine = stack(60, [7, 3, 12, 7, 1], gamma, recipe, learning_rate_factor=factor)
    models = [ToyModel(double(W), double(b)) for W, b in zip(*engine.state(), strict=True)]
    plain = [PlainTraining(model, g, recipe, f) for model, g, f in zip(models, gamma, factor, strict=True)]
    for step in range(200):
        x = batches(engine, 60, 128, step)
        expected = [training.train_on(x[k].double()) for k, training in enumerate(plain)]
        np.testing.assert_allclose(engine.train_on(x), expected, rtol=TOLERANCE)
    for model, W, b in zip(models, *engine.state(), strict=True):
        assert relative_error(W, model.W.detach().numpy()) < TOLERANCE
        assert relative_error(b, model.b.detach().numpy()) < TOLERANCE


def test_zero_columns_stay_exactly_zero() -> None:
    engine = stack(30, [1, 9, 4, 4], [-1.0, 0.3, -0.5, 1.0], Recipe(steps=60, warmup_steps=5, batch_size=64))
    engine.advance(60)
    for k, m in enumerate(engine.widths):
        assert not engine.P[k, :, m:-1].any()
        assert not engine.mean_sq[k, :, m:-1].any()
        assert engine.P[k, :, :m].all()


def test_rows_of_zeros_stay_finite_under_either_decay() -> None:
    W, b = np.zeros((6, 2), np.float32), np.zeros(6, np.float32)
    engine = TorchStack(
        [W, W], [b, b], [np.full(6, 0.2)] * 2, [-1.0, 1.0], Recipe(steps=3, warmup_steps=0, batch_size=9), [1, 2]
    )
    assert np.isfinite(engine.advance(3)).all()
    assert not np.any(engine.state()[0])


def test_a_stack_equals_its_models_alone_and_in_any_order() -> None:
    recipe = Recipe(steps=20, warmup_steps=2, batch_size=64)
    widths, gamma = [3, 8, 5], [-0.7, 0.4, -0.2]
    engine = stack(40, widths, gamma, recipe)
    W, b = engine.state()
    p = [np.full(40, 0.02)] * 3
    turned = TorchStack(W[::-1], b[::-1], p, gamma[::-1], recipe, [1, 2, 3])
    alone = [TorchStack([w], [c], p[:1], [g], recipe, [1]) for w, c, g in zip(W, b, gamma, strict=True)]
    for step in range(20):
        x = batches(engine, 40, 64, step)
        losses = engine.train_on(x)
        np.testing.assert_allclose(turned.train_on(x.flip(0))[::-1], losses, rtol=1e-6)
        np.testing.assert_allclose(
            np.concatenate([one.train_on(x[k : k + 1]) for k, one in enumerate(alone)]), losses, rtol=1e-6
        )
    for k, one in enumerate(alone):
        np.testing.assert_allclose(one.state()[0][0], engine.state()[0][k], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(turned.state()[0][2 - k], engine.state()[0][k], rtol=1e-4, atol=1e-5)


def test_the_seed_makes_every_bit() -> None:
    recipe = Recipe(steps=30, warmup_steps=3, batch_size=64)
    one, same, other = (stack(40, [3, 8], [-0.5, 0.5], recipe, seed) for seed in (1, 1, 4))
    losses = one.advance(30)
    assert losses.shape == (30, 2)
    assert losses.tobytes() == np.concatenate([same.advance(10), same.advance(20)]).tobytes()
    assert one.P.numpy().tobytes() == same.P.numpy().tobytes()
    assert np.any(other.advance(30) != losses)


def test_training_learns() -> None:
    engine = stack(100, [10, 10, 10], [-0.5, -0.5, 0.2], Recipe(steps=800, warmup_steps=100, batch_size=256))
    losses = engine.advance(800)[-100:].mean(axis=0)
    p = [frequencies("power_law", 100, k / 2, 1.2) for k in range(3)]
    assert np.all(losses < [0.8 * np.sum(4 / 3 * q - q**2) for q in p])


def test_too_many_steps_and_uneven_stacks_are_refused() -> None:
    recipe = Recipe(steps=3, warmup_steps=0, batch_size=8)
    with pytest.raises(ValueError, match="4 steps asked of a recipe of 3"):
        stack(5, [2], [0.0], recipe).advance(4)
    with pytest.raises(ValueError, match="as many W as b"):
        stack(5, [2, 3], [0.0], recipe)
    W, b = np.zeros((5, 2), np.float32), np.zeros(5, np.float32)
    with pytest.raises(ValueError, match="share n"):
        TorchStack([W], [b], [np.ones(4)], [0.0], recipe, [1])


def test_entries_of_dense_samples() -> None:
    x = torch.zeros(2, 3, 4)
    x[0, 1, 2], x[1, 0, 3], x[1, 2, 0] = 0.5, 1.5, 0.25
    found = entries(x)
    assert found.value.tolist() == [[0.5, 0], [1.5, 0.25]]
    assert torch.equal(dense(found, 4), x)
    assert (found.row.diff(dim=1) >= 0).all()


def test_joint_law_of_all_features() -> None:
    p = [np.array([1.0, 0.5, 0.31, 0.2, 0.03, 0.0]), np.array([0.0, 0.6, 0.1, 0.0, 0.4, 0.0])]
    drawn = Sampler(p, 40_000, [1, 2], CPU).draw(START)
    for k, q in enumerate(p):
        active = dense(drawn, 6)[k, drawn.weight[k] == 1].numpy() > 0
        counts = np.bincount(active @ 2 ** np.arange(6), minlength=64).astype(float)
        counts[0] += drawn.weight[k, -1].item() ** 2  # the samples that share one row
        bits = np.arange(64)[:, None] >> np.arange(6) & 1
        expected = 40_000 * np.prod(np.where(bits, q, 1 - q), axis=1)
        assert counts.sum() == pytest.approx(40_000, rel=1e-6)
        assert not counts[expected < 1e-9].any()
        assert stats.chisquare(counts[expected > 1e-9], expected[expected > 1e-9], sum_check=False).pvalue > ALARM


def test_marginals_pairs_and_values_of_many_features() -> None:
    p, B = frequencies("power_law", 200, 1.0, 5.0), 20_000
    drawn = Sampler([p], B, [2], CPU).draw(START)
    x = dense(drawn, 200)[0].numpy().astype(np.float64)
    counts, together = (x > 0).sum(0), (x > 0).astype(float).T @ (x > 0)
    variance = p * (1 - p)
    assert stats.chi2.sf(np.sum((counts - B * p) ** 2 / (B * variance)), 200) > ALARM
    i, j = np.triu_indices(40, 1)
    centred = together - np.outer(counts, p) - np.outer(p, counts) + B * np.outer(p, p)
    assert stats.chi2.sf(np.sum(centred[i, j] ** 2 / (B * variance[i] * variance[j])), len(i)) > ALARM
    assert stats.kstest(x[x > 0], stats.uniform(0, 2).cdf).pvalue > ALARM


def test_rare_features_keep_their_rate() -> None:
    p = np.array([1e-7] * 100_000)
    drawn = [Sampler([p], 10_000, [seed], CPU).draw(START) for seed in range(20)]
    total = sum(int((batch.value > 0).sum()) for batch in drawn)
    assert stats.poisson(2000).sf(total) > ALARM / 2
    assert stats.poisson(2000).cdf(total) > ALARM / 2


def test_uniform_numbers_are_those_of_splitmix64() -> None:
    """Its reference outputs for the seed 1234567, of which each number has the upper 53 bits."""
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    found = uniform(torch.tensor([1234567]), torch.arange(1, 6))
    assert (found * 2**53).long().tolist() == [bits >> 11 for bits in expected]


def test_samples_of_neighbouring_seeds_steps_and_places_are_independent() -> None:
    drawn = uniform(torch.arange(8)[:, None, None], (torch.arange(8) << 32)[:, None] + torch.arange(4000)).numpy()
    assert stats.kstest(drawn.ravel(), stats.uniform(0, 1).cdf).pvalue > ALARM
    streams = np.concatenate([drawn.reshape(64, 4000)[:, :-1], drawn.reshape(64, 4000)[:, 1:]])
    z = np.corrcoef(streams)[np.triu_indices(128, 1)] * np.sqrt(3999)
    z = z[np.abs(z) < 0.9 * np.sqrt(3999)]  # all but each stream with itself
    assert stats.kstest(z, stats.norm.cdf).pvalue > ALARM


def test_a_model_s_samples_do_not_depend_on_its_stack() -> None:
    p = [frequencies("power_law", 30, alpha, 1.5) for alpha in (0.0, 2.0, 1.0)]
    together = Sampler(p, 200, [5, 6, 7], CPU).draw(torch.tensor([9]))
    for k in range(3):
        alone = Sampler(p[k : k + 1], 200, [5 + k], CPU).draw(torch.tensor([9]))
        one, all_rows = dense(alone, 30)[0], dense(together, 30)[k]
        used = int(alone.weight[0, :-1].sum())
        assert torch.equal(one[:used], all_rows[:used])
        assert alone.weight[0, -1] == together.weight[k, -1]
    other = Sampler(p, 200, [5, 6, 7], CPU).draw(torch.tensor([10]))
    assert not torch.equal(other.value, together.value)


def test_a_graph_replays_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way through a CUDA graph, with a recorder in its place that runs at each replay what was called in it."""

    class Recorder:
        def __enter__(self) -> None:
            engine._train = lambda batch: None  # a capture runs nothing

        def __exit__(self, *error: object) -> None:
            del engine._train

        def replay(self) -> None:
            replays.append(engine.step)
            engine._train(engine.sampler.draw(engine.clock))

    replays: list[int] = []
    recipe = Recipe(steps=12, warmup_steps=2, batch_size=32)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorder)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph: graph)
    engine = stack(20, [2, 5], [-0.5, 0.5], recipe, cuda_graph=True)
    losses = engine.advance(12)
    assert replays == list(range(3, 12))
    assert losses.tobytes() == stack(20, [2, 5], [-0.5, 0.5], recipe).advance(12).tobytes()


def test_where_no_graph_can_be_captured_training_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    recipe = Recipe(steps=8, warmup_steps=2, batch_size=32)
    engine = stack(20, [2, 5], [-0.5, 0.5], recipe, cuda_graph=not torch.cuda.is_available())
    losses = engine.advance(8)
    assert losses.tobytes() == stack(20, [2, 5], [-0.5, 0.5], recipe).advance(8).tobytes()
    if not torch.cuda.is_available():
        assert [record.message[:13] for record in caplog.records] == ["no CUDA graph"]


def test_products_are_in_full_precision_unless_asked() -> None:
    recipe = Recipe(steps=1, warmup_steps=0, batch_size=8)
    stack(5, [2], [0.0], recipe, tf32=True)
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    stack(5, [2], [0.0], recipe)
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"


def test_a_step_never_waits_for_the_device() -> None:
    """A CUDA graph can hold it: no result is read by Python, no size depends on data, no constant is carried over."""

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.add(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    seen: set[str] = set()
    engine = stack(20, [2, 5], [-0.5, 0.5], Recipe(steps=3, warmup_steps=0, batch_size=32))
    with Seen():
        engine.advance(3)
    assert "bmm" in seen
    assert not seen & {
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "unique_consecutive",
        "scalar_tensor",
        "where",
    }


def test_memory_says_how_many_models_fit() -> None:
    p = frequencies("power_law", 1000, 1.0, 1.0)
    one = 10**12 / models_that_fit(p, 10, 2048, 10**12)  # bytes per model
    assert (
        4 * 1000 * 1300 < one < 4 * 1000 * 2500
    )  # d holds the samples with features, 0.6 of 2048, and little beside it
    assert models_that_fit(p, 10, 2048, int(7.5 * one)) == 7
    assert models_that_fit(p, 10, 2048, int(one / 2)) == 0
    denser = frequencies("power_law", 1000, 1.0, 1 / (p[0] / p.sum()))
    sizes = [
        models_that_fit(q, m, B, 10**12)
        for q, m, B in [(p, 10, 512), (p, 10, 2048), (p, 100, 2048), (denser, 100, 2048)]
    ]
    assert sizes == sorted(sizes, reverse=True)
