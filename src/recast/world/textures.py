"""Random pictures with the statistics of natural images, to train an autoencoder on."""

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from recast.world.tiles import PATTERNS, SIDE, tile


def dead_leaves(rng: np.random.Generator, size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of overlapping shaded, textured leaves whose sizes fall off as a power, as things in the world do.

    Lee, Mumford and Huang, "Occlusion models for natural images" (2001). size: height and width in pixels.
    """
    height, width = size
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = rng.uniform(20, 235, 3)
    count = int(rng.integers(20, 130))
    # Inverse transform of a density proportional to r**-3 between 2 % and 60 % of the short side.
    low, high = 0.02, 0.6
    radii = 1 / np.sqrt(1 / high**2 + rng.random(count) * (1 / low**2 - 1 / high**2))
    radii = np.sort(radii)[::-1] * min(size)
    base = rng.uniform(0, 255, (4, 3))
    for radius in radii:
        _leaf(picture, rng, float(radius), base)
    left, right, top, bottom = rng.uniform(0.65, 1.3, 4)
    light = np.linspace(top, bottom, height)[:, None, None] * np.linspace(left, right, width)[None, :, None]
    picture *= light.astype(np.float32)
    blur = rng.choice([0, 0, 0.5, 0.8, 1.5])
    if blur:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    return picture.clip(0, 255).astype(np.uint8)


def _leaf(
    picture: Float32[np.ndarray, "h w 3"], rng: np.random.Generator, radius: float, base: Float[np.ndarray, "n 3"]
) -> None:
    """Paints one leaf over the picture: an ellipse or polygon with a gradient and a texture of its own."""
    height, width = picture.shape[:2]
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    top, bottom = max(0, int(y - radius)), min(height, int(y + radius) + 2)
    left, right = max(0, int(x - radius)), min(width, int(x + radius) + 2)
    if bottom <= top or right <= left:
        return
    mask = np.zeros((bottom - top, right - left), np.uint8)
    angle = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.5:
        axes = (max(1, int(radius)), max(1, int(radius * rng.uniform(0.3, 1))))
        cv2.ellipse(mask, (int(x - left), int(y - top)), axes, np.degrees(angle), 0, 360, 255, -1, cv2.LINE_AA)
    else:
        corners = int(rng.integers(3, 7))
        around = angle + np.sort(rng.uniform(0, 2 * np.pi, corners))
        points = np.stack([x - left + radius * np.cos(around), y - top + radius * np.sin(around)], -1)
        cv2.fillPoly(mask, [(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    colour = np.clip(base[rng.integers(len(base))] + rng.normal(0, 40, 3), 0, 255).astype(np.float32)
    rows, columns = np.arange(top, bottom, dtype=np.float32), np.arange(left, right, dtype=np.float32)
    slope = rng.normal(0, 0.35 / radius, 2).astype(np.float32)
    shade = 1 + (rows - y)[:, None] * slope[0] + (columns - x) * slope[1]
    if radius > 6 and rng.random() < 0.7:
        pattern = tile(PATTERNS[rng.integers(len(PATTERNS))])
        row, column = rng.integers(0, SIDE, 2)
        grain = np.take(
            np.take(pattern, np.arange(row, row + bottom - top), 0, mode="wrap"),
            np.arange(column, column + right - left),
            1,
            mode="wrap",
        )
        shade = shade + np.float32(rng.exponential(0.12)) * grain
    cover = mask.astype(np.float32)[..., None] / 255
    window = picture[top:bottom, left:right]
    window += cover * (colour * shade.clip(0.2, 1.6)[..., None] - window)
