"""Joints: points and bones of bodies whose z points ahead and whose foot is at 0, over a phase in radians."""

import numpy as np
from jaxtyping import Float

Phase = Float[np.ndarray, " t"]


def at(x: float, y: float, z: float) -> Float[np.ndarray, " 3"]:
    """A point in the body's frame."""
    return np.array([x, y, z], float)


def swung(angle: Phase, length: float) -> Float[np.ndarray, "t 3"]:
    """A bone that hangs down, swung ahead by `angle`."""
    return np.stack([0 * angle, -length * np.cos(angle), length * np.sin(angle)], -1)
