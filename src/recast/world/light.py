"""Light by time of day: sun, moon, the lamp of a room, and the sky."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from recast.world.palettes import PALETTES
from recast.world.scene import Scene
from recast.world.tiles import worn

RGB = tuple[float, float, float]
Ray = tuple[Float32[np.ndarray, " n"], ...]  # x, y, z, or r, g, b
OVERCAST = {"sun": 0.0, "snow": 0.5, "rain": 0.62, "fog": 0.7}  # share of the sun that the sky spreads


@dataclass(frozen=True)
class Hour:
    """Light of one time of day: of the key light and of the sky, as factors on sRGB; brightness: of the whole."""

    key: RGB
    ambient: RGB
    elevation: float  # of the key light, radians
    brightness: float
    zenith: tuple[RGB, float]  # a colour, and how much of the palette's own sky it covers
    horizon: tuple[RGB, float]


HOURS = {
    "day": Hour((0.5, 0.48, 0.43), (0.58, 0.59, 0.62), 0.95, 1.0, ((0, 0, 0), 0.0), ((0, 0, 0), 0.0)),
    "sunset": Hour(
        (0.88, 0.5, 0.24), (0.5, 0.36, 0.42), 0.35, 0.75, ((0.36, 0.25, 0.5), 0.85), ((1.0, 0.55, 0.2), 0.92)
    ),
    "night": Hour(
        (0.22, 0.25, 0.36), (0.21, 0.24, 0.36), 0.9, 0.4, ((0.015, 0.025, 0.075), 1.0), ((0.05, 0.08, 0.17), 1.0)
    ),
}


def sun_direction(scene: Scene) -> Float[np.ndarray, " 3"]:
    """Towards the key light, of length 1; from behind the eye or from its side."""
    rng = np.random.default_rng([scene.seed, 6])
    around = rng.uniform(-1.5, 1.5)
    height = HOURS[scene.time].elevation * rng.uniform(0.8, 1.2)
    return np.array([np.sin(around) * np.cos(height), np.sin(height), -np.cos(around) * np.cos(height)])


def sky(scene: Scene, ray: Ray) -> Ray:
    """The sky's colour in each direction: a gradient, clouds, stars, a low sun or a moon."""
    rng = np.random.default_rng([scene.seed, 8])
    hour, (zenith, horizon) = HOURS[scene.time], PALETTES[scene.environment].sky
    top, low = (
        np.array(own) / 255 * (1 - share) + np.array(tint) * share
        for own, (tint, share) in ((zenith, hour.zenith), (horizon, hour.horizon))
    )
    dull = OVERCAST[scene.weather] * 1.25
    grey = np.full(3, 0.74 * (low @ [0.3, 0.6, 0.1])) if scene.time != "day" else np.array([0.72, 0.75, 0.79])
    top, low = top + dull * (grey * 0.8 - top), low + dull * (grey - low)
    x, y, _ = ray
    height = (y * np.float32(2.2)).clip(0, 1)
    cover = np.float32(rng.uniform(0, 0.5))
    clouds = (worn("clouds", x, y * 2.2, 2.6) * 0.5 + cover - 0.3).clip(0, 0.6) * (0.25 if scene.time == "night" else 1)
    disc, colour = _disc(scene, ray, rng, dull)
    stars = None
    if scene.time == "night" and dull == 0:
        stars = (worn("paper", x, y, 1.3) > 2.35) * np.float32(0.8)
    planes = []
    for c in range(3):
        plane = np.float32(low[c]) + height * np.float32(top[c] - low[c])
        plane += clouds * (np.float32(0.55 * low[c] + 0.45) - plane)
        plane += disc * (np.float32(colour[c]) - plane)
        planes.append(plane if stars is None else plane + stars)
    return tuple(planes)


def _disc(scene: Scene, ray: Ray, rng: np.random.Generator, dull: float) -> tuple[Float32[np.ndarray, " n"], RGB]:
    """Opacity of the low sun or the moon with its glow at each pixel, and its colour."""
    x, y, z = ray
    across, up = rng.uniform(-0.3, 0.3), rng.uniform(0.08, 0.22) if scene.time == "sunset" else rng.uniform(0.18, 0.4)
    far = (x - np.float32(across)) ** 2 + (y - np.float32(up)) ** 2
    shown = (z > 0) * np.float32(1 - dull)
    if scene.time == "sunset":
        return ((np.float32(0.0042) / (far + np.float32(0.0004))).clip(0, 1)) * shown, (1.0, 0.86, 0.5)
    if scene.time == "night":
        return ((np.float32(0.0012) / far).clip(0, 1) ** 2) * shown, (0.95, 0.95, 0.86)
    return np.zeros_like(x), (1.0, 1.0, 1.0)
