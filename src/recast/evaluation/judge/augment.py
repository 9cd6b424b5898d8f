"""Augmentations of pictures: compression, blur, resizing and exposure, as generated pictures have them."""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from recast.world.filming import through_jpeg

Picture = UInt8[np.ndarray, "h w 3"]
AugmentedImage = Float32[np.ndarray, "h w 3"]


def augment(picture: Picture, rng: np.random.Generator) -> AugmentedImage:
    """The picture in -1..1, perhaps soft, small or compressed, with another exposure, another balance and grain."""
    ways: tuple[Callable[[Picture, np.random.Generator], Picture], ...] = (defocused, shrunk, compressed)
    choice = int(rng.integers(3 * len(ways)))
    shown = (ways[choice](picture, rng) if choice < len(ways) else picture).astype(np.float32) / 127.5 - 1
    exposure = rng.uniform(0.9, 1.1) * rng.uniform(0.96, 1.04, 3)
    shown = shown * exposure.astype(np.float32) + np.float32(rng.uniform(-0.1, 0.1))
    grain = max(0.0, rng.uniform(-0.06, 0.06))
    if grain:
        shown += rng.standard_normal(shown.shape, dtype=np.float32) * np.float32(grain)
    return shown.clip(-1, 1)


def defocused(picture: Picture, rng: np.random.Generator) -> Picture:
    """Out of focus."""
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.0))


def shrunk(picture: Picture, rng: np.random.Generator) -> Picture:
    """Made smaller and large again."""
    scale, size = 1 / rng.uniform(1.2, 2.0), picture.shape[1::-1]
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)


def compressed(picture: Picture, rng: np.random.Generator) -> Picture:
    """Through JPEG and back."""
    return through_jpeg(picture, int(rng.integers(15, 80)))
