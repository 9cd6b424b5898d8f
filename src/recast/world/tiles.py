"""Tiles: seamless textures of surfaces and paper."""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float, Float32

SIDE = 256  # pixels of a tile
ROW, COLUMN = np.mgrid[:SIDE, :SIDE] / SIDE
PATTERNS = ("fractal", "grain", "stripes", "checks", "spots", "bricks")  # those that any surface may have


@cache
def tile(name: str) -> Float32[np.ndarray, "n n"]:
    """A seamless tile of SIDE x SIDE pixels, about -1 to 1; the same in every process."""
    return np.ascontiguousarray(TILES[name](np.random.default_rng(sum(map(ord, name)))), np.float32)


def worn(
    name: str, x: Float32[np.ndarray, "..."], y: Float32[np.ndarray, "..."], repeat: float
) -> Float32[np.ndarray, "..."]:
    """The tile's value at points of a surface, in metres; the tile repeats every `repeat` metres."""
    scale = np.float32(SIDE / repeat)
    column, row = (x * scale).ravel(), (y * scale).ravel()
    picked = tile(name).ravel()
    index = (row.astype(np.int32) & (SIDE - 1)) * SIDE + (column.astype(np.int32) & (SIDE - 1))
    return picked.take(index).reshape(x.shape)


def clouds(rng: np.random.Generator, side: int, power: float) -> Float32[np.ndarray, "n n"]:
    """Seamless noise whose amplitude falls as frequency to the `power`, with unit deviation, cut at 2.5."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    white = rng.standard_normal((side, side // 2 + 1, 2)) @ [1, 1j]
    field = np.fft.irfft2(white / frequency**power, (side, side))
    return (field / field.std()).clip(-2.5, 2.5).astype(np.float32)


def _smeared(tile: Float32[np.ndarray, "n n"], size: tuple[int, int]) -> Float32[np.ndarray, "n n"]:
    """A tile blurred over size columns and rows, across its seams."""
    return cv2.blur(np.tile(tile, (3, 3)), size)[SIDE : 2 * SIDE, SIDE : 2 * SIDE]


def _courses(rng: np.random.Generator, rows: int, columns: int) -> Float[np.ndarray, "n n"]:
    """Rows of bricks or planks, each of its own shade, with dark joints."""
    row = (ROW * rows).astype(int)
    shift = COLUMN * columns + 0.5 * (row % 2)
    joint = np.abs((ROW * rows) % 1 - 0.5) > 0.43
    if columns > 1:
        joint |= np.abs(shift % 1 - 0.5) > 0.47
    shade = rng.uniform(-0.5, 0.5, (rows, columns))[row, shift.astype(int) % columns]
    return np.where(joint, -1.0, 0.3 + shade)


def _panes(rng: np.random.Generator, lit: bool) -> Float[np.ndarray, "n n"]:
    """A facade of 8 x 8 windows, 1 inside a window and 0 outside; or 1 only where a light burns behind it."""
    x, y = 8 * COLUMN, 8 * ROW
    inside = (np.abs(x % 1 - 0.5) < 0.26) & (np.abs(y % 1 - 0.5) < 0.3)
    burning = rng.random((8, 8)) < 0.55
    return (inside & (burning[y.astype(int), x.astype(int)] | (not lit))).astype(float)


def _wavy(rng: np.random.Generator, across: float, down: float, bend: float, power: float) -> Float[np.ndarray, "n n"]:
    """Waves, so many across and down the tile, bent by clouds."""
    return np.sin(2 * np.pi * (across * COLUMN + down * ROW + bend * clouds(rng, SIDE, power)))


TILES: dict[str, Callable[[np.random.Generator], Float[np.ndarray, "n n"]]] = {
    "fractal": lambda rng: clouds(rng, SIDE, 1.1),
    "clouds": lambda rng: clouds(rng, SIDE, 1.7),
    "grain": lambda rng: clouds(rng, SIDE, 0.7),
    "paper": lambda rng: clouds(rng, SIDE, 0.25),
    "ripples": lambda rng: _wavy(rng, 0, 10, 0.6, 1.8),
    "waves": lambda rng: _wavy(rng, 0, 14, 1.2, 1.4) ** 3 + 0.4 * clouds(rng, SIDE, 0.7),
    "blades": lambda rng: 2 * _smeared(clouds(rng, SIDE, 0.1), (1, 9)),
    "hatch": lambda rng: _wavy(rng, 32, 32, 0.12, 1.2),
    "cross hatch": lambda rng: _wavy(rng, 32, -32, 0.12, 1.2),
    "prints": lambda rng: _wavy(rng, 9, 12, 7.8, 1.9),
    "stripes": lambda _: np.tanh(6 * np.sin(2 * np.pi * 8 * (COLUMN + ROW))),
    "checks": lambda _: np.tanh(8 * np.sin(2 * np.pi * 6 * COLUMN) * np.sin(2 * np.pi * 6 * ROW)),
    "spots": lambda rng: np.tanh(4 * (clouds(rng, SIDE, 1.0) ** 2 - 0.4)),
    "bricks": lambda rng: _courses(rng, 12, 6),
    "planks": lambda rng: _courses(rng, 8, 1) + 0.3 * _smeared(clouds(rng, SIDE, 0.3), (61, 1)),
    "panes": lambda rng: _panes(rng, lit=False),
    "lit": lambda rng: _panes(rng, lit=True),
}
