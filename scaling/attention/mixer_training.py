"""Train small HCFormers on scikit-learn's digits: hyperbolic or Euclidean windows, or self-attention as a control.

    python -m scaling.attention.mixer_training --seeds 4 --epochs 10 --output mixers.safetensors

A seed sets the split (500 of the 1797 images are held out), the initial weights and the order of the batches; networks
with the same seed share the split and the order.
"""

import argparse
import json
import logging
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from scaling import arrays
from scaling.attention.mixer import HCFormer, Mixer, Size
from scaling.command import InputError, run


# 8 x 8 images as 16 tokens of 2 x 2 pixels: each is a window, and the 4 window centres are the means of quadrants.
DIGITS = Size(
    layers=(2,), dims=(48,), heads=(4,), head_dim=12, mlp_ratios=(2,), fold=(4,), proposal=(1,), window=(2,),
    features=(4,), both=(True,), stem=2, channels=1, positions=4,
)  # fmt: skip
MIXERS: tuple[Mixer, ...] = ("hyperbolic", "euclidean", "attention")
TEST_IMAGES, BATCH, LEARNING_RATE, WEIGHT_DECAY = 500, 32, 3e-3, 0.05


def digits(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images (1297, 1, 8, 8) in 0..1 and labels, then 500 held-out images and labels, stratified by label."""
    data = load_digits()
    split = train_test_split(
        data.images / 16, data.target, test_size=TEST_IMAGES, random_state=seed, stratify=data.target
    )
    train, test, train_label, test_label = split
    images = (torch.tensor(part, dtype=torch.float32)[:, None] for part in (train, test))
    first, second = images
    return first, torch.tensor(train_label), second, torch.tensor(test_label)


def train(mixer: Mixer, seed: int, epochs: int, kappa: float = 1.0) -> HCFormer:
    """Train by AdamW with a one-cycle schedule on the training part of the split."""
    images, labels, *_ = digits(seed)
    torch.manual_seed(seed)
    network = HCFormer(DIGITS, 10, mixer, kappa, layer_scale=1.0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network


def prefix(mixer: str, seed: int) -> str:
    """Prefix of a network's tensors in the file."""
    return f"{mixer}_seed{seed}."


def read(path: Path) -> tuple[dict[tuple[Mixer, int], HCFormer], int, float]:
    """The networks of a file by (mixer, seed), their epochs and kappa. Raises InputError for any other file."""
    text, tensors = arrays.read(path)
    if "mixers" not in text:
        raise InputError(f"{path}: has no mixers; train them with `python -m scaling.attention.mixer_training`")
    networks, kappa = {}, float(text["kappa"])
    for mixer, seed in json.loads(text["mixers"]):
        network, start = HCFormer(DIGITS, 10, mixer, kappa, layer_scale=1.0), prefix(mixer, seed)
        own = {
            name.removeprefix(start): torch.from_numpy(array)
            for name, array in tensors.items()
            if name.startswith(start)
        }
        network.load_state_dict(own)
        networks[mixer, seed] = network
    return networks, int(text["epochs"]), kappa


def main() -> None:
    """Command line: train the networks and write their parameters to one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixers", nargs="+", choices=MIXERS, default=list(MIXERS), help="mixers to train")
    parser.add_argument("--seeds", type=int, default=4, help="seeds 0, 1, ... per mixer")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the 1297 training images")
    parser.add_argument("--kappa", type=float, default=1.0, help="minus the curvature of the hyperbolic space")
    parser.add_argument("--output", type=Path, required=True, help="file to write (.safetensors)")
    arguments = parser.parse_args()
    if arguments.seeds < 1 or arguments.epochs < 1:
        raise InputError(f"seeds = {arguments.seeds}, epochs = {arguments.epochs}: give at least one of each")
    torch.set_num_threads(1)
    tensors, trained = {}, []
    for mixer in arguments.mixers:
        for seed in range(arguments.seeds):
            network = train(mixer, seed, arguments.epochs, arguments.kappa)
            trained.append((mixer, seed))
            for name, value in network.state_dict().items():
                tensors[prefix(mixer, seed) + name] = value.numpy()
            logging.info("trained %s, seed %d", mixer, seed)
    text = {"mixers": json.dumps(trained), "epochs": str(arguments.epochs), "kappa": str(arguments.kappa)}
    arrays.write(arguments.output, tensors, text)


if __name__ == "__main__":
    run(main)
