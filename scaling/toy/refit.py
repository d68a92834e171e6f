"""Refit part of a toy model: every bias, or every bias and norm, with the directions of the rows fixed.

With W held the loss is a sum over outputs of functions of their own b_j: each has one number to search for.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from scaling import geometry
from scaling.toy import features
from scaling.toy.engines.numba_engine import NumbaEngine
from scaling.toy.evaluation import CHUNK
from scaling.toy.recipe import Recipe


STEP = 0.005  # of the biases tried, and of the bins of z
TRIED = np.arange(-4, 2 + STEP / 2, STEP)  # biases
LOWEST, HIGHEST = -2.0, 4.0  # of z: below TRIED.max() is enough, since nothing fires there; above, z is cut
BINS = round((HIGHEST - LOWEST) / STEP)


def best_bias(
    W: NDArray[np.floating], p: NDArray[np.float64], n_samples: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the b that minimises the mean of sum_j (ReLU(z_j + b_j) - x_j)^2, z = x W W^T, over fresh samples.

    Where x_j = 0 only the distribution of z_j counts, kept as a histogram; active entries are kept one by one. Each
    b_j is the best of TRIED, steps of 0.005; n_samples is rounded up to whole chunks of 2048. Shape (n,), float32.
    """
    n = len(W)
    W = np.asarray(W, np.float32)
    count = np.zeros((n, BINS))
    entries: list[tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]] = []
    for _ in range(-(-n_samples // CHUNK)):
        batch = features.draw_batch(rng, p, CHUNK)
        x = sparse.csr_array((batch.value, (batch.sample, batch.feature)), shape=(CHUNK, n))
        z = x @ W @ W.T
        entries.append((batch.feature, batch.value, z[batch.sample, batch.feature]))
        z[batch.sample, batch.feature] = LOWEST  # the lowest bin never fires
        place = np.clip((z - LOWEST) / STEP, 0, BINS - 1).astype(np.int64)
        place += BINS * np.arange(n)
        count += np.bincount(place.ravel(), minlength=n * BINS).reshape(n, BINS)
    middle = LOWEST + (np.arange(BINS) + 0.5) * STEP
    loss = count @ np.square(np.maximum(middle[:, None] + TRIED, 0))
    feature, value, at_active = (np.concatenate(arrays) for arrays in zip(*entries, strict=True))
    for j in range(n):
        own = feature == j
        loss[j] += np.square(np.maximum(at_active[own, None] + TRIED, 0) - value[own, None]).sum(axis=0)
    return TRIED[np.argmin(loss, axis=1)].astype(np.float32)


def refit_bias_and_norms(
    W: NDArray[np.floating], b: NDArray[np.floating], p: NDArray[np.float64], recipe: Recipe, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return W and b after Adam on the biases and the norms of the rows alone, by the recipe, without decay."""
    norms = geometry.row_norms(W)
    directions = np.asarray(W / np.maximum(norms, 1e-12)[:, None], np.float32)
    length = torch.tensor(norms, dtype=torch.float32)
    bias = torch.tensor(np.asarray(b, np.float32))
    rate_W, rate_b = recipe.learning_rates(W.shape[1])
    optimizer = torch.optim.Adam(
        [{"params": [length], "lr": rate_W}, {"params": [bias], "lr": rate_b}],
        betas=(recipe.beta1, recipe.beta2),
        eps=recipe.epsilon,
    )
    schedule = recipe.schedule()
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule[min(step, recipe.steps - 1)])
    engine = NumbaEngine(np.asarray(W, np.float32), np.asarray(b, np.float32), p, 0.0, recipe, rng)
    for _ in range(recipe.steps):
        engine.W[:] = length.numpy()[:, None] * directions
        engine.b[:] = bias.numpy()
        _, dW, db = engine.gradients(features.draw_batch(rng, p, recipe.batch_size))
        length.grad = torch.from_numpy(np.einsum("ij,ij->i", dW, directions))
        bias.grad = torch.from_numpy(db)
        optimizer.step()
        scheduler.step()
    return length.numpy()[:, None] * directions, bias.numpy().copy()
