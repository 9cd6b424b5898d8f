"""The depth estimator: inverse depth up to a scale and a shift. After MiDaS, arXiv:1907.01341, section 5."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from recast.structure.depth_unet import DepthUNet, DepthUNetConfig
from recast.training import draws
from recast.training.pasted import Leaves, Shown, peopled
from recast.training.place import device_of
from recast.training.pool import Pictures
from recast.training.recipe import Loss, Share
from recast.world import dead_leaves

Depth = Float[Tensor, "b h w"]
NUM_LEAVES = 400
STREWN = 0.25
"""Share of the pictures that are painted over with textures of the wrong kind."""
PEOPLED = 0.7
"""Share of the pictures that figures of others are pasted into."""
SHADED = 0.5
"""Share of the pictures that shadows fall on: what is dark is not far for that."""
SUBJECT_WEIGHT = 6.0
"""How much more a pixel on a subject, or near one, counts: a subject is small, and what is kept of a clip is it."""


@dataclass(frozen=True, kw_only=True)
class Widths:
    """How large an estimator is. channels: at a half, a quarter and so on of the picture's size.

    scales: how many times their size pictures are looked at in use (see `DepthUNetConfig`).
    """

    channels: tuple[int, ...] = (32, 48, 72, 96, 96)
    groups: int = 8
    scales: tuple[float, ...] = ()

    def network(self) -> DepthUNet:
        """The estimator, with random weights."""
        return DepthUNet(DepthUNetConfig(widths=self.channels, groups=self.groups, scales=self.scales))


def distance(pools: Sequence[Pictures], *, batch: int = 16, invariant: bool = False, seed: int = 0) -> Loss[DepthUNet]:
    """Error of each picture's inverse depth, 0..1 over the picture, and of its gradients at two scales (eq. 11).

    invariant: the scale and shift that fit each answer best are forgiven, as in MiDaS (equations 4 to 7 and 11). Truth
    of unknown scale needs that. Worlds give depth without error, so there each picture's own range stands for the
    fit; forgiving more teaches a small estimator nothing (docs/log.md).
    """
    chances = np.array([len(pool) for pool in pools], dtype=float)
    chances /= chances.sum()

    @cache
    def texture(number: int) -> np.ndarray:
        return dead_leaves(np.random.default_rng([seed, 6, number]), (256, 256))

    def leaves(rng: np.random.Generator) -> np.ndarray:
        return texture(int(rng.integers(NUM_LEAVES)))

    def loss(network: DepthUNet, share: Share) -> Tensor:
        pool = pools[draws.of_step(seed, share.step).choice(len(pools), p=chances)]
        drawn = [_example(draws.of_row(seed, share.step, row), pool, leaves) for row in share.rows(batch)]
        device = device_of(network)
        pictures, wanted, weight = (torch.from_numpy(np.stack(part)).to(device) for part in zip(*drawn, strict=True))
        given = network(pictures).predicted_depth
        if not invariant:
            return (weight * (given - wanted).abs()).mean() + 0.2 * _gradients(given - wanted, scales=2)
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


def _example(rng: np.random.Generator, pool: Pictures, leaves: Leaves) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture [3 h w], its inverse depth [h w], and how much each of its pixels counts, 1 on average."""
    clip, frame = int(rng.integers(len(pool))), int(rng.integers(pool.shape[0]))
    picture, depth, things = pool.picture(clip, frame), pool.depth(clip, frame), pool.things(clip, frame)
    if rng.random() < STREWN:
        picture = _strewn(rng, picture, things, leaves)
    if rng.random() < PEOPLED:
        shown = peopled(rng, Shown(picture, depth, things), pool, leaves)
        picture, depth, things = shown.picture, shown.depth, shown.things
    if rng.random() < SHADED:
        picture = _shaded(rng, picture)
    if rng.random() < 0.5:
        picture, depth, things = picture[:, ::-1], depth[:, ::-1], things[:, ::-1]
    if rng.random() < 0.5:
        height, width = depth.shape
        share = rng.uniform(0.55, 1)
        h, w = int(height * share), int(width * share)
        top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
        parts = (np.ascontiguousarray(x[top : top + h, left : left + w]) for x in (picture, depth, things))
        ways = (cv2.INTER_LINEAR, cv2.INTER_NEAREST, cv2.INTER_NEAREST)
        picture, depth, things = (
            cv2.resize(part, (width, height), interpolation=way) for part, way in zip(parts, ways, strict=True)
        )
    near = cv2.dilate((things > 0).astype(np.uint8), np.ones((13, 13), np.uint8))
    weight = 1 + SUBJECT_WEIGHT * near.astype(np.float32)
    return rearrange(_filmed(rng, picture), "h w c -> c h w"), normalized(depth), weight / weight.mean()


def _strewn(rng: np.random.Generator, picture: np.ndarray, things: np.ndarray, leaves: Leaves) -> np.ndarray:
    """Each thing, and the ground, painted over with a texture of its own: what is busy is not near for that."""
    height, width = things.shape
    painted = picture.astype(np.float32)
    for thing in np.unique(things):
        texture, zoom = leaves(rng), rng.uniform(1, 1.5)
        texture = cv2.resize(texture, (round(zoom * max(width, height)),) * 2, interpolation=cv2.INTER_LINEAR)
        top, left = rng.integers(texture.shape[0] - height + 1), rng.integers(texture.shape[1] - width + 1)
        where = (things == thing)[..., None] * np.float32(rng.uniform(0, 0.7))
        painted += where * (texture[top : top + height, left : left + width] - painted)
    return painted.astype(np.uint8)


def _shaded(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """One to three shadows, long or round, with soft or sharp edges."""
    height, width = picture.shape[:2]
    light = np.ones((height, width), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        reach = (int(width * rng.uniform(0.1, 0.6)), max(2, int(height * rng.uniform(0.02, 0.3))))
        cv2.ellipse(light, at, reach, float(rng.normal(0, 25)), 0, 360, float(rng.uniform(0.25, 0.8)), -1)
    light = cv2.GaussianBlur(light, (0, 0), float(rng.uniform(0.4, 3)))
    return (picture * light[..., None]).astype(np.uint8)


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
