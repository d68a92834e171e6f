"""The toy model and its training as the paper states them: the definition, the tests' oracle, the benchmark's baseline.

Dense x and autograd, one line an equation. The engines compute the same numbers faster.
"""

import torch
from torch import Tensor

from scaling.decay import decay_rows
from scaling.toy.recipe import Recipe


class ToyModel(torch.nn.Module):
    """y = ReLU(x W W^T + b) with W in R^{n x m}, b in R^n (paper, Eq. 2)."""

    def __init__(self, W: Tensor, b: Tensor) -> None:
        super().__init__()
        self.W = torch.nn.Parameter(W.clone())
        self.b = torch.nn.Parameter(b.clone())

    def forward(self, x: Tensor) -> Tensor:
        """y for samples x, shapes (B, n)."""
        return torch.relu(x @ self.W @ self.W.T + self.b)


def mean_loss(y: Tensor, x: Tensor) -> Tensor:
    """Mean of (y - x)^2 over samples and features: what training minimises; n times it is the paper's loss (Eq. 3)."""
    return torch.mean((y - x) ** 2)


def draw_dense(p: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    """x_i = u_i v_i with u_i ~ Bernoulli(p_i), v_i ~ U(0, 2), shape (batch_size, n)."""
    shape = (batch_size, len(p))
    u = torch.rand(shape, generator=generator, dtype=p.dtype, device=p.device) < p
    return 2 * torch.rand(shape, generator=generator, dtype=p.dtype, device=p.device) * u


class PlainTraining:
    """Adam on the mean loss after the signed decay of W, at the recipe's learning rates; b is not decayed."""

    def __init__(self, model: ToyModel, gamma: float, recipe: Recipe, learning_rate_factor: float = 1.0) -> None:
        self.model, self.gamma, self.recipe = model, gamma, recipe
        self.peak = [learning_rate_factor * rate for rate in recipe.learning_rates(model.W.shape[1])]
        self.schedule = recipe.schedule()
        self.optimizer = torch.optim.Adam(
            [{"params": [model.W]}, {"params": [model.b]}], betas=(recipe.beta1, recipe.beta2), eps=recipe.epsilon
        )
        self.step = 0

    def train_on(self, x: Tensor) -> float:
        """One training step on samples x, shape (B, n); returns their loss, summed over features."""
        for group, rate in zip(self.optimizer.param_groups, self.peak, strict=True):
            group["lr"] = float(rate * self.schedule[self.step])
        self.optimizer.zero_grad()
        loss = mean_loss(self.model(x), x)
        (self.recipe.loss_scale * loss).backward()
        decay_rows(self.model.W, self.optimizer.param_groups[0]["lr"] * self.gamma)
        self.optimizer.step()
        self.step += 1
        return loss.item() * x.shape[1]
