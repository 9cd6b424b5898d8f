"""Animals that trot, bound and fly."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from recast.world.joints import Phase, at, swung
from recast.world.solids import Solid, ball, limb, placed, turned


@dataclass(frozen=True)
class Build:
    """Measures of a four-legged animal, in metres."""

    back: float  # height of the spine
    trunk: tuple[float, float, float]  # half width, height, length
    neck: tuple[float, float]  # how far up and ahead the head is carried from the shoulders
    skull: tuple[float, float, float]
    muzzle: float
    leg: float  # radius of a thigh
    tail: tuple[float, float]  # how far down (negative is up) and behind its tip is
    ear: float  # length; hanging where negative
    mane: float  # radius, 0 for none


DOG = Build(0.43, (0.15, 0.165, 0.36), (0.2, 0.17), (0.115, 0.115, 0.13), 0.17, 0.06, (-0.22, 0.22), -0.1, 0.0)
HORSE = Build(1.15, (0.28, 0.33, 0.7), (0.56, 0.48), (0.12, 0.15, 0.2), 0.4, 0.13, (0.55, 0.3), 0.1, 0.07)


def four_legged(phase: Phase, pace: float, build: Build) -> list[Solid]:
    """An animal that trots on diagonal pairs of legs, or bounds at a running pace."""
    zero = 0 * phase
    bounding = pace > 1.4
    pitch = 0.12 * np.sin(phase) if bounding else 0.02 * np.sin(2 * phase)
    lift = np.stack([zero, build.back * 0.06 * pace * np.sin(phase if bounding else 2 * phase), zero], -1)
    long = build.trunk[2]
    spine, turn = at(0, build.back, 0) + lift, turned("x", -pitch)
    nod = np.stack([zero, -0.12 * pitch * build.back, zero], -1)
    shoulders = spine + swung(pitch, 0)[..., :3] + np.stack([zero, long * 0.75 * pitch, zero + 0.7 * long], -1)
    head = shoulders + at(0, build.neck[0], build.neck[1]) + nod
    tip = head + at(0, -0.45 * build.muzzle, build.muzzle)
    rump = spine + np.stack([zero, -long * 0.8 * pitch + 0.03, zero - 0.85 * long], -1)
    wag = np.stack([0.25 * build.tail[1] * np.sin(2 * phase), zero - build.tail[0], zero - build.tail[1]], -1)
    solids = [
        ball(spine, build.trunk, turn=turn),
        ball(shoulders + at(0, -0.02, -0.06), (build.trunk[0] * 1.04, build.trunk[1] * 1.1, build.trunk[1] * 1.2)),
        *limb(shoulders, head, (build.trunk[1] * 0.8, build.skull[0] * 0.85)),
        ball(head, build.skull),
        *limb(head, tip, (build.skull[0] * 0.75, build.skull[0] * 0.5)),
        ball(tip, (build.skull[0] * 0.42,) * 3, "shoe"),
        *limb(rump, rump + wag, (build.leg * 0.5, build.leg * 0.3), "dark"),
    ]
    if build.mane:
        crest = at(0, 0.5 * build.trunk[1], -0.45 * build.trunk[1])
        poll = head + at(0, build.skull[1] * 0.8, -0.5 * build.skull[2])
        solids += limb(shoulders + crest, poll, (build.mane, build.mane), "dark")
    for side in (-1, 1):
        hanging = build.ear < 0
        ear = head + at((0.95 if hanging else 0.6) * side * build.skull[0], 0 if hanging else build.skull[1], -0.03)
        solids.append(ball(ear, (abs(build.ear) * 0.35, abs(build.ear), abs(build.ear) * 0.5), "dark"))
        for front in (0, 1):
            shift = front * 2.4 + 0.35 * side if bounding else np.pi * ((side > 0) ^ front)
            hip = (shoulders if front else rump) + at(side * build.trunk[0] * 0.6, -0.3 * build.trunk[1], 0)
            solids += _paw(hip, phase + shift, pace, build)
    return solids


def _paw(hip: Float[np.ndarray, "t 3"], phase: Phase, pace: float, build: Build) -> list[Solid]:
    reach = build.back - 0.3 * build.trunk[1]
    upper = 0.5 * min(pace, 1.5) * np.sin(phase)
    knee = hip + swung(upper, reach * 0.5)
    foot = knee + swung(upper - 0.7 * min(pace, 1.5) * np.clip(np.cos(phase), 0, 1), reach * 0.5)
    return [
        *limb(hip, knee, (build.leg, build.leg * 0.6)),
        *limb(knee, foot, (build.leg * 0.6, build.leg * 0.45)),
        ball(foot, (build.leg * 0.6, build.leg * 0.5, build.leg * 0.8), "shoe"),
    ]


def dog(phase: Phase, pace: float) -> list[Solid]:
    """A dog, 0.78 m at the ears."""
    return four_legged(phase, pace, DOG)


def horse(phase: Phase, pace: float) -> list[Solid]:
    """A horse, 2 m at the ears."""
    return four_legged(phase, pace, HORSE)


def bird(phase: Phase, pace: float) -> list[Solid]:
    """A bird in flight, 1.4 m from wing tip to wing tip; the wings' outer halves lag behind."""
    heave = np.stack([0 * phase, 0.35 - 0.05 * np.sin(phase), 0 * phase], -1)
    solids = [
        ball(heave, (0.12, 0.12, 0.3)),
        ball(heave + at(0, 0.1, 0.3), (0.085, 0.085, 0.1)),
        Solid("tube", placed(heave + at(0, 0.09, 0.44), (0.03, 0.07, 0.03), turned("x", np.pi / 2)), "beak", 0.1),
        ball(heave + at(0, 0.02, -0.4), (0.13, 0.02, 0.18), "dark"),
    ]
    for side in (-1, 1):
        flap, tip = 0.75 * pace**0.3 * np.sin(phase), 0.9 * np.sin(phase - 0.9)
        elbow = heave + at(side * 0.06, 0.06, 0.03) + _spread(side, flap, 0.36)
        turn, far_turn = turned("z", side * flap), turned("z", side * tip)
        solids += [
            ball(elbow - _spread(side, flap, 0.18), (0.22, 0.025, 0.16), turn=turn),
            ball(elbow + _spread(side, tip, 0.18) + at(0, 0, -0.03), (0.24, 0.02, 0.12), "dark", far_turn),
        ]
    return solids


def _spread(side: int, angle: Phase, length: float) -> Float[np.ndarray, "t 3"]:
    """A bone held out to one side, raised by `angle`."""
    return np.stack([side * length * np.cos(angle), length * np.sin(angle), 0 * angle], -1)
