"""Solids with closed-form ray intersections: affine images of a unit ball, tube or convex block.

Frames of reference: the world has x to the right, y up and z away from the viewer, in metres, with the ground at y = 0.
A solid's own frame is the one in which its unit shape stands: the ball has radius 1, the tube runs along y from -1 to 1
with radius 1 at its foot and `taper` at its head, the blocks fill the cube from -1 to 1.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Form = Literal["ball", "tube", "box", "roof", "cabin", "sail"]
Vectors = Float[np.ndarray, "... 3"]
Matrices = Float[np.ndarray, "... 4 4"]

BOX = np.array([[1, 0, 0, -1], [-1, 0, 0, -1], [0, 1, 0, -1], [0, -1, 0, -1], [0, 0, 1, -1], [0, 0, -1, -1]], float)
ROOF = np.array([[2, 1, 0, -1], [-2, 1, 0, -1], [0, -1, 0, -1], [0, 0, 1, -1], [0, 0, -1, -1]], float)
CABIN = np.array(
    [[1, 0.12, 0, -0.88], [-1, 0.12, 0, -0.88], [0, 1, 0, -1], [0, -1, 0, -1], [0, 0.28, 1, -0.72], [0, 0.2, -1, -0.8]],
    float,
)
SAIL = np.array([[1, 0, 0, -1], [-1, 1, 0, 0], [0, -1, 0, -1], [0, 0, 1, -1], [0, 0, -1, -1]], float)
PLANES = {"box": BOX, "roof": ROOF, "cabin": CABIN, "sail": SAIL}  # rows p with p . (x, y, z, 1) <= 0 inside


@dataclass(frozen=True, eq=False)
class Solid:
    """One solid through time.

    form: the unit shape; taper: radius of a tube's head over that of its foot (0 is a cone).
    pose: maps the unit shape into the world, [t 4 4] or [4 4] where it stands still.
    tone: name of the material in a palette.
    """

    form: Form
    pose: Matrices
    tone: str = "main"
    taper: float = 1.0


def moved(solid: Solid, pose: Matrices) -> Solid:
    """The solid carried along by `pose`, which maps its old world into a new one."""
    return Solid(solid.form, pose @ solid.pose, solid.tone, solid.taper)


def ball(centre: Vectors, radii: tuple[float, float, float], tone: str = "main", turn: Matrices | None = None) -> Solid:
    """An ellipsoid with the given radii along its own axes, turned by `turn` about its centre."""
    return Solid("ball", placed(centre, radii, turn), tone)


def box(centre: Vectors, half: tuple[float, float, float], tone: str = "main", turn: Matrices | None = None) -> Solid:
    """A box with the given half sides."""
    return Solid("box", placed(centre, half, turn), tone)


def limb(start: Vectors, end: Vectors, radii: tuple[float, float], tone: str = "main") -> tuple[Solid, Solid]:
    """A tapered tube from `start` to `end` and the ball that closes its end."""
    start, end = np.broadcast_arrays(np.asarray(start, float), np.asarray(end, float))
    along = (end - start) / 2
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    # Any axis will do that is not parallel to the limb; limbs seldom point along this one.
    side = np.cross(along, np.array([0.9, 0.1, 0.3]))
    side /= np.linalg.norm(side, axis=-1, keepdims=True)
    third = np.cross(side, along / length)
    pose = np.zeros((*start.shape[:-1], 4, 4))
    pose[..., :3, 0], pose[..., :3, 1], pose[..., :3, 2] = side * radii[0], along, third * radii[0]
    pose[..., :3, 3], pose[..., 3, 3] = (start + end) / 2, 1
    return Solid("tube", pose, tone, radii[1] / radii[0]), ball(end, (radii[1],) * 3, tone)


def tube(foot: Vectors, height: float, radius: float, tone: str, taper: float = 1.0) -> Solid:
    """An upright tube that stands on `foot`: a trunk, a post, or with taper 0 a cone."""
    return Solid(
        "tube", placed(np.asarray(foot) + np.array([0, height / 2, 0]), (radius, height / 2, radius)), tone, taper
    )


def placed(centre: Vectors, scale: tuple[float, float, float], turn: Matrices | None = None) -> Matrices:
    """The pose that scales, then turns, then moves to `centre`."""
    centre = np.asarray(centre, float)
    linear = np.eye(3) if turn is None else turn[..., :3, :3]
    shape = np.broadcast_shapes(centre.shape[:-1], linear.shape[:-2])
    pose = np.zeros((*shape, 4, 4))
    pose[..., :3, :3] = linear * np.asarray(scale, float)
    pose[..., :3, 3], pose[..., 3, 3] = centre, 1
    return pose


def turned(axis: Literal["x", "y", "z"], angle: Float[np.ndarray, "..."] | float) -> Matrices:
    """Rotation by `angle` radians about one axis of the world."""
    angle = np.asarray(angle, float)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    turn = np.zeros((*angle.shape, 4, 4))
    turn[..., range(4), range(4)] = 1
    turn[..., i, i] = turn[..., j, j] = np.cos(angle)
    turn[..., j, i] = np.sin(angle)
    turn[..., i, j] = -turn[..., j, i]
    return turn
