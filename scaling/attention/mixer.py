"""ClusterMixer and HCFormer in PyTorch: mix tokens by soft clustering within patches and, hyperbolically, windows.

    c_j = mean of the tokens of cell j,   A = softmax_j(alpha sim(x_i, c_j) + b_ij)
    g_j = (sum_i A_ij v_i + v_{c_j}) / (sum_i A_ij + 1),   y_i = sum_j A_ij g_j

The gather g is the soft k-means update with one pseudo-count at the pooled centre. Patches within a window use the
cosine; windows use minus the Lorentz distance of clipped tokens; values are Euclidean. Source: Wei et al., "Hyperbolic
Hierarchical Clustering for Visual Representation Learning", read in the authors' code (weijianan1/HCFormer, models/
hcformer.py). Reimplemented here; maps are padded only where a window does not fit, the authors' code pads always.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.attention import modules
from scaling.command import InputError


Mixer = Literal["hyperbolic", "euclidean", "attention"]
LAYER_SCALE = 1e-5  # initial scale of each residual branch in HCFormer


def clip(x: Tensor, radius: float = 1.0) -> Tensor:
    """Clip the norm of tokens to at most `radius`."""
    return x * (radius / x.norm(dim=-1, keepdim=True).clamp_min(1e-12)).clamp(max=1)


def gather_and_scatter(A: Tensor, v: Tensor, centres: Tensor, pseudo_count: float = 1.0) -> Tensor:
    """y = A g with g_j = (sum_i A_ij v_i + pseudo_count v_{c_j}) / (sum_i A_ij + pseudo_count); v is (..., n, d)."""
    mass = A.sum(-2)[..., None]
    return A @ ((A.mT @ v + pseudo_count * centres) / (mass + pseudo_count))


class ClusterMixer(nn.Module):
    """Mix the tokens of a map (batch, dim, height, width) by clustering within windows and, if `both`, of windows.

    heads x head_dim is the width of keys and values; a window of the fold x fold windows has proposal x proposal
    centres; the windows have window x window centres; features is the side of the map for which the patch bias is
    learned (interpolated elsewhere). `metric` is hyperbolic or euclidean, for the windows.
    """

    def __init__(
        self, dim: int, heads: int, head_dim: int, fold: int, proposal: int, window: int, features: int, both: bool,
        metric: Mixer = "hyperbolic", kappa: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        width = heads * head_dim
        self.heads, self.fold, self.proposal, self.window, self.both = heads, fold, proposal, window, both
        self.metric, self.kappa = metric, kappa
        self.keys, self.values = nn.Conv2d(dim, width, 1), nn.Conv2d(dim, width, 1)
        self.out = nn.Conv2d(width * (2 if both else 1), dim, 1)
        self.alpha = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(heads, proposal**2, features, features))
        if both:
            self.window_alpha = nn.Parameter(torch.ones(1))
            self.window_bias = nn.Parameter(torch.zeros(heads, window**2, fold, fold))

    def by_head(self, x: Tensor) -> Tensor:
        """(batch, heads * d, H, W) -> (batch, heads, d, H, W)."""
        return x.unflatten(1, (self.heads, -1))

    def in_windows(self, x: Tensor) -> Tensor:
        """(..., d, H, W) -> (..., windows, d, H / fold, W / fold)."""
        f = self.fold
        x = x.unflatten(-2, (f, x.shape[-2] // f)).unflatten(-1, (f, x.shape[-1] // f))  # ... d f h f w
        return x.movedim((-4, -2), (-5, -4)).flatten(-5, -4)

    def from_windows(self, x: Tensor) -> Tensor:
        """Inverse of `in_windows`."""
        x = x.unflatten(-4, (self.fold, self.fold)).movedim((-5, -4), (-4, -2))
        return x.flatten(-2, -1).flatten(-3, -2)

    def patches(self, x: Tensor, v: Tensor) -> Tensor:
        """Cluster the tokens of each window by the cosine; (batch, heads, d, H, W) to the same."""
        size = x.shape[-2:]
        bias = functional.interpolate(self.bias, size, mode="bilinear", align_corners=True)
        bias = self.in_windows(bias).flatten(-2).mT  # heads, windows, tokens, centres
        x, v = self.in_windows(x), self.in_windows(v)
        centres, v_centres = (pool(part, self.proposal).flatten(-2).mT for part in (x, v))
        tokens, values = x.flatten(-2).mT, v.flatten(-2).mT
        A = torch.softmax(self.alpha * modules.cosine(tokens, centres) + bias, -1)
        mixed = gather_and_scatter(A, values, v_centres)
        return self.from_windows(mixed.mT.unflatten(-1, x.shape[-2:]))

    def windows(self, x: Tensor, v: Tensor) -> Tensor:
        """Cluster the means of the windows; each token receives the output of its window."""
        size = x.shape[-2:]
        means, v_means = (pool(part, self.fold).flatten(-2).mT for part in (x, v))
        centres, v_centres = (pool(part, self.window).flatten(-2).mT for part in (x, v))
        if self.metric == "hyperbolic":
            similarity = modules.minus_lorentz_distance(clip(means), clip(centres), self.kappa)
        else:
            similarity = modules.minus_distance(clip(means), clip(centres))
        A = torch.softmax(self.window_alpha * similarity + self.window_bias.flatten(-2).mT, -1)
        mixed = gather_and_scatter(A, v_means, v_centres).mT.unflatten(-1, (self.fold, self.fold))
        return mixed.repeat_interleave(size[0] // self.fold, -2).repeat_interleave(size[1] // self.fold, -1)

    def forward(self, x: Tensor) -> Tensor:
        """The mixed map, shape of x."""
        height, width = x.shape[-2:]
        extra = (-width % self.fold, -height % self.fold)
        if any(extra):
            x = functional.pad(x, (0, extra[0], 0, extra[1]), mode="reflect")
        keys, values = self.by_head(self.keys(x)), self.by_head(self.values(x))
        mixed = [self.patches(keys, values)]
        if self.both:
            mixed.append(self.windows(keys, values))
        return self.out(torch.cat([part.flatten(1, 2) for part in mixed], 1)[..., :height, :width])


def pool(x: Tensor, cells: int) -> Tensor:
    """Means over cells x cells cells of a map (..., H, W)."""
    return functional.adaptive_avg_pool2d(x.flatten(0, -4), cells).unflatten(0, x.shape[:-3])


class SelfAttention(nn.Module):
    """Multi-head softmax attention over all tokens of a map, the control: queries, keys, values and output."""

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        width = heads * head_dim
        self.heads = heads
        self.queries, self.keys, self.values = (nn.Conv2d(dim, width, 1) for _ in range(3))
        self.out = nn.Conv2d(width, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The mixed map, shape of x."""
        q, k, v = (
            part(x).unflatten(1, (self.heads, -1)).flatten(-2).mT for part in (self.queries, self.keys, self.values)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.mT.flatten(1, 2).unflatten(-1, x.shape[-2:]))


class Positions(nn.Module):
    """Add a learned vector to each place of a map of side `side`."""

    def __init__(self, dim: int, side: int) -> None:
        super().__init__()
        self.place = nn.Parameter(0.02 * torch.randn(dim, side, side))

    def forward(self, x: Tensor) -> Tensor:
        """The map plus its positions."""
        return x + self.place


class Block(nn.Module):
    """x + scale mixer(norm(x)), then x + scale mlp(norm(x)); group norm with one group, GELU."""

    def __init__(self, dim: int, mixer: nn.Module, mlp_ratio: int, layer_scale: float = LAYER_SCALE) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(1, dim) for _ in range(2))
        self.mixer = mixer
        self.mlp = nn.Sequential(nn.Conv2d(dim, dim * mlp_ratio, 1), nn.GELU(), nn.Conv2d(dim * mlp_ratio, dim, 1))
        self.scales = nn.ParameterList(layer_scale * torch.ones(dim, 1, 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """The map after both branches."""
        x = x + self.scales[0] * self.mixer(self.norms[0](x))
        return x + self.scales[1] * self.mlp(self.norms[1](x))


@dataclass(frozen=True)
class Size:
    """A configuration of HCFormer, one entry per stage."""

    layers: Sequence[int]
    dims: Sequence[int]
    heads: Sequence[int]
    head_dim: int
    mlp_ratios: Sequence[int] = (8, 8, 4, 4)
    fold: Sequence[int] = (7, 7, 1, 1)
    proposal: Sequence[int] = (4, 2, 7, 4)
    window: Sequence[int] = (4, 4, 1, 1)
    features: Sequence[int] = (56, 28, 14, 7)
    both: Sequence[bool] = (True, True, True, False)
    stem: int = 4  # side and stride of the patch embedding
    channels: int = 3
    positions: int = 0  # side of the map for learned positions after the stem; 0 for none


# The authors' four configurations (models/hcformer.py).
SIZES = {
    "nano": Size((2, 2, 6, 2), (32, 64, 196, 224), (4, 4, 8, 8), 16),
    "tiny": Size((2, 2, 6, 2), (32, 64, 196, 320), (4, 4, 8, 8), 24),
    "small": Size((2, 2, 6, 2), (64, 128, 320, 512), (4, 4, 8, 8), 32),
    "medium": Size((4, 4, 12, 4), (64, 128, 320, 512), (6, 6, 12, 12), 32),
}


class HCFormer(nn.Module):
    """Stages of blocks with a downsampling convolution between them, mean over the map, linear classifier.

    `mixer` is hyperbolic (the published network), euclidean, or attention (the control). Raises InputError for another
    mixer or kappa <= 0.
    """

    def __init__(
        self,
        size: Size,
        classes: int,
        mixer: Mixer = "hyperbolic",
        kappa: float = 1.0,
        layer_scale: float = LAYER_SCALE,
    ) -> None:
        super().__init__()
        if mixer not in ("hyperbolic", "euclidean", "attention") or not kappa > 0:
            raise InputError(f"mixer {mixer!r}, kappa = {kappa}: hyperbolic, euclidean or attention, and kappa > 0")
        layers: list[nn.Module] = [nn.Conv2d(size.channels, size.dims[0], size.stem, size.stem)]
        if size.positions:
            layers.append(Positions(size.dims[0], size.positions))
        for s, dim in enumerate(size.dims):
            for _ in range(size.layers[s]):
                mix = (
                    SelfAttention(dim, size.heads[s], size.head_dim)
                    if mixer == "attention"
                    else ClusterMixer(
                        dim,
                        size.heads[s],
                        size.head_dim,
                        fold=size.fold[s],
                        proposal=size.proposal[s],
                        window=size.window[s],
                        features=size.features[s],
                        both=size.both[s],
                        metric=mixer,
                        kappa=kappa,
                    )
                )
                layers.append(Block(dim, mix, size.mlp_ratios[s], layer_scale))
            if s + 1 < len(size.dims):
                layers.append(nn.Conv2d(dim, size.dims[s + 1], 3, 2, 1))
        self.layers = nn.Sequential(*layers)
        self.norm = nn.GroupNorm(1, size.dims[-1])
        self.head = nn.Linear(size.dims[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Scores (batch, classes) of images (batch, channels, height, width)."""
        return self.head(self.norm(self.layers(images)).mean((-2, -1)))


def n_parameters(module: nn.Module) -> int:
    """Number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())
