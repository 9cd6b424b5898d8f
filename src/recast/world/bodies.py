"""Bodies of the subjects: solids that walk, trot, flap and roll, with z ahead and their foot at 0.

Each body is a function of a phase in radians, one value for each frame, that turns once for each stride, and of `pace`,
0 for standing, 1 for walking, 2 for running. Lengths are metres at size 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from recast.world.animals import bird, dog, horse
from recast.world.joints import Phase, at, swung
from recast.world.solids import Solid, ball, box, limb, placed, tube, turned

Points = Float[np.ndarray, "t 3"]
"""A joint in the body's frame, in each frame of the clip."""


def person(phase: Phase, pace: float) -> list[Solid]:
    """A walker of 1.75 m: arms swing against the legs, knees and elbows bend."""
    hips, chest, head = trunk(phase, pace)
    solids = [
        ball(hips, (0.165, 0.15, 0.125), "dark"),
        *limb(hips, chest, (0.15, 0.17)),
        ball(chest + at(0, 0.05, 0), (0.215, 0.2, 0.135)),
        *limb(chest, head, (0.07, 0.06), "skin"),
        ball(head, (0.095, 0.125, 0.11), "skin"),
        ball(head + at(0, 0.045, -0.025), (0.105, 0.105, 0.11), "hair"),
    ]
    for side in (-1, 1):
        solids += _leg(*leg(hips, side, phase, pace))
        solids += _arm(*arm(chest, side, phase, pace))
    return solids


def trunk(phase: Phase, pace: float) -> tuple[Points, Points, Points]:
    """Hips, chest and head of a walker."""
    bob = np.stack([0 * phase, 0.03 * pace * np.cos(2 * phase), 0 * phase], -1)
    lean = 0.08 * pace
    return at(0, 0.93, 0) + bob, at(0, 1.28, 0.32 * lean) + bob, at(0, 1.62, 0.7 * lean) + bob


def leg(hips: Points, side: int, phase: Phase, pace: float) -> tuple[Points, Points, Points]:
    """Hip, knee and ankle; side: 1 the right one, -1 the left."""
    hip, swing, lift = hips + at(0.09 * side, 0, 0), side * np.sin(phase), side * np.cos(phase)
    thigh = 0.42 * pace**0.7 * swing + 0.1 * pace
    bend = pace * (0.18 + 0.5 * np.clip(lift, 0, 1))
    knee = hip + swung(thigh, 0.44)
    return hip, knee, knee + swung(thigh - bend, 0.42)


def arm(chest: Points, side: int, phase: Phase, pace: float) -> tuple[Points, Points, Points]:
    """Shoulder, elbow and hand; side: 1 the right one, -1 the left. It swings against the leg."""
    shoulder, swing = chest + at(0.235 * side, 0.12, 0), -side * np.sin(phase)
    upper = 0.45 * pace**0.7 * swing
    elbow = shoulder + swung(upper, 0.29)
    return shoulder, elbow, elbow + swung(upper + 0.15 + 0.55 * pace * (pace > 1.2) + 0.2 * swing, 0.26)


def _leg(hip: Points, knee: Points, ankle: Points) -> list[Solid]:
    return [
        *limb(hip, knee, (0.085, 0.065), "dark"),
        *limb(knee, ankle, (0.065, 0.045), "dark"),
        ball(ankle + at(0, -0.03, 0.07), (0.05, 0.045, 0.13), "shoe"),
    ]


def _arm(shoulder: Points, elbow: Points, hand: Points) -> list[Solid]:
    return [
        ball(shoulder, (0.075, 0.075, 0.075)),
        *limb(shoulder, elbow, (0.06, 0.05)),
        *limb(elbow, hand, (0.048, 0.035)),
        ball(hand, (0.045, 0.05, 0.045), "skin"),
    ]


def car(phase: Phase, pace: float) -> list[Solid]:
    """A car of 4.2 m with a glass cabin under a roof of its own colour."""
    shake = np.stack([0 * phase, 0.012 * pace * np.sin(2 * phase), 0 * phase], -1)
    solids = [
        box(shake + at(0, 0.62, 0), (0.86, 0.26, 2.05)),
        ball(shake + at(0, 0.68, 1.75), (0.85, 0.22, 0.45)),
        Solid("cabin", placed(shake + at(0, 1.13, -0.2), (0.8, 0.3, 1.2)), "glass"),
        box(shake + at(0, 1.44, -0.3), (0.63, 0.035, 0.66)),
        box(shake + at(0, 0.45, 0), (0.88, 0.07, 2.12), "shoe"),
    ]
    for side in (-1, 1):
        for z in (-1.28, 1.32):
            solids += [
                ball(at(0.84 * side, 0.36, z), (0.13, 0.37, 0.37), "tyre"),
                ball(at(0.93 * side, 0.36, z), (0.06, 0.19, 0.19), "light"),
            ]
        solids += [
            ball(shake + at(0.62 * side, 0.68, 2.08), (0.16, 0.1, 0.1), "lamp"),
            ball(shake + at(0.62 * side, 0.68, -2.04), (0.16, 0.09, 0.06), "tail lamp"),
        ]
    return solids


def boat(phase: Phase, _pace: float) -> list[Solid]:
    """A sailing boat of 3.6 m that rolls on the swell."""
    roll = turned("z", 0.06 * np.sin(phase)) @ turned("x", 0.04 * np.sin(0.7 * phase + 1))
    solids = [
        ball(at(0, 0.35, 0), (0.75, 0.5, 1.8)),
        ball(at(0, 0.66, 0), (0.6, 0.22, 1.5), "wood"),
        box(at(0, 0.85, -0.5), (0.35, 0.2, 0.45), "light"),
        tube(at(0, 0.5, 0.35), 3.0, 0.05, "wood"),
        Solid("sail", placed(at(0, 2.15, -0.52), (0.85, 1.3, 0.03), turned("y", -np.pi / 2))),
        Solid("sail", placed(at(0, 1.9, 0.98), (0.6, 1.05, 0.03), turned("y", np.pi / 2)), "light"),
    ]
    return [Solid(s.form, roll @ s.pose, s.tone, s.taper) for s in solids]


def sphere(phase: Phase, pace: float) -> list[Solid]:
    """A ball of radius 0.5 that rolls; at a running pace it bounces."""
    height = 0.5 + (0.45 * np.abs(np.sin(phase / 2)) if pace > 1.4 else 0 * phase)
    turn = turned("x", phase) if pace else turned("x", 0 * phase)
    return [ball(np.stack([0 * phase, height, 0 * phase], -1), (0.5, 0.5, 0.5), turn=turn)]


def cube(phase: Phase, pace: float) -> list[Solid]:
    """A cube of side 1 that turns about its upright axis when it moves."""
    turn = turned("y", 0.3 * phase * (pace > 0))
    return [box(at(0, 0.5, 0), (0.5, 0.5, 0.5), turn=turn)]


# Centre and radius of each of its balls of leaves.
CROWN = ((0, 2.6, 0, 1.05), (0.55, 2.25, 0.2, 0.75), (-0.6, 2.3, -0.1, 0.75), (0.1, 3.3, 0, 0.75), (0, 2.3, -0.6, 0.7))


def tree(phase: Phase, _pace: float) -> list[Solid]:
    """A tree of 4 m whose crown sways."""
    sway = np.stack([0.05 * np.sin(phase), 0 * phase, 0.03 * np.cos(phase)], -1)
    return [
        *limb(at(0, 0, 0), at(0, 2.2, 0), (0.2, 0.13), "wood"),
        *(ball(at(x, y, z) + sway * y / 2, (r, r * 0.9, r)) for x, y, z, r in CROWN),
    ]


def house(_phase: Phase, _pace: float) -> list[Solid]:
    """A house of 4.4 m with a gable roof, a door, windows and a chimney."""
    solids = [
        box(at(0, 1.3, 0), (2.0, 1.3, 1.6)),
        Solid("roof", placed(at(0, 3.4, 0), (2.4, 0.85, 1.8)), "roof"),
        box(at(0.9, 3.7, 0.3), (0.22, 0.6, 0.22), "brick"),
        box(at(0.0, 0.85, 1.6), (0.42, 0.85, 0.06), "door"),
    ]
    solids += [box(at(x, 1.45, z), (0.38, 0.42, 0.05), "pane") for x in (-1.2, 1.2) for z in (-1.6, 1.6)]
    solids += [box(at(x, 1.45, 0), (0.05, 0.42, 0.5), "pane") for x in (-2.0, 2.0)]
    return solids


@dataclass(frozen=True)
class Anatomy:
    """A kind of subject: its body, height and length in metres, stride and range of speeds."""

    body: Callable[[Phase, float], list[Solid]]
    height: float
    length: float
    stride: float  # metres for one turn of the phase
    speeds: tuple[float, float]  # metres a second
    width: float = 0.0  # of the shadow; 0 is as wide as high


BODIES = {
    "person": Anatomy(person, 1.75, 0.8, 1.5, (0.8, 3.2), 0.5),
    "dog": Anatomy(dog, 0.78, 1.1, 0.9, (0.6, 3.5), 0.35),
    "horse": Anatomy(horse, 1.95, 2.6, 2.4, (1.0, 6.0), 0.7),
    "bird": Anatomy(bird, 0.7, 1.2, 1.1, (1.0, 4.0), 1.2),
    "car": Anatomy(car, 1.5, 4.3, 2.0, (2.0, 9.0), 1.9),
    "boat": Anatomy(boat, 3.4, 3.6, 2.5, (0.5, 2.5), 1.5),
    "ball": Anatomy(sphere, 1.0, 1.0, 3.1416, (0.5, 3.0), 1.0),
    "cube": Anatomy(cube, 1.0, 1.2, 1.5, (0.0, 1.0), 1.1),
    "tree": Anatomy(tree, 4.0, 2.6, 2.0, (0.0, 0.0), 2.6),
    "house": Anatomy(house, 4.3, 4.2, 2.0, (0.0, 0.0), 3.6),
}
