"""Cameras: poses over time, and rays of pixels.

Camera frame: x to the right, y down, z ahead. A pixel's ray is (u, v, 1), so that the parameter along it is depth, and
its inverse is linear in (u, v) on every plane; the caster works in that inverse depth throughout.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float

Move = Literal["still", "pan", "orbit", "dolly", "handheld"]
MOVES: tuple[Move, ...] = ("still", "pan", "orbit", "dolly", "handheld")


@dataclass(frozen=True)
class Camera:
    """A moving camera. At time 0, the middle of the clip, it is at `eye` and looks at `target`.

    focal: in units of the frame's short side; move: kind of motion; rate: its speed, 1 is fast;
    drift: metres a second along x, y, z by which eye and target follow a subject; phase: of the handheld shake.
    """

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    focal: float
    move: Move = "still"
    rate: float = 0.0
    drift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    phase: float = 0.0


def views(camera: Camera, times: Float[np.ndarray, " t"]) -> Float[np.ndarray, "t 4 4"]:
    """World-to-camera matrices for times in seconds."""
    eye, target = np.array(camera.eye)[None].repeat(len(times), 0), np.array(camera.target)[None].repeat(len(times), 0)
    reach = np.linalg.norm(np.array(camera.target) - camera.eye)
    swing, rate = times[:, None], camera.rate
    match camera.move:
        case "pan":
            target = target + swing * [0.25 * rate * reach, 0, 0]
        case "orbit":
            angle = 0.35 * rate * times
            x, y, z = np.array(camera.eye) - camera.target
            cos, sin = np.cos(angle), np.sin(angle)
            eye = target + np.stack([x * cos - z * sin, y + 0 * angle, x * sin + z * cos], -1)
        case "dolly":
            eye = target + (eye - target) * np.exp(-0.25 * rate * swing)
        case "handheld":
            waves = np.array([[2.1, 3.7, 1.3], [5.3, 4.1, 6.1]])[:, None] * times[:, None] + camera.phase
            shake = np.sin(waves[0]) + 0.4 * np.sin(waves[1] + 1)
            target, eye = target + 0.03 * rate * reach * shake, eye + 0.008 * rate * reach * np.roll(shake, 1, -1)
    drift = swing * np.array(camera.drift)
    return looking(eye + drift, target + drift)


def looking(eye: Float[np.ndarray, "t 3"], target: Float[np.ndarray, "t 3"]) -> Float[np.ndarray, "t 4 4"]:
    """World-to-camera matrices of upright cameras at `eye` that look at `target`."""
    ahead = target - eye
    ahead = ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)
    right = np.cross([0.0, 1.0, 0.0], ahead)
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    turn = np.stack([right, np.cross(ahead, right) * -1, ahead], 1)
    view = np.zeros((len(eye), 4, 4))
    view[:, :3, :3], view[:, 3, 3] = turn, 1
    view[:, :3, 3] = -np.einsum("tij,tj->ti", turn, eye)
    return view


@dataclass(frozen=True)
class Lens:
    """A frame of height x width square pixels, seen through `focal` pixels."""

    height: int
    width: int
    focal: float

    @cached_property
    def columns(self) -> Float[np.ndarray, " w"]:
        """The u of each column's pixel centre."""
        return ((np.arange(self.width) + 0.5 - self.width / 2) / self.focal).astype(np.float32)

    @cached_property
    def rows(self) -> Float[np.ndarray, " h"]:
        """The v of each row's pixel centre."""
        return ((np.arange(self.height) + 0.5 - self.height / 2) / self.focal).astype(np.float32)
