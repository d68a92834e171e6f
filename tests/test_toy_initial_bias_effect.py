"""The effect of the initial bias by the definition alone: dense samples, autograd, Adam; no engine of this project."""

import numpy as np
import pytest
import torch

from scaling.decay import decay_rows
from scaling.toy.engines.numba_engine import NumbaEngine
from scaling.toy.evaluation import held_out_loss, silent_features
from scaling.toy.features import frequencies
from scaling.toy.model import PlainTraining, ToyModel, draw_dense
from scaling.toy.recipe import Recipe, initial_state


N, GAMMA = 100, -0.5555555556
RECIPE = Recipe(steps=3000, batch_size=256, warmup_steps=300)


class DecayAfter(PlainTraining):
    """The other order: the Adam step first, then the decay."""

    def train_on(self, x):
        gamma, self.gamma = self.gamma, 0.0
        loss = super().train_on(x)
        self.gamma = gamma
        decay_rows(self.model.W, self.optimizer.param_groups[0]["lr"] * gamma)
        return loss


def trained(m, initial_bias, training=None):
    """Held-out loss and number of silent features after training by autograd, or by the engine without `training`."""
    p = frequencies("power_law", N, 0.0, 1.0)
    W, b = initial_state(N, m, np.random.default_rng([0, m]), initial_bias)
    if training is None:
        engine = NumbaEngine(W, b, p, GAMMA, RECIPE, np.random.default_rng(1))
        engine.advance(RECIPE.steps)
        W, b = engine.state()
    else:
        torch.set_num_threads(1)
        model, generator = ToyModel(torch.from_numpy(W), torch.from_numpy(b)), torch.Generator().manual_seed(1)
        plain, frequency = training(model, GAMMA, RECIPE), torch.from_numpy(p).float()
        for _ in range(RECIPE.steps):
            plain.train_on(draw_dense(frequency, RECIPE.batch_size, generator))
        W, b = model.W.detach().numpy(), model.b.detach().numpy()
    return held_out_loss(W, b, p, 2**15, np.random.default_rng(2)).loss, int(silent_features(W, b).sum())


@pytest.mark.slow
@pytest.mark.parametrize("m", [8, 14, 24])
def test_definition_and_engine_agree_on_the_effect(m):
    normal, normal_silent = trained(m, "normal", PlainTraining)
    zero, zero_silent = trained(m, "zero", PlainTraining)
    after, _ = trained(m, "zero", DecayAfter)
    assert zero_silent < normal_silent
    assert zero < 0.9 * normal
    assert trained(m, "zero")[0] == pytest.approx(zero, rel=0.05)
    assert after == pytest.approx(zero, rel=0.05)
