"""Signed weight decay, which selects weak or strong superposition, for toy models and language models."""

import torch
from torch import Tensor


@torch.no_grad()
def decay_rows(W: Tensor, rate: float) -> None:
    """Signed decoupled weight decay in place, rate = lr gamma (paper, appendix on weight decay).

    gamma >= 0: W *= 1 - rate. gamma < 0: W_i += rate W_i (1 - 1/||W_i||), which pulls the norms of rows to 1.
    """
    if rate >= 0:
        W *= 1 - rate
    else:
        norm = W.norm(dim=1, keepdim=True)
        W += torch.where(norm > 0, rate * W * (1 - 1 / norm), 0)
