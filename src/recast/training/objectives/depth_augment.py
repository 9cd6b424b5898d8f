"""Copy-paste augmentation (Ghiasi et al. 2021, arXiv:2012.07177) for depth.

Figures are pasted into other clips with the depth of the ground at their feet. Renders alone have few shapes of
figures in few colours; pasted ones have other colours, textures and backgrounds.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from recast.data.renders import Pictures

MOST = 3
"""Most figures in one picture."""
HEIGHTS = (0.1, 0.75)
"""Range of the height of figures, as a share of the picture's."""
TRIES = 5
LEAST_AREA, LEAST_SIDE = 100, 8
"""Least area and least side in pixels of a subject that is cut out."""
CLOTHED = 0.7
"""Probability that a figure is recoloured."""
PACE = 0.012
"""Standard deviation of a figure's displacement per frame, as a share of the picture's sides."""
RODS = 0.35
"""Probability of thin parts (rods and rings) added to a figure."""

Leaves = Callable[[np.random.Generator], np.ndarray]
"""Draws a texture."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """A figure: its colours, 0..255, and its alpha, 0..1."""

    colours: Float32[np.ndarray, "h w 3"]
    cover: Float32[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class DepthSample:
    """Frames, their inverse depth, and the subject index at each pixel, 0 for none."""

    frames: UInt8[np.ndarray, "t h w 3"]
    depth: Float32[np.ndarray, "t h w"]
    things: UInt8[np.ndarray, "t h w"]


def peopled(rng: np.random.Generator, shown: DepthSample, pool: Pictures, leaves: Leaves) -> DepthSample:
    """The clip with one to three pasted figures, each moving on its own."""
    for number in range(int(rng.integers(1, MOST + 1))):
        if figure := _found(rng, pool):
            shown = _placed(rng, shown, _clothed(rng, figure, leaves), 200 + number)
    return shown


def _found(rng: np.random.Generator, pool: Pictures) -> Cutout | None:
    """A cutout of a random subject inside the frame; None where a few tries find none."""
    return next((cut for _ in range(TRIES) if (cut := _cut_out(rng, pool))), None)


def _cut_out(rng: np.random.Generator, pool: Pictures) -> Cutout | None:
    """A random subject of a random picture, perhaps mirrored; None where it touches the border or is too small."""
    clip, frame = int(rng.integers(len(pool))), int(rng.integers(pool.shape[0]))
    things = pool.things(clip, frame)
    counts = np.bincount(things.ravel())
    counts[0] = 0
    if not counts.size or counts.max() < LEAST_AREA:
        return None
    mask = things == int(rng.choice(np.flatnonzero(counts >= LEAST_AREA)))
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    touches = left == 0 or top == 0 or left + width == mask.shape[1] or top + height == mask.shape[0]
    if touches or min(width, height) < LEAST_SIDE:
        return None
    part = (slice(top, top + height), slice(left, left + width))
    colours, cover = pool.picture(clip, frame)[part].astype(np.float32), mask[part].astype(np.float32)
    if rng.random() < 0.5:
        colours, cover = colours[:, ::-1], cover[:, ::-1]
    return Cutout(np.ascontiguousarray(colours), np.ascontiguousarray(cover))


def _clothed(rng: np.random.Generator, figure: Cutout, leaves: Leaves) -> Cutout:
    """The figure recoloured in one to four bands, plain or textured, keeping part of its shading."""
    if rng.random() >= CLOTHED:
        return figure
    height, width = figure.cover.shape
    light = figure.colours.mean(axis=-1, keepdims=True)
    light = light / max(float(light[figure.cover > 0].mean()), 1.0)
    edges = np.sort(rng.integers(0, height, int(rng.integers(0, 4))))
    colours = np.empty_like(figure.colours)
    for top, bottom in zip([0, *edges], [*edges, height], strict=True):
        band = np.broadcast_to(rng.uniform(5, 250, 3).astype(np.float32), (bottom - top, width, 3))
        if rng.random() < 0.4 and bottom > top:
            texture = leaves(rng)
            band = cv2.resize(texture, (width, height)).astype(np.float32)[top:bottom]
        colours[top:bottom] = band
    share = np.float32(rng.uniform(0.3, 1))
    return replace(figure, colours=colours * (1 - share + share * light))


def _placed(rng: np.random.Generator, shown: DepthSample, figure: Cutout, number: int) -> DepthSample:
    """Pastes the figure with its feet on the ground in every frame, occluded by whatever is nearer."""
    frames, height, width = shown.depth.shape
    rows = int(np.clip(height * np.exp(rng.uniform(*np.log(HEIGHTS))), LEAST_SIDE, height))
    columns = int(np.clip(rows * figure.cover.shape[1] / figure.cover.shape[0] * rng.uniform(0.8, 1.25), 3, 2 * width))
    first = np.array([rng.uniform(0.35, 1) * height, rng.integers(width)])
    way = first + np.arange(frames)[:, None] * rng.normal(0, PACE, 2) * (height, width)
    feet, middles = np.clip(way.astype(int), 0, (height - 1, width - 1)).T
    at = (np.arange(frames), feet, middles)
    near = shown.depth[at]
    if shown.things[at].any() or (near <= shown.depth.min(axis=(1, 2)) * 1.05 + 1e-6).any():
        return shown  # no ground there
    colours = cv2.resize(figure.colours, (columns, rows), interpolation=cv2.INTER_AREA)
    cover = cv2.resize(figure.cover, (columns, rows), interpolation=cv2.INTER_AREA)
    if rng.random() < RODS:
        colours, cover = _with_rods(rng, colours, cover)
    painted = [
        _at((height, width), colours, cover, int(foot) - rows + 1, int(middle) - columns // 2) for foot, middle in way
    ]
    canvas, over = (np.stack(part) for part in zip(*painted, strict=True))
    near = near[:, None, None].astype(np.float32)
    over = over * (shown.depth <= near * 1.02)
    where: Bool[np.ndarray, "t h w"] = over > 0.5
    blend = over[..., None]
    return DepthSample(
        (shown.frames * (1 - blend) + canvas * blend).clip(0, 255).astype(np.uint8),
        np.where(where, near, shown.depth),
        np.where(where, np.uint8(number), shown.things),
    )


def _with_rods(
    rng: np.random.Generator, colours: Float32[np.ndarray, "h w 3"], cover: Float32[np.ndarray, "h w"]
) -> tuple[np.ndarray, np.ndarray]:
    """Adds rings and rods of one colour, like wheels, frames, rackets, skis and ropes."""
    height, width = cover.shape
    margin = max(height, width) // 4
    cover = cv2.copyMakeBorder(cover, 0, 0, margin, margin, cv2.BORDER_CONSTANT, value=0)
    colours = cv2.copyMakeBorder(colours, 0, 0, margin, margin, cv2.BORDER_REPLICATE)
    lines = np.zeros(cover.shape, np.uint8)
    thick = max(1, round(height * rng.uniform(0.02, 0.07)))
    for _ in range(int(rng.integers(1, 5))):
        x, y = int(rng.integers(cover.shape[1])), int(rng.uniform(0.3, 1) * height)
        if rng.random() < 0.5:
            reach = max(2, int(height * rng.uniform(0.08, 0.25)))
            y = min(y, height - reach - 1)
            axes = (max(1, int(reach * rng.uniform(0.4, 1))), reach)
            cv2.ellipse(lines, (x, y), axes, 0, 0, 360, 255, thick, cv2.LINE_AA)
        else:
            end = (int(rng.integers(cover.shape[1])), int(rng.uniform(0.2, 1) * height))
            cv2.line(lines, (x, y), end, 255, thick, cv2.LINE_AA)
    share = lines.astype(np.float32)[..., None] / 255
    colour = rng.uniform(5, 250, 3).astype(np.float32)
    return colours * (1 - share) + colour * share, np.maximum(cover, share[..., 0])


def _at(
    size: tuple[int, int], colours: Float32[np.ndarray, "h w 3"], cover: Float32[np.ndarray, "h w"], top: int, left: int
) -> tuple[np.ndarray, np.ndarray]:
    """The figure on an empty canvas, clipped at its borders."""
    height, width = size
    canvas, over = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    rows = slice(*np.clip((top, top + cover.shape[0]), 0, height))
    columns = slice(*np.clip((left, left + cover.shape[1]), 0, width))
    own = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    canvas[rows, columns], over[rows, columns] = colours[own], cover[own]
    return canvas, over
