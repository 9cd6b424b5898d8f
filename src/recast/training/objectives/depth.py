"""Loss and augmentation of the depth estimator. After MiDaS, arXiv:1907.01341, section 5."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recast.data.renders import Pictures
from recast.engine.config import BatchShard, Loss
from recast.engine.rng import device_of, row_rng, step_rng
from recast.networks.depth_unet import DepthUNet, DepthUNetConfig
from recast.training.objectives.depth_augment import DepthSample, Leaves, peopled
from recast.world import dead_leaves

Depth = Float[Tensor, "b h w"]
NUM_LEAVES = 400
STREWN = 0.25
"""Probability that textures of all things are replaced, since texture is no cue of depth."""
PEOPLED = 0.7
"""Probability that figures of other clips are pasted in."""
SHADED = 0.5
"""Probability of synthetic shadows, since darkness is no cue of depth."""
FROZEN = 0.2
"""Probability of a clip that repeats one frame, since depth must not depend on motion alone."""
SUBJECT_WEIGHT = 6.0
"""Weight of pixels on or near a subject: subjects are small, and their depth matters most to an edit."""


@dataclass(frozen=True, kw_only=True)
class DepthConfig:
    """Size of an estimator. channels: at 1/2, 1/4 and so on of the picture's size.

    scales: of test-time augmentation; over_time: whether layers mix neighbouring frames (see `DepthUNetConfig`).
    """

    channels: tuple[int, ...] = (32, 48, 72, 96, 96)
    groups: int = 8
    scales: tuple[float, ...] = ()
    over_time: bool = False

    def network(self) -> DepthUNet:
        """The estimator, randomly initialised."""
        config = DepthUNetConfig(widths=self.channels, groups=self.groups, scales=self.scales, over_time=self.over_time)
        return DepthUNet(config)

    def grown(self, learned: DepthUNet) -> DepthUNet:
        """A trained estimator with its own widths; mixing over time is added as identity where this config has it."""
        known = learned.config.to_dict()
        network = DepthUNet(DepthUNetConfig.from_dict(known | {"over_time": self.over_time or known["over_time"]}))
        nn.Module.to(network, learned.device)
        network.load_state_dict(learned.state_dict(), strict=False)
        return network.train()


def distance(
    pools: Sequence[Pictures], *, batch: int = 16, frames: int = 1, invariant: bool = False, seed: int = 0
) -> Loss[DepthUNet]:
    """Error of inverse depth, 0..1 over each picture or clip, and of its gradients at two scales (MiDaS, eq. 11).

    frames: of each row. For clips the error of differences between frames is added.
    invariant: each prediction is first aligned by scale and shift, as in MiDaS (equations 4 to 7 and 11), for ground
    truth of unknown scale. Worlds have exact depth, which is normalised by its own range instead; there the invariant
    loss taught a small estimator nothing (docs/log.md).
    """
    chances = np.array([len(pool) for pool in pools], dtype=float)
    chances /= chances.sum()

    @cache
    def texture(number: int) -> np.ndarray:
        return dead_leaves(np.random.default_rng([seed, 6, number]), (256, 256))

    def leaves(rng: np.random.Generator) -> np.ndarray:
        return texture(int(rng.integers(NUM_LEAVES)))

    def loss(network: DepthUNet, share: BatchShard) -> Tensor:
        pool = pools[step_rng(seed, share.step).choice(len(pools), p=chances)]
        drawn = [example(row_rng(seed, share.step, row), pool, leaves, frames) for row in share.rows(batch)]
        device = device_of(network)
        pictures, wanted, weight = (torch.from_numpy(np.stack(part)).to(device) for part in zip(*drawn, strict=True))
        given = network(pictures).predicted_depth
        if invariant:
            off = fitted(_each(given), _each(wanted)) - _each(wanted)
            return off.square().mean() / 2 + 0.5 * _gradients(off, scales=4)
        off = given - wanted
        error = (weight * off.abs()).mean() + 0.2 * _gradients(_each(off), scales=2)
        return error + (weight[:, 1:] * off.diff(dim=1).abs()).mean() if frames > 1 else error

    return loss


def _each(clips: Float[Tensor, "b t h w"]) -> Float[Tensor, "bt h w"]:
    return rearrange(clips, "b t h w -> (b t) h w")


def fitted(given: Depth, wanted: Depth) -> Depth:
    """Each prediction, aligned to the ground truth by scale and shift in least squares. MiDaS, equation 4."""
    given, wanted = given.float(), wanted.float()
    middle, truth = (reduce(maps, "b h w -> b 1 1", "mean") for maps in (given, wanted))
    spread = reduce((given - middle).square(), "b h w -> b 1 1", "mean")
    scale = reduce((given - middle) * (wanted - truth), "b h w -> b 1 1", "mean") / (spread + 1e-6)
    return scale * (given - middle) + truth


def normalized(inverse: np.ndarray) -> np.ndarray:
    """Inverse depth scaled to 0..1 by its 1st to 99th percentile."""
    low, high = np.quantile(inverse, (0.01, 0.99))
    return np.clip((inverse - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


Example = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A clip [t 3 h w], its inverse depth [t h w], and weights of pixels [t h w] with mean 1."""


def example(rng: np.random.Generator, pool: Pictures, leaves: Leaves, frames: int = 1) -> Example:
    """A random clip of the pool, augmented."""
    clip, numbers = int(rng.integers(len(pool))), _run(rng, pool.shape[0], frames)
    parts = ([part(clip, number) for number in numbers] for part in (pool.picture, pool.depth, pool.things))
    shown = DepthSample(*(np.stack(part) for part in parts))
    if rng.random() < STREWN:
        shown = _strewn(rng, shown, leaves)
    if rng.random() < PEOPLED:
        shown = peopled(rng, shown, pool, leaves)
    if rng.random() < SHADED:
        shown = replace(shown, frames=_shaded(rng, shown.frames))
    if rng.random() < 0.5:
        shown = DepthSample(shown.frames[:, :, ::-1], shown.depth[:, :, ::-1], shown.things[:, :, ::-1])
    if rng.random() < 0.5:
        shown = _cropped(rng, shown)
    near = np.stack([cv2.dilate((things > 0).astype(np.uint8), np.ones((13, 13), np.uint8)) for things in shown.things])
    weight = 1 + SUBJECT_WEIGHT * near.astype(np.float32)
    filmed = rearrange(_filmed(rng, shown.frames), "t h w c -> t c h w")
    return filmed, normalized(shown.depth), weight / weight.mean()


def _run(rng: np.random.Generator, held: int, frames: int) -> list[int]:
    """Indices of `frames` of `held` frames: consecutive, back and forth where there are too few, or all the same."""
    if frames > 1 and rng.random() < FROZEN:
        return [int(rng.integers(held))] * frames
    there_and_back = [*range(held), *range(held - 2, 0, -1)]
    start = int(rng.integers(held - frames + 1 if held >= frames else len(there_and_back)))
    run = [there_and_back[(start + i) % len(there_and_back)] for i in range(frames)]
    return run[::-1] if rng.random() < 0.5 else run


def _cropped(rng: np.random.Generator, shown: DepthSample) -> DepthSample:
    """A random crop, resized to the full size."""
    height, width = shown.depth.shape[1:]
    share = rng.uniform(0.55, 1)
    h, w = int(height * share), int(width * share)
    top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)

    def enlarged(frames: np.ndarray, way: int) -> np.ndarray:
        parts = np.ascontiguousarray(frames[:, top : top + h, left : left + w])
        return np.stack([cv2.resize(part, (width, height), interpolation=way) for part in parts])

    nearest = cv2.INTER_NEAREST
    return DepthSample(
        enlarged(shown.frames, cv2.INTER_LINEAR), enlarged(shown.depth, nearest), enlarged(shown.things, nearest)
    )


def _strewn(rng: np.random.Generator, shown: DepthSample, leaves: Leaves) -> DepthSample:
    """Replaces the textures of all subjects and of the ground, so that a busy texture is no cue of nearness.

    A subject's texture moves with the centre of its mask.
    """
    height, width = shown.things.shape[1:]
    painted = shown.frames.astype(np.float32)
    for thing in np.unique(shown.things):
        where = shown.things == thing
        texture, zoom = leaves(rng), rng.uniform(1, 1.5)
        texture = cv2.resize(texture, (round(zoom * max(width, height)),) * 2, interpolation=cv2.INTER_LINEAR)
        strength = np.float32(rng.uniform(0, 0.7))
        start = rng.integers((texture.shape[0] - height + 1, texture.shape[1] - width + 1))
        middles = _middles(where) if thing else np.zeros((len(where), 2), int)
        for number, (down, right) in enumerate(start - middles):
            laid = np.roll(texture, (-down, -right), axis=(0, 1))[:height, :width]
            painted[number] += where[number, ..., None] * strength * (laid - painted[number])
    return replace(shown, frames=painted.astype(np.uint8))


def _middles(where: Bool[np.ndarray, "t h w"]) -> Int[np.ndarray, "t 2"]:
    """Offset (rows, columns) of each mask's centre from the first one's; the previous one where a mask is empty."""
    found = [np.argwhere(mask).mean(axis=0) if mask.any() else None for mask in where]
    first = last = next(middle for middle in found if middle is not None)
    moved = []
    for middle in found:
        last = last if middle is None else middle
        moved.append(last - first)
    return np.rint(moved).astype(int)


def _shaded(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Adds one to three shadows, long or round, with soft or sharp edges."""
    height, width = frames.shape[1:3]
    light = np.ones((height, width), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        reach = (int(width * rng.uniform(0.1, 0.6)), max(2, int(height * rng.uniform(0.02, 0.3))))
        cv2.ellipse(light, at, reach, float(rng.normal(0, 25)), 0, 360, float(rng.uniform(0.25, 0.8)), -1)
    light = cv2.GaussianBlur(light, (0, 0), float(rng.uniform(0.4, 3)))
    return (frames * light[..., None]).astype(np.uint8)


def _filmed(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Random changes of light and colour, blur and noise. 0..1."""
    seen = frames.astype(np.float32) / 255
    if rng.random() < 0.3:
        blur = float(rng.uniform(0.4, 1.4))
        seen = np.stack([cv2.GaussianBlur(frame, (0, 0), blur) for frame in seen])
    if rng.random() < 0.15:
        seen = np.repeat(seen.mean(-1, keepdims=True), 3, axis=-1)
    if rng.random() < 0.2:
        seen = seen[..., rng.permutation(3)]
    light = rng.uniform(0.7, 1.3, 3).astype(np.float32)
    seen = np.clip(seen * light + np.float32(rng.uniform(-0.1, 0.1)), 0, 1) ** np.float32(rng.uniform(0.6, 1.6))
    if rng.random() < 0.5:
        seen = seen + np.float32(rng.uniform(0, 0.05)) * rng.standard_normal(seen.shape, np.float32)
    return np.clip(seen, 0, 1).astype(np.float32)


def _gradients(off: Depth, *, scales: int) -> Tensor:
    total = torch.zeros((), device=off.device)
    for _ in range(scales):
        total = total + off.diff(dim=-1).abs().mean() + off.diff(dim=-2).abs().mean()
        off = F.avg_pool2d(off, 2)
    return total
