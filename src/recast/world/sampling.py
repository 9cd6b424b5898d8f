"""Random scenes, with some attributes held fixed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from recast.errors import RequestError
from recast.world.bodies import BODIES
from recast.world.camera import MOVES, Camera, Move
from recast.world.scene import Scene, Subject
from recast.world.surroundings import LAYOUTS
from recast.world.words import COLOURS, ENVIRONMENTS, KINDS, LOOKS, TIMES, WEATHERS

# People and animals are what most clips show; trees and houses stand in the background of worlds anyway.
KIND_CHANCES = (0.24, 0.13, 0.1, 0.08, 0.12, 0.08, 0.08, 0.07, 0.05, 0.05)
KNOWN = {  # values that each attribute may have
    "environment": ENVIRONMENTS,
    "time": TIMES,
    "weather": WEATHERS,
    "look": LOOKS,
    "layout": LAYOUTS,
    "kinds": KINDS,
    "colours": COLOURS,
    "move": MOVES,
}


def sampled(seed: int, **wanted: Any) -> Scene:  # noqa: ANN401 - one keyword for each attribute, checked below
    """A scene drawn from `seed`; the same arguments give the same scene.

    wanted: environment, time, weather, look, layout (canonical words), kinds and colours (sequences of canonical words,
    one for each subject), num_subjects, textured (0 to 1), framing (height of the first subject over the frame's short
    side), move (of the camera). All other attributes are random, drawn in a fixed order, so that fixing a look or an
    environment does not change the rest. Raises RequestError for an unknown attribute or value.
    """
    rng = np.random.default_rng([seed, 7])
    drawn = _drawn(rng)
    wishes = {name: value for name, value in wanted.items() if value is not None}
    _check(wishes, tuple(drawn))
    chosen = drawn | wishes
    asked = max(len(wishes.get("kinds", ())), len(wishes.get("colours", ())))
    count = wishes.get("num_subjects", asked or drawn["num_subjects"])
    kinds, colours = ([*wishes.get(name, ()), *drawn[name]][:count] for name in ("kinds", "colours"))
    layout = chosen["layout"] or ("clutter" if chosen["textured"] > 0.75 else chosen["environment"])
    frame = _framed(rng, kinds[0], chosen["framing"])
    subjects = _staged(rng, kinds, colours, frame)
    return Scene(
        environment=chosen["environment"],
        time=chosen["time"],
        weather=chosen["weather"],
        look=chosen["look"],
        subjects=tuple(sorted(subjects, key=lambda s: -s.height / (frame.reach + s.position[2]))),
        camera=_filmed(rng, subjects[0], frame, chosen["move"]),
        layout=layout,
        textured=chosen["textured"],
        reach=frame.reach,
        seed=seed,
    )


def _drawn(rng: np.random.Generator) -> dict[str, Any]:
    """All attributes, drawn at random."""
    return {
        "environment": _one(rng, tuple(ENVIRONMENTS)),
        "time": _one(rng, tuple(TIMES), (0.5, 0.2, 0.3)),
        "weather": _one(rng, tuple(WEATHERS), (0.55, 0.15, 0.15, 0.15)),
        "look": _one(rng, tuple(LOOKS), (0.4, 0.12, 0.12, 0.12, 0.12, 0.12)),
        "layout": _one(rng, tuple(LAYOUTS)) if rng.random() < 0.25 else None,
        "num_subjects": int(rng.choice(4, p=(0.55, 0.27, 0.12, 0.06))) + 1,
        "textured": float(rng.uniform(0, 0.5) if rng.random() < 0.85 else rng.uniform(0.5, 1)),
        "framing": _framing(rng),
        "move": _one(rng, MOVES, (0.3, 0.15, 0.2, 0.15, 0.2)),
        "kinds": [_one(rng, tuple(KINDS), KIND_CHANCES) for _ in range(4)],
        "colours": [_one(rng, tuple(COLOURS)) for _ in range(4)],
    }


def _check(wishes: dict[str, Any], names: tuple[str, ...]) -> None:
    if unknown := wishes.keys() - set(names):
        raise RequestError(f"a scene has no {', '.join(sorted(unknown))}; it has {', '.join(names)}")
    for name, known in KNOWN.items():
        value = wishes.get(name, ())
        for word in (value,) if isinstance(value, str) else value:
            if word not in known:
                raise RequestError(f"{name}: {word!r} is not in the world; choose from {', '.join(known)}")
    if not 1 <= wishes.get("num_subjects", 1) <= 4:
        raise RequestError(f"num_subjects: {wishes['num_subjects']} is not between 1 and 4")


def _one(rng: np.random.Generator, names: tuple[str, ...], chances: tuple[float, ...] | None = None) -> Any:  # noqa: ANN401
    return names[int(rng.choice(len(names), p=chances))]


def _framing(rng: np.random.Generator) -> float:
    """Height of the first subject over the short side: mostly a whole figure, sometimes close, sometimes a torso."""
    return float(rng.choice([rng.uniform(0.25, 0.5), rng.uniform(0.5, 0.9), rng.uniform(1.1, 2)], p=(0.6, 0.28, 0.12)))


@dataclass(frozen=True)
class Framing:
    """How a camera frames the first subject.

    share: of the short side that the subject takes; focal: over the short side; reach: metres to the subject; span:
    metres that the short side shows there; long: metres of the subject's larger side.
    """

    share: float
    focal: float
    reach: float
    span: float
    long: float


def _framed(rng: np.random.Generator, kind: str, share: float) -> Framing:
    main = BODIES[kind]
    if share > 1 and kind not in ("person", "horse", "dog"):
        share = share / 2
    if kind in ("cube", "ball", "house", "car", "boat"):
        share = min(share, 0.65)
    long, focal = max(main.height, 0.62 * main.length), float(rng.uniform(0.95, 1.7))
    # Of a bulky thing the nearest side decides its size on screen, not the middle.
    reach = long * focal / share + 0.45 * min(main.length, main.width)
    return Framing(share, focal, reach, reach / focal, long)


def _staged(rng: np.random.Generator, kinds: list[str], colours: list[str], frame: Framing) -> list[Subject]:
    """The first subject at the origin and the others beside it, before it and behind it, of about its size or less."""
    subjects = [_subject(rng, (kinds[0], colours[0]), (0.0, 0.0), 1.0, frame.span)]
    for name in zip(kinds[1:], colours[1:], strict=True):
        depth = float(rng.uniform(-0.22, 0.6)) * frame.reach
        nearness = 1 + depth / frame.reach
        tall = BODIES[name[0]].height
        size = min(tall, frame.long * float(rng.uniform(0.5, 1.05)) * nearness) / tall
        side = float(rng.choice([-1, 1]) * rng.uniform(0.2, 0.42)) * frame.span * nearness
        subjects.append(_subject(rng, name, (side, depth), size, frame.span))
    return subjects


def _subject(
    rng: np.random.Generator, name: tuple[str, str], place: tuple[float, float], size: float, span: float
) -> Subject:
    kind, colour = name
    slow, fast = BODIES[kind].speeds
    # The camera follows the first subject only; the others stay in view by not being fast.
    limit = fast * size if place == (0.0, 0.0) else 0.4 * span
    speed = min(float(rng.uniform(slow, fast)) * size, limit) if rng.random() < 0.85 else 0.0
    gait = 0.6 + 1.3 * max(speed / size - slow, 0) / (fast - slow) if speed else 0.0
    # Most walk across the view, some in any direction; what never walks shows its front.
    across, anywhere = rng.choice([-1, 1]) * rng.normal(np.pi / 2, 0.45), rng.uniform(-np.pi, np.pi)
    heading = anywhere if rng.random() < 0.2 else across
    if fast == 0:
        heading = np.pi + rng.normal(0, 0.5)
    altitude = rng.uniform(0.15, 0.5) * min(span, 4) if kind == "bird" else 0.0
    return Subject(
        kind=kind,
        colour=colour,
        position=(place[0], float(altitude), place[1]),
        heading=float(heading),
        speed=speed,
        size=size,
        phase=float(rng.uniform(0, 2 * np.pi)),
        gait=float(max(gait, 0.8) if kind == "bird" else gait),
    )


def _filmed(rng: np.random.Generator, first: Subject, frame: Framing, move: Move) -> Camera:
    """A camera that looks at the first subject, at its chest where it is too close for the whole."""
    middle = first.position[1] + first.height * (0.5 if frame.share < 1 else rng.uniform(0.62, 0.8))
    above = frame.span * rng.normal(0.06, 0.06) * (frame.share < 0.8)
    aim = np.array([rng.normal(0, 0.12) * frame.span, middle + above, 0.0])
    tilt, azimuth = np.clip(rng.normal(0.12, 0.1), -0.1, 0.4), rng.normal(0, 0.15)
    eye = aim + frame.reach * np.array([np.sin(azimuth), np.tan(tilt), -np.cos(azimuth)])
    eye[1] = max(eye[1], 0.12 * frame.span, 0.08)
    # It follows whoever would otherwise leave the frame within a second.
    velocity = first.speed * np.array([np.sin(first.heading), 0.0, np.cos(first.heading)])
    allowed = np.array([0.35, 1.0, 0.3]) * min(frame.span, first.height * 2.5) * rng.uniform(0.2, 1)
    drift = velocity - np.clip(velocity, -allowed, allowed)
    return Camera(
        eye=tuple(eye.tolist()),
        target=tuple(aim.tolist()),
        focal=frame.focal,
        move=move,
        rate=float(rng.uniform(0.3, 1.0) * rng.choice([-1, 1])),
        drift=tuple(drift.tolist()),
        phase=float(rng.uniform(0, 2 * np.pi)),
    )
