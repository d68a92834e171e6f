"""The attention kernel of `scaling.attention.kernel` in PyTorch, with autograd: similarities and a module."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.command import InputError


LEAST_CHORD = 1e-12  # squared chord below which the gradient of the Lorentz distance is zero


def cosine(q: Tensor, k: Tensor) -> Tensor:
    """<q_i, k_j> / (|q_i| |k_j|); tokens of norm zero get 0."""
    return functional.normalize(q, dim=-1) @ functional.normalize(k, dim=-1).mT


def dot(q: Tensor, k: Tensor) -> Tensor:
    """<q_i, k_j>."""
    return q @ k.mT


def minus_half_squared_distance(q: Tensor, k: Tensor) -> Tensor:
    """-|q_i - k_j|^2 / 2."""
    return q @ k.mT - q.square().sum(-1)[..., :, None] / 2 - k.square().sum(-1)[..., None, :] / 2


def minus_distance(q: Tensor, k: Tensor) -> Tensor:
    """-|q_i - k_j|; the gradient is 0 where the tokens are equal."""
    squared = (q.unsqueeze(-2) - k.unsqueeze(-3)).square().sum(-1)
    return -squared.clamp_min(LEAST_CHORD).sqrt()


def minus_lorentz_distance(q: Tensor, k: Tensor, kappa: float = 1.0) -> Tensor:
    """-d_L of lifted tokens by the squared chord, as in the NumPy kernel; raises InputError for kappa <= 0."""
    if not (kappa > 0 and math.isfinite(kappa)):
        raise InputError(f"kappa = {kappa}: the curvature is -kappa, and kappa must be positive and finite")
    root = math.sqrt(kappa)

    def lift(x: Tensor) -> tuple[Tensor, Tensor]:
        r = root * x.square().sum(-1, keepdim=True).clamp_min(LEAST_CHORD).sqrt()
        return torch.cosh(r).squeeze(-1) / root, torch.sinh(r) / r * x

    q_time, q_space = lift(q)
    k_time, k_space = lift(k)
    chord = (q_space.unsqueeze(-2) - k_space.unsqueeze(-3)).square().sum(-1)
    chord = chord - (q_time.unsqueeze(-1) - k_time.unsqueeze(-2)).square()
    return -2 * torch.asinh((kappa * chord).clamp_min(LEAST_CHORD).sqrt() / 2) / root


SIMILARITIES = {
    "dot": dot,
    "cosine": cosine,
    "minus_half_squared_distance": minus_half_squared_distance,
    "minus_distance": minus_distance,
    "minus_lorentz_distance": minus_lorentz_distance,
}


class KernelAttention(nn.Module):
    """A = softmax_j(beta sim(q_i, k_j) + b_ij), y_i = sum_j A_ij v_j, with a learned inverse temperature beta.

    Arguments: the similarity by name, the first beta, and whether the softmax runs over keys or queries. Raises
    InputError for an unknown similarity or a beta that is negative or not finite.
    """

    def __init__(self, similarity: str, beta: float = 1.0, normalise: str = "keys") -> None:
        super().__init__()
        if similarity not in SIMILARITIES:
            raise InputError(f"similarity {similarity!r} is not one of {', '.join(SIMILARITIES)}")
        if not (beta >= 0 and math.isfinite(beta)):
            raise InputError(f"beta = {beta}: the inverse temperature must be finite and not negative")
        self.similarity = SIMILARITIES[similarity]
        self.axis = -1 if normalise == "keys" else -2
        self.beta = nn.Parameter(torch.tensor(float(beta)))

    def weights(self, q: Tensor, k: Tensor, bias: Tensor | None = None) -> Tensor:
        """The attention matrix A (..., queries, keys)."""
        score = self.beta * self.similarity(q, k)
        return torch.softmax(score if bias is None else score + bias, self.axis)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        """sum_j A_ij v_j; shape (..., queries, width of v)."""
        return self.weights(q, k, bias) @ v
