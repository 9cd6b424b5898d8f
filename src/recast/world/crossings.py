"""Scenes of two or three subjects that cross the view and hide each other on the way."""

from dataclasses import dataclass, replace
from math import pi, sqrt
from typing import Any

import numpy as np

from recast.errors import RequestError
from recast.world.bodies import BODIES
from recast.world.sampling import sampled
from recast.world.scene import Scene, Subject

SOLID = ("cube", "ball")
"""Kinds that may be the nearest: what is behind the others shows between their legs, or above them."""
MOVERS = (*SOLID, "car", "dog", "person", "horse")
"""Kinds that cross a ground."""
CLEAR_COLOURS = ("red", "green", "blue", "yellow", "purple", "white")
"""Colours that no light or texture of the world makes look like another of them."""
SHARES = {2: 0.36, 3: 0.27}
"""By the number of subjects, how much of the frame's short side one takes: the root of its height times its length."""
FRONT = 1.3
"""How much larger the nearest is."""
LONGEST = 1.4
"""The most that a subject is long, in such shares: cars would fill the view."""
LANES = {2: (-0.25, 0.25), 3: (-0.3, 0.05, 0.4)}
"""How far behind the middle of the stage each passes, the nearest first, in short sides of the view there."""
SECONDS = 0.7
"""That 8 frames last; at both ends subjects are apart."""
APART = 1.2
"""How far apart two that meet are at an end, in shares."""


def crossing(seed: int, count: int = 2, **wanted: Any) -> Scene:  # noqa: ANN401 - as `sampled` has them
    """A scene of `count` subjects of unlike kinds and colours that meet on screen, where nearer ones hide the others.

    The nearest goes one way and the others the other way; it passes one of two at time 0, and of three one before and
    one after. Subjects are in the order of their distance. wanted: attributes that `sampled` holds fixed, but for those
    of subjects. The same arguments give the same scene. Raises RequestError as `sampled` does, and for another count.
    """
    if count not in SHARES:
        raise RequestError(f"subjects that cross are 2 or 3, not {count}")
    rng = np.random.default_rng([seed, 23])
    first = str(rng.choice(SOLID))
    kinds = [first, *rng.permutation([kind for kind in MOVERS if kind != first])[: count - 1].tolist()]
    colours = rng.permutation(CLEAR_COLOURS)[:count].tolist()
    usual = {"num_subjects": 1, "kinds": kinds[:1], "framing": SHARES[count], "move": "still"}
    scene = sampled(seed, **usual | wanted)
    # No clutter: a box of the scenery is as good a cube as a subject.
    scene = _levelled(replace(scene, layout=wanted.get("layout") or scene.environment), rng)
    paths = [_Path(place, speed, lane) for (place, speed), lane in zip(_moves(rng, count), LANES[count], strict=True)]
    shares = [SHARES[count] * FRONT] + [SHARES[count]] * (count - 1)
    names = zip(kinds, colours, paths, shares, strict=True)
    return replace(scene, subjects=tuple(_passing(scene, name, rng.uniform(0, 2 * pi)) for name in names))


@dataclass(frozen=True)
class _Path:
    """Place at time 0, speed across the view and distance behind the stage's middle, in short sides of the view."""

    place: float
    speed: float
    lane: float


def _levelled(scene: Scene, rng: np.random.Generator) -> Scene:
    """Its camera looks nearly level at the middle of the stage, so that those behind stand hardly higher on screen."""
    focal = float(rng.uniform(1.3, 1.7))
    view = scene.reach / focal
    eye, target = (0.0, view * float(rng.uniform(0.22, 0.3)), -scene.reach), (0.0, view * 0.22, 0.0)
    return replace(scene, camera=replace(scene.camera, focal=focal, eye=eye, target=target, drift=(0.0, 0.0, 0.0)))


def _moves(rng: np.random.Generator, count: int) -> list[tuple[float, float]]:
    """Place at time 0 and speed of each across the view, in short sides, the nearest first."""
    apart, way = APART * SHARES[count], float(rng.choice([-1, 1]))
    if count == 2:
        together = 2 * apart / SECONDS
        own = together * float(rng.uniform(0.35, 0.65))
        return [(0.0, way * own), (0.0, way * (own - together))]
    meeting = 0.15  # seconds before and after time 0, when there is a frame
    together = apart / (SECONDS / 2 - meeting)
    other = together * float(rng.uniform(0.15, 0.3))
    first = float(rng.choice([-1, 1]))
    return [(0.0, way * (together - other))] + [
        (way * side * meeting * together, -way * other) for side in (first, -first)
    ]


def _passing(scene: Scene, name: tuple[str, str, _Path, float], phase: float) -> Subject:
    """A subject by kind, colour, path and share of the view."""
    kind, colour, path, share = name
    body, focal = BODIES[kind], scene.camera.focal
    lane = path.lane * scene.reach / focal
    view = (scene.reach + lane) / focal  # metres there that the frame's short side shows
    return Subject(
        kind=kind,
        colour=colour,
        position=(path.place * view, 0.0, lane),
        heading=pi / 2 if path.speed > 0 else -pi / 2,
        speed=abs(path.speed) * view,
        size=share * view / max(sqrt(body.height * body.length), body.length / LONGEST),
        phase=float(phase),
        gait=1.0,
    )
