"""Captions: random English descriptions of a scene."""

import numpy as np

from recast.world.scene import Scene, Subject
from recast.world.words import (
    ACTIONS,
    COLOURS,
    ENVIRONMENTS,
    GROUPS,
    KINDS,
    LOOKS,
    PLACES,
    STYLES,
    TIME_ADJECTIVES,
    TIMES,
    WEATHERS,
)

# Beyond this much texture, surfaces have arbitrary colours, and a caption that names one would be wrong.
NAMED_BELOW = 0.6
UNLIT = ("black", "brown", "gray")  # no neon tube has such a colour


def captioned(scene: Scene, rng: np.random.Generator) -> str:
    """A random caption: the largest subjects, environment, look, time and weather of the scene, or some of them.

    It holds only what the picture shows: a pencil sketch has no colours, a room no weather.
    """
    kind = rng.random()
    if kind < 0.1:
        return _pick(rng, STYLES[scene.look]) if scene.look != "plain" else _place(scene, rng)
    if kind < 0.3:
        return _styled(scene, rng, _place(scene, rng), 0.85)
    who = _subjects(scene, rng)
    where = _pick(rng, ENVIRONMENTS[scene.environment]) if tells_place(scene) and rng.random() < 0.88 else ""
    return _styled(scene, rng, " ".join(filter(None, (who, where, _conditions(scene, rng)))), 0.92)


def plain_caption(scene: Scene) -> str:
    """Every subject by its colour and kind, and the place, each by its plainest phrase."""
    named = (f"{COLOURS[subject.colour][0]} {KINDS[subject.kind][0]}" for subject in scene.subjects)
    return f"{' and '.join(f'{_article(name)} {name}' for name in named)} {ENVIRONMENTS[scene.environment][0]}"


def tells_place(scene: Scene) -> bool:
    """Whether the environment is visible: under arbitrary textures it is not."""
    return scene.textured < NAMED_BELOW


def tells_colour(scene: Scene) -> bool:
    """Whether the colour of subjects is visible: not in a pencil sketch, not under arbitrary textures."""
    return scene.textured < NAMED_BELOW and scene.look != "pencil sketch"


def _has_colour(scene: Scene, subject: Subject) -> bool:
    return tells_colour(scene) and not (scene.look == "neon" and subject.colour in UNLIT)


def _pick(rng: np.random.Generator, phrases: tuple[str, ...]) -> str:
    # The first phrase is the plainest, and what most people type.
    return phrases[0] if rng.random() < 0.35 else phrases[int(rng.integers(len(phrases)))]


def _place(scene: Scene, rng: np.random.Generator) -> str:
    if not tells_place(scene):
        return _subjects(scene, rng)
    place = _pick(rng, PLACES[scene.environment])
    if rng.random() < 0.35 and (scene.time == "night" or rng.random() < 0.4):
        article, _, rest = place.partition(" ")
        adjective = _pick(rng, TIME_ADJECTIVES[scene.time])
        place = f"{'a' if article in ('a', 'an') else article} {adjective} {rest}" if rest else f"{adjective} {place}"
    return " ".join(filter(None, (place, _conditions(scene, rng))))


def _styled(scene: Scene, rng: np.random.Generator, text: str, share: float) -> str:
    """The text with the look before or after it; that of a photograph is mostly omitted."""
    if rng.random() > (share if scene.look != "plain" else 0.25):
        return text
    if rng.random() < 0.6:
        return f"{_pick(rng, LOOKS[scene.look])} {text}"
    return f"{text}, {_pick(rng, STYLES[scene.look])}"


def _conditions(scene: Scene, rng: np.random.Generator) -> str:
    """Time and weather, each rarely where it is the default and mostly where it is not."""
    phrases = []
    if rng.random() < (0.25 if scene.time == "day" else 0.85):
        phrases.append(_pick(rng, TIMES[scene.time]))
    shows = scene.environment != "room" and (scene.weather != "sun" or scene.time == "day")
    if shows and rng.random() < (0.25 if scene.weather == "sun" else 0.85):
        phrases.append(_pick(rng, WEATHERS[scene.weather]))
    return (" " if rng.random() < 0.6 else ", ").join(phrases)


def _subjects(scene: Scene, rng: np.random.Generator) -> str:
    first, *others = scene.subjects
    name = _subject(scene, first, rng)
    if others and rng.random() < 0.75:
        return _pick(rng, GROUPS).format(name, _subject(scene, others[0], rng))
    return f"{name} {_action(first, rng)}" if rng.random() < 0.6 else name


def _subject(scene: Scene, subject: Subject, rng: np.random.Generator) -> str:
    noun = _pick(rng, KINDS[subject.kind])
    if not (_has_colour(scene, subject) and rng.random() < 0.88):
        return f"{_article(noun)} {noun}"
    colour = _pick(rng, COLOURS[subject.colour])
    if subject.kind == "person" and rng.random() < 0.5:
        return f"{_article(noun)} {noun} in {colour}" + rng.choice(["", " clothes"])
    return f"{_article(colour)} {colour} {noun}"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _action(subject: Subject, rng: np.random.Generator) -> str:
    return _pick(rng, ACTIONS[subject.kind][0 if subject.speed == 0 else 1 if subject.gait < 1.4 else 2])
