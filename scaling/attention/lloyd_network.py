"""Train attention networks to predict the centres of Lloyd's algorithm on random mixtures: do they find the circuit?

A kernel layer has the form of the circuit with free parameters: score_ij = x_i^T A c_j + a |c_j|^2, R = softmax_j, then
c_j <- rho c_j + sum_i R_ij^g x_i^T V / sum_i R_ij^g. Lloyd's iteration is A = beta I, a = -beta / 2, g = 1, V = I,
rho = 0, beta -> inf. Kind `aligned` starts from A = I + noise and V = I + noise, as if queries and keys shared a
matrix; kind `random` from A and V with N(0, 1) entries. Kind `transformer` is the standard layer: centres attend to
each other and to the points, then an MLP. The target of a network of L layers is the centres after L iterations.

    python -m scaling.attention.lloyd_network --networks aligned:1,2,4:2 random:1:6 --output lloyd.safetensors
"""

import argparse
import json
import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from scaling import arrays
from scaling.command import InputError, run


D, K, POINTS = 2, 4, 64  # dimensions, centres and points of a mixture
BATCH = 64
LEARNING_RATE = {"aligned": 0.1, "random": 0.1, "transformer": 0.002}  # the highest rate, by kind
WIDTH, HEADS = 32, 4  # of the transformer
LEAST_SHARE = 1e-9  # added to R before its logarithm


def mixtures(batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points (batch, POINTS, D) of Gaussian mixtures with K components, and K of the points as first centres.

    Means are N(0, 1); the standard deviation of a component is U(0.1, 0.6) per mixture.
    """
    means = torch.randn(batch, K, D, generator=generator)
    which = torch.randint(K, (batch, POINTS), generator=generator)
    noise = torch.randn(batch, POINTS, D, generator=generator)
    deviation = 0.1 + 0.5 * torch.rand(batch, 1, 1, generator=generator)
    X = means.gather(1, which[..., None].expand(-1, -1, D)) + deviation * noise
    first = torch.rand(batch, POINTS, generator=generator).topk(K, dim=1).indices
    return X, X.gather(1, first[..., None].expand(-1, -1, D))


def lloyd(X: Tensor, C: Tensor) -> Tensor:
    """Centres after one iteration of Lloyd's algorithm; a centre without points does not move."""
    label = torch.cdist(X, C).argmin(-1)
    R = nn.functional.one_hot(label, C.shape[-2]).to(X.dtype)
    count = R.sum(-2)[..., None]
    return torch.where(count > 0, R.mT @ X / count.clamp_min(1), C)


class KernelLayer(nn.Module):
    """Two attention layers in the form of the circuit, from an aligned or a random start."""

    def __init__(self, aligned: bool) -> None:
        super().__init__()
        start, noise = (torch.eye(D), 0.5) if aligned else (torch.zeros(D, D), 1.0)
        self.A = nn.Parameter(start + noise * torch.randn(D, D))
        self.a = nn.Parameter(noise * torch.randn(()))
        self.g = nn.Parameter(1 + 0.2 * torch.randn(()))
        self.V = nn.Parameter(start + noise * torch.randn(D, D))
        self.rho = nn.Parameter(noise * torch.randn(()))

    def forward(self, X: Tensor, C: Tensor) -> Tensor:
        """The next centres (..., K, D)."""
        score = X @ self.A @ C.mT + self.a * C.square().sum(-1).unsqueeze(-2)
        R = torch.softmax(score, -1) + LEAST_SHARE
        share = torch.softmax(self.g * R.log(), -2)
        return self.rho * C + share.mT @ X @ self.V


class TransformerLayer(nn.Module):
    """Centres attend to points by multi-head dot-product attention, then an MLP; both with residuals and layer norm."""

    def __init__(self) -> None:
        super().__init__()
        self.points, self.centres = nn.Linear(D, WIDTH), nn.Linear(D, WIDTH)
        self.self_attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.mlp = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.out = nn.Linear(WIDTH, D)

    def forward(self, X: Tensor, C: Tensor) -> Tensor:
        """The next centres (..., K, D): the previous ones plus the output of the attention and the MLP."""
        keys, queries = self.points(X), self.centres(C)
        queries = queries + self.self_attention(queries, queries, queries, need_weights=False)[0]
        queries = queries + self.attention(self.norm(queries), keys, keys, need_weights=False)[0]
        return C + self.out(queries + self.mlp(queries))


class LloydNetwork(nn.Module):
    """`depth` layers of one kind; the output is the centres after each layer, shape (depth, ..., K, D)."""

    def __init__(self, kind: str, depth: int) -> None:
        super().__init__()
        if kind not in LEARNING_RATE or depth < 1:
            kinds = ", ".join(LEARNING_RATE)
            raise InputError(f"network {kind!r} of {depth} layers: the kind is one of {kinds}, with at least one layer")
        if kind == "transformer":
            self.layers = nn.ModuleList(TransformerLayer() for _ in range(depth))
        else:
            self.layers = nn.ModuleList(KernelLayer(kind == "aligned") for _ in range(depth))

    def forward(self, X: Tensor, C: Tensor) -> Tensor:
        """Centres after each layer."""
        path = []
        for layer in self.layers:
            C = layer(X, C)
            path.append(C)
        return torch.stack(path)


def target(X: Tensor, C: Tensor, depth: int) -> Tensor:
    """Centres after each of `depth` iterations of Lloyd's algorithm; shape (depth, ..., K, D)."""
    path = []
    for _ in range(depth):
        C = lloyd(X, C)
        path.append(C)
    return torch.stack(path)


def train(kind: str, depth: int, seed: int, steps: int, batch: int = BATCH) -> LloydNetwork:
    """Train on new mixtures by Adam with a cosine schedule; the loss is the mean squared error of the final centres."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(1000 + seed)
    network = LloydNetwork(kind, depth)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE[kind])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        X, C = mixtures(batch, generator)
        loss = (network(X, C)[-1] - target(X, C, depth)[-1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network


def prefix(kind: str, depth: int, seed: int) -> str:
    """Prefix of a network's tensors in the file."""
    return f"{kind}_L{depth}_seed{seed}."


def asked(text: str) -> list[tuple[str, int, int]]:
    """(kind, depth, seed) of each network in a string such as aligned:1,2,4:3. Raises InputError for any other form."""
    try:
        kind, depths, seeds = text.split(":")
        found = [(kind, int(depth), seed) for depth in depths.split(",") for seed in range(int(seeds))]
    except ValueError:
        raise InputError(f"networks {text!r}: write KIND:DEPTH,DEPTH,...:SEEDS, such as aligned:1,2,4:3") from None
    return found


def write(path: Path, networks: dict[tuple[str, int, int], LloydNetwork], steps: int) -> None:
    """Write the parameters of all networks to one file."""
    tensors = {
        prefix(*key) + name: value.numpy()
        for key, network in networks.items()
        for name, value in network.state_dict().items()
    }
    arrays.write(path, tensors, {"networks": json.dumps(list(networks)), "steps": str(steps)})


def read(path: Path) -> tuple[dict[tuple[str, int, int], LloydNetwork], int]:
    """The networks of a file by (kind, depth, seed), and their training steps. Raises InputError for any other file."""
    text, tensors = arrays.read(path)
    if "networks" not in text:
        raise InputError(f"{path}: has no networks; train them with `python -m scaling.attention.lloyd_network`")
    networks = {}
    for kind, depth, seed in json.loads(text["networks"]):
        network, start = LloydNetwork(kind, depth), prefix(kind, depth, seed)
        own = {
            name.removeprefix(start): torch.from_numpy(value)
            for name, value in tensors.items()
            if name.startswith(start)
        }
        network.load_state_dict(own)
        networks[kind, depth, seed] = network
    return networks, int(text["steps"])


def main() -> None:
    """Command line: train the networks and write their parameters to one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--networks", nargs="+", required=True, help="KIND:DEPTHS:SEEDS, such as aligned:1,2,4:3 for nine networks"
    )
    parser.add_argument("--steps", type=int, default=1000, help="training steps; each uses 64 new mixtures")
    parser.add_argument("--output", type=Path, required=True, help="file to write (.safetensors)")
    arguments = parser.parse_args()
    if arguments.steps < 1:
        raise InputError(f"steps = {arguments.steps}: give at least one")
    torch.set_num_threads(1)
    networks = {}
    for kind, depth, seed in [key for text in arguments.networks for key in asked(text)]:
        networks[kind, depth, seed] = train(kind, depth, seed, arguments.steps)
        logging.info("trained %s with %d layers, seed %d", kind, depth, seed)
    write(arguments.output, networks, arguments.steps)


if __name__ == "__main__":
    run(main)
