"""Weather: fog that thickens with depth, and flakes and drops that fall through the frame."""

import cv2
import numpy as np
from jaxtyping import Float, Float32

from recast.world.camera import Lens
from recast.world.scene import Scene

# Share of a colour that fog replaces at the first subject's distance; its transmission falls exponentially.
AIR = {"day": (0.8, 0.82, 0.85), "sunset": (0.75, 0.5, 0.31), "night": (0.13, 0.15, 0.2)}
HAZE = {"sun": 0.012, "snow": 0.07, "rain": 0.1, "fog": 0.26}


def fogged(
    lit: tuple[Float32[np.ndarray, "t h w"], ...], inverse_depth: Float32[np.ndarray, "t h w"], scene: Scene
) -> tuple[Float32[np.ndarray, "t h w"], ...]:
    """Colours seen through the air."""
    if scene.environment == "room":
        return lit
    air = AIR[scene.time]
    thickness = np.float32(np.log1p(-HAZE[scene.weather]) / scene.reach)
    through = np.exp(thickness / inverse_depth)
    return tuple(np.float32(a) + through * (c - np.float32(a)) for a, c in zip(air, lit, strict=True))


def particles(scene: Scene, times: Float[np.ndarray, " t"], lens: Lens) -> Float32[np.ndarray, "t h w"] | None:
    """Cover of falling flakes or drops, 0 to 1, on paths that go on from frame to frame; None where nothing falls."""
    if scene.weather not in ("snow", "rain") or scene.environment == "room":
        return None
    rng = np.random.default_rng([scene.seed, 9])
    count, short = 90 if scene.weather == "snow" else 75, min(lens.height, lens.width)
    start, near = rng.random((count, 2)), rng.uniform(0.4, 1, count) ** 2
    wind = rng.normal(0, 0.15)
    cover = np.zeros((len(times), lens.height, lens.width), np.uint8)
    for layer, time in zip(cover, times, strict=True):
        if scene.weather == "snow":
            sway = 0.02 * np.sin(3 * time + 40 * start[:, 0])
            fall = np.stack([start[:, 0] + wind * near * time + sway, start[:, 1] + 0.45 * near * time], -1) % 1
            for (x, y), size in zip((fall * [lens.width, lens.height] * 16).astype(int).tolist(), near, strict=True):
                cv2.circle(layer, (x, y), int(16 * short * 0.013 * size) + 5, int(150 + 105 * size), -1, cv2.LINE_AA, 4)
            layer[:] = cv2.GaussianBlur(layer, (0, 0), 0.6 * short / 128)
            continue
        fall = (
            np.stack([start[:, 0] + wind * time, start[:, 1] + 2.3 * near * time], -1) % 1 * [lens.width, lens.height]
        )
        tail = fall + np.stack([-wind * near, -near], -1) * 0.12 * short
        for (x, y), (u, v) in zip((fall * 16).astype(int).tolist(), (tail * 16).astype(int).tolist(), strict=True):
            cv2.line(layer, (x, y), (u, v), 110, max(1, round(short / 160)), cv2.LINE_AA, 4)
    return cover.astype(np.float32) / 255
