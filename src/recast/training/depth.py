"""The depth estimator: inverse depth up to a scale and a shift. After MiDaS, arXiv:1907.01341, section 5."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from recast.structure.depth_unet import DepthUNet, DepthUNetConfig
from recast.training import draws
from recast.training.place import device_of
from recast.training.pool import Pool
from recast.training.recipe import Loss, Share

Depth = Float[Tensor, "b h w"]


@dataclass(frozen=True, kw_only=True)
class Widths:
    """How large an estimator is. channels: at a half, a quarter and so on of the picture's size."""

    channels: tuple[int, ...] = (32, 48, 72, 96, 96)
    groups: int = 8

    def network(self) -> DepthUNet:
        """The estimator, with random weights."""
        return DepthUNet(DepthUNetConfig(widths=self.channels, groups=self.groups))


def distance(pools: Sequence[Pool], *, batch: int = 16, invariant: bool = False, seed: int = 0) -> Loss[DepthUNet]:
    """Error of each picture's inverse depth, 0..1 over the picture, and of its gradients at two scales (eq. 11).

    invariant: the scale and shift that fit each answer best are forgiven, as in MiDaS (equations 4 to 7 and 11). Truth
    of unknown scale needs that. Worlds give depth without error, so there each picture's own range stands for the
    fit; forgiving more teaches a small estimator nothing (docs/log.md).
    """
    chances = np.array([len(pool) for pool in pools], dtype=float)
    chances /= chances.sum()

    def loss(network: DepthUNet, share: Share) -> Tensor:
        pool = pools[draws.of_step(seed, share.step).choice(len(pools), p=chances)]
        drawn = [_example(draws.of_row(seed, share.step, row), pool) for row in share.rows(batch)]
        device = device_of(network)
        pictures = torch.from_numpy(np.stack([picture for picture, _ in drawn])).to(device)
        wanted = torch.from_numpy(np.stack([depth for _, depth in drawn])).to(device)
        given = network(pictures).predicted_depth
        if not invariant:
            return (given - wanted).abs().mean() + 0.2 * _gradients(given - wanted, scales=2)
        off = fitted(given, wanted) - wanted
        return off.square().mean() / 2 + 0.5 * _gradients(off, scales=4)

    return loss


def fitted(given: Depth, wanted: Depth) -> Depth:
    """Each answer with the scale and shift that bring it nearest to the truth, by least squares. MiDaS, equation 4."""
    given, wanted = given.float(), wanted.float()
    middle, truth = (reduce(maps, "b h w -> b 1 1", "mean") for maps in (given, wanted))
    spread = reduce((given - middle).square(), "b h w -> b 1 1", "mean")
    scale = reduce((given - middle) * (wanted - truth), "b h w -> b 1 1", "mean") / (spread + 1e-6)
    return scale * (given - middle) + truth


def normalized(inverse: np.ndarray) -> np.ndarray:
    """Inverse depth as 0..1, by the range that leaves out 1 % at either end."""
    low, high = np.quantile(inverse, (0.01, 0.99))
    return np.clip((inverse - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def _example(rng: np.random.Generator, pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    clip, frame = rng.integers(len(pool)), rng.integers(pool.frames.shape[1])
    picture, depth = pool.frames[clip, frame], pool.inverse[clip, frame].astype(np.float32)
    if rng.random() < 0.5:
        picture, depth = picture[:, ::-1], depth[:, ::-1]
    if rng.random() < 0.5:
        height, width = depth.shape
        share = rng.uniform(0.55, 1)
        h, w = int(height * share), int(width * share)
        top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
        box = np.s_[top : top + h, left : left + w]
        picture = cv2.resize(np.ascontiguousarray(picture[box]), (width, height), interpolation=cv2.INTER_LINEAR)
        depth = cv2.resize(np.ascontiguousarray(depth[box]), (width, height), interpolation=cv2.INTER_NEAREST)
    return rearrange(_filmed(rng, picture), "h w c -> c h w"), normalized(depth)


def _filmed(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """As another camera might have seen it: light, colour, blur and noise. 0..1."""
    seen = picture.astype(np.float32) / 255
    if rng.random() < 0.3:
        seen = cv2.GaussianBlur(seen, (0, 0), float(rng.uniform(0.4, 1.4)))
    if rng.random() < 0.15:
        seen = np.repeat(seen.mean(-1, keepdims=True), 3, axis=-1)
    if rng.random() < 0.2:
        seen = seen[..., rng.permutation(3)]
    seen = seen * rng.uniform(0.7, 1.3, 3) + rng.uniform(-0.1, 0.1)
    seen = np.clip(seen, 0, 1) ** rng.uniform(0.6, 1.6)
    if rng.random() < 0.5:
        seen = seen + rng.normal(0, rng.uniform(0, 0.05), seen.shape)
    return np.clip(seen, 0, 1).astype(np.float32)


def _gradients(off: Depth, *, scales: int) -> Tensor:
    total = torch.zeros((), device=off.device)
    for _ in range(scales):
        total = total + off.diff(dim=-1).abs().mean() + off.diff(dim=-2).abs().mean()
        off = F.avg_pool2d(off, 2)
    return total
