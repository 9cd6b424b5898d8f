"""Surroundings: solids around the subjects in each environment, as shapes without colours.

A layout is made of shapes with tones; the palette of an environment gives its tones their colours. The two are apart,
so that any layout may stand in any environment: towers under snow, trunks in a desert.
"""

from collections.abc import Callable

import numpy as np

from recast.world.joints import at
from recast.world.solids import Form, Solid, ball, box, placed, tube, turned


def surroundings(layout: str, rng: np.random.Generator, reach: float) -> list[Solid]:
    """The solids of a layout around the origin, for an eye `reach` metres before it."""
    return LAYOUTS[layout](rng, min(max(reach, 2.0), 22.0))


def _scattered(rng: np.random.Generator, count: int, near: float, far: float, reach: float) -> list[np.ndarray]:
    """Points on the ground in view of the eye, `near` to `far` reaches behind the origin, apart from each other."""
    depths = (near + (far - near) * (np.arange(count) + rng.random(count)) / count) * reach
    sides = np.linspace(-1, 1, count)[rng.permutation(count)] + rng.normal(0, 0.1, count)
    return [at(s * 0.62 * (d + reach), 0.0, d) for s, d in zip(sides, depths, strict=True)]


def _hills(rng: np.random.Generator, reach: float, height: float, count: int = 4, tone: str = "hill") -> list[Solid]:
    far = min(5.5 * reach, 70.0)
    return [
        ball(
            at(x * far, -0.02 * far, far * rng.uniform(0.7, 1.1)),
            (far * rng.uniform(0.4, 0.8), far * height * rng.uniform(0.6, 1.3), far * rng.uniform(0.15, 0.3)), tone)
        for x in np.linspace(-0.9, 0.9, count) + rng.normal(0, 0.1, count)
    ]  # fmt: skip


def _fir(foot: np.ndarray, height: float) -> list[Solid]:
    return [
        tube(foot, height * 0.3, height * 0.045, "trunk"),
        tube(foot + at(0, 0.15 * height, 0), height * 0.5, height * 0.25, "crown", 0.0),
        tube(foot + at(0, 0.45 * height, 0), height * 0.55, height * 0.17, "crown", 0.0),
    ]


def _round_tree(rng: np.random.Generator, foot: np.ndarray, height: float) -> list[Solid]:
    wide = height * rng.uniform(0.24, 0.34)
    return [
        tube(foot, height * 0.6, height * 0.05, "trunk", 0.7),
        ball(foot + at(0, height * 0.7, 0), (wide, height * 0.3, wide), "crown"),
        ball(foot + at(wide * 0.5, height * 0.6, 0), (wide * 0.7, height * 0.2, wide * 0.7), "crown"),
    ]


def snowy_field(rng: np.random.Generator, reach: float) -> list[Solid]:
    """Drifts, low hills and a few firs."""
    solids = _hills(rng, reach, 0.1)
    for foot in _scattered(rng, int(rng.integers(2, 7)), 1.0, 3.2, reach):
        solids += _fir(foot, reach * rng.uniform(0.5, 1.0))
    return solids + [
        ball(foot, (reach * 0.4, reach * 0.06, reach * 0.25), "ground") for foot in _scattered(rng, 3, 0.6, 2, reach)
    ]


def grass_meadow(rng: np.random.Generator, reach: float) -> list[Solid]:
    """Rolling hills, round trees and bushes."""
    solids = _hills(rng, reach, 0.14)
    for foot in _scattered(rng, int(rng.integers(1, 5)), 1.2, 3.5, reach):
        solids += _round_tree(rng, foot, reach * rng.uniform(0.6, 1.1))
    for foot in _scattered(rng, int(rng.integers(0, 4)), 0.5, 2.0, reach):
        solids.append(ball(foot, (reach * 0.16, reach * rng.uniform(0.08, 0.14), reach * 0.14), "crown"))
    return solids


def desert(rng: np.random.Generator, reach: float) -> list[Solid]:
    """Dunes, table mountains and cacti."""
    solids = _hills(rng, reach, 0.12, 3, "ground") + _hills(rng, reach * 0.55, 0.08, 3, "ground")
    for foot in _scattered(rng, int(rng.integers(1, 3)), 3.0, 4.5, reach):
        solids.append(tube(foot, reach * rng.uniform(0.6, 1.1), reach * rng.uniform(0.4, 0.9), "hill", 0.75))
    for foot in _scattered(rng, int(rng.integers(0, 4)), 0.5, 2.2, reach):
        tall = reach * rng.uniform(0.25, 0.45)
        solids += [tube(foot, tall, tall * 0.1, "crown"), ball(foot + at(0, tall, 0), (tall * 0.1,) * 3, "crown")]
        solids += [tube(foot + at(tall * 0.25, tall * 0.4, 0), tall * 0.4, tall * 0.07, "crown")]
    return solids


def beach(rng: np.random.Generator, reach: float) -> list[Solid]:
    """Palms and rocks before an open sea."""
    solids = []
    for foot in _scattered(rng, int(rng.integers(1, 4)), 0.4, 1.0, reach):
        tall, lean = reach * rng.uniform(0.6, 1.0), rng.normal(0, 0.1)
        solids.append(tube(foot, tall, tall * 0.035, "trunk", 0.7))
        for angle in np.linspace(0, 2 * np.pi, 6, endpoint=False) + lean:
            tip = foot + at(np.cos(angle) * tall * 0.22, tall * 0.98, np.sin(angle) * tall * 0.22)
            turn = turned("y", -angle) @ turned("z", -0.35)
            solids.append(ball(tip, (tall * 0.26, tall * 0.03, tall * 0.07), "crown", turn))
    for foot in _scattered(rng, int(rng.integers(0, 4)), 0.5, 2.5, reach):
        solids.append(ball(foot, (reach * rng.uniform(0.1, 0.3), reach * 0.12, reach * 0.15), "rock"))
    return solids + (_hills(rng, reach, 0.07, 2) if rng.random() < 0.5 else [])


def city_street(rng: np.random.Generator, reach: float) -> list[Solid]:
    """Rows of buildings on both sides and at the end of a road, with lamp posts."""
    solids, half = [], reach * rng.uniform(0.75, 1.0)
    for side in (-1, 1):
        z = -0.2 * reach
        while z < min(4.2 * reach, 60):
            long, tall = reach * rng.uniform(0.6, 1.1), reach * rng.uniform(0.9, 2.4)
            centre = at(side * (half * 1.5 + rng.uniform(0, 0.1) * reach), tall / 2, z + long / 2)
            solids.append(box(centre, (half * 0.5, tall / 2, long / 2), f"wall {rng.integers(3)}"))
            z += long * rng.choice([1.0, 1.0, 1.25])
        for step in (0.3, 1.6):
            post = at(side * half * 0.9, 0, step * reach)
            solids.append(tube(post, reach * 0.6, reach * 0.015, "trunk"))
            solids.append(ball(post + at(0, reach * 0.6, 0), (reach * 0.035,) * 3, "bulb"))
    end = min(rng.uniform(1.3, 4.0) * reach, 60)
    for x in (-1.1, 0.0, 1.1):
        tall = reach * rng.uniform(0.8, 2.6)
        solids.append(box(at(x * half, tall / 2, end), (half * 0.54, tall / 2, reach * 0.3), f"wall {rng.integers(3)}"))
    return solids


def forest(rng: np.random.Generator, reach: float) -> list[Solid]:
    """Trunks near and far under a closed canopy."""
    solids = []
    for foot in _scattered(rng, int(rng.integers(9, 15)), 0.3, 3.0, reach):
        thick = reach * rng.uniform(0.03, 0.075)
        solids.append(tube(foot, reach * 2.6, thick, "trunk", 0.7))
        top = reach * rng.uniform(1.0, 1.6)
        solids.append(ball(foot + at(0, top, 0), (reach * 0.5, reach * 0.35, reach * 0.4), "crown"))
    if rng.random() < 0.35:
        solids.append(tube(at(rng.choice([-1, 1]) * reach * 0.3, 0, -0.35 * reach), 2 * reach, 0.04 * reach, "trunk"))
    for foot in _scattered(rng, 5, 2.2, 4.0, reach):
        solids.append(ball(foot, (reach * 1.2, reach * rng.uniform(0.6, 1.6), reach * 0.3), "crown"))
    for foot in _scattered(rng, int(rng.integers(0, 4)), 0.4, 1.2, reach):
        solids.append(ball(foot, (reach * 0.14, reach * 0.1, reach * 0.12), "crown"))
    return solids


def mountains(rng: np.random.Generator, reach: float) -> list[Solid]:
    """Peaks with snow on top, rocks and firs before them."""
    solids, far = [], min(4.5 * reach, 62.0)
    for x in np.linspace(-1, 1, 6) + rng.normal(0, 0.08, 6):
        tall = far * rng.uniform(0.3, 0.62)
        z = far * rng.uniform(0.75, 1.15)
        solids.append(tube(at(x * far * 0.8, -0.5, z), tall, tall * rng.uniform(0.8, 1.2), "peak", 0.03))
        solids.append(_snow_cap(solids[-1]))
    for foot in _scattered(rng, int(rng.integers(2, 6)), 0.9, 2.5, reach):
        solids += _fir(foot, reach * rng.uniform(0.35, 0.7))
    for foot in _scattered(rng, int(rng.integers(1, 5)), 0.4, 2.0, reach):
        solids.append(ball(foot, (reach * rng.uniform(0.06, 0.2), reach * 0.09, reach * 0.12), "rock"))
    return solids


def _snow_cap(peak: Solid) -> Solid:
    """The upper part of a cone, a little wider than the cone itself."""
    upper = placed(at(0.0, 0.66, 0.0), (0.372, 0.36, 0.372))
    return Solid("tube", peak.pose @ upper, "cap", 0.05)


def room(rng: np.random.Generator, reach: float) -> list[Solid]:
    """Walls, a ceiling, a window, pictures and furniture."""
    half, back, tall = reach * rng.uniform(0.75, 1.1), reach * rng.uniform(0.5, 1.4), reach * rng.uniform(0.95, 1.3)
    solids = [
        box(at(0, tall / 2, back + 0.5), (3 * half, tall / 2, 0.5), "wall 0"),
        box(at(0, tall + 0.5, 0), (3 * half, 0.5, 4 * reach), "roof"),
        *(box(at(s * (half + 0.5), tall / 2, 0), (0.5, tall / 2, 4 * reach), "wall 0") for s in (-1, 1)),
        box(at(rng.uniform(-0.5, 0.5) * half, tall * 0.58, back), (reach * 0.2, tall * 0.2, 0.03), "daylight"),
    ]
    for side in (-1, 1):
        if rng.random() < 0.7:
            solids.append(box(at(side * half * 0.75, tall * 0.6, back), (reach * 0.09, reach * 0.11, 0.03), "rock"))
        if rng.random() < 0.75:
            wide, high = reach * rng.uniform(0.12, 0.3), reach * rng.uniform(0.12, 0.4)
            solids.append(box(at(side * (half - wide), high, back - wide), (wide, high, wide), "trunk"))
        if rng.random() < 0.4:
            foot = at(side * half * 0.85, 0, rng.uniform(0, 0.7) * back)
            solids.append(tube(foot, 0.16 * reach, 0.06 * reach, "rock"))
            leaves = (0.11 * reach, 0.17 * reach, 0.11 * reach)
            solids.append(ball(foot + at(0, 0.3 * reach, 0), leaves, "crown"))
    return solids


FORMS: tuple[Form, ...] = ("box", "ball", "tube", "roof")


def clutter(rng: np.random.Generator, reach: float) -> list[Solid]:
    """Boxes, balls, posts and panels of every size, tilted anyhow."""
    solids = []
    for number, foot in enumerate(_scattered(rng, int(rng.integers(8, 20)), 0.2, 3.5, reach)):
        size = reach * rng.uniform(0.06, 0.4, 3) * (0.5 + 0.5 * foot[2] / reach)
        tone, turn = f"any {number}", turned("y", rng.uniform(-3, 3)) @ turned("x", rng.normal(0, 0.25))
        form = FORMS[rng.integers(len(FORMS))]
        centre = foot + at(0, size[1] * rng.uniform(0.5, 1), 0)
        solids.append(Solid(form, placed(centre, tuple(size), turn), tone, float(rng.uniform(0.3, 1))))
    if rng.random() < 0.6:
        wall = at(0, 0, reach * rng.uniform(1.0, 3.5))
        half = (9 * reach, reach * rng.uniform(0.4, 3), 0.1)
        solids.append(box(wall, half, "wall 0", turned("y", rng.normal(0, 0.2))))
    return solids


def grounds(environment: str, rng: np.random.Generator, reach: float, afloat: bool) -> list[Solid]:
    """Solids that lie on the ground of an environment: the sea before a beach, the pavements and marks of a street."""
    reach = min(max(reach, 2.0), 22.0)
    thin = 0.004 * reach
    if environment == "beach":
        shore = -0.75 * reach if afloat else rng.uniform(0.25, 0.7) * reach
        surf = box(at(0, 0, shore), (300, thin * 0.9, 0.05 * reach), "foam", turned("y", rng.normal(0, 0.04)))
        return [box(at(0, 0, shore + 100), (300, thin, 100), "water"), surf]
    if environment == "city street":
        half = reach * rng.uniform(0.55, 0.8)
        sides = [box(at(s * (half + 40), 0, 30), (40, 2 * thin, 100), "pavement") for s in (-1, 1)]
        dashes = [box(at(0, 0, z * 0.5 * reach), (0.025 * reach, thin, 0.12 * reach), "foam") for z in range(-1, 7)]
        return sides + dashes
    return []


LAYOUTS: dict[str, Callable[[np.random.Generator, float], list[Solid]]] = {
    "snowy field": snowy_field,
    "grass meadow": grass_meadow,
    "desert": desert,
    "beach": beach,
    "city street": city_street,
    "forest": forest,
    "mountains": mountains,
    "room": room,
    "clutter": clutter,
}
