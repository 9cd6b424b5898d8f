"""Instructions: how a scene is to be changed in one attribute, in words, and the scene that does it exactly."""

from dataclasses import replace
from typing import Any

import numpy as np

from recast.world.captions import UNLIT, tells_colour, tells_place
from recast.world.scene import Scene
from recast.world.words import COLOURS, ENVIRONMENTS, KINDS, LOOKS, TIME_ADJECTIVES, TIMES, WEATHERS

INSTRUCTION_WORDS = ("make", "it", "the")
"""Words of instructions that no caption has."""
CHANCES = {"environment": 0.3, "look": 0.25, "time": 0.15, "weather": 0.1, "colour": 0.2}
"""How often each attribute is the one to change, where the scene shows it."""


def changed(scene: Scene, rng: np.random.Generator) -> tuple[Scene, str]:
    """The scene with one attribute that it shows changed, and which: a name in CHANCES.

    Bodies, camera and the shapes that stand around are the same.
    """
    shown = {
        "environment": tells_place(scene) and scene.layout != "room",
        "look": True,
        "time": scene.layout != "room",
        "weather": scene.layout != "room",
        "colour": tells_colour(scene),
    }
    names = [name for name, there in shown.items() if there]
    chances = np.array([CHANCES[name] for name in names])
    name = names[int(rng.choice(len(names), p=chances / chances.sum()))]
    if name == "colour":
        first, *others = scene.subjects
        named = [each for each in COLOURS if not (scene.look == "neon" and each in UNLIT)]
        return replace(scene, subjects=(replace(first, colour=_other(rng, named, first.colour)), *others)), name
    table = {"environment": [each for each in ENVIRONMENTS if each != "room"], "look": LOOKS, "time": TIMES}
    other = _other(rng, list(table.get(name, WEATHERS)), getattr(scene, name))
    made: Any = {name: other}
    return replace(scene, **made), name


def instruction(scene: Scene, name: str, rng: np.random.Generator) -> str:
    """Words that ask for the attribute of that name as this scene has it."""
    subject = scene.subjects[0]
    if name == "colour":
        colour, kind = _pick(rng, COLOURS[subject.colour]), _pick(rng, KINDS[subject.kind])
        return f"make the {kind} {colour}" if rng.random() < 0.6 else f"{_article(colour)} {colour} {kind}"
    if name == "look":
        style = _pick(rng, LOOKS[scene.look]).removesuffix(" of")
        return f"make it {style}" if rng.random() < 0.6 else style
    if name == "time" and rng.random() < 0.4:
        return f"make it {_pick(rng, TIME_ADJECTIVES[scene.time])}"
    table = {"environment": ENVIRONMENTS, "time": TIMES, "weather": WEATHERS}[name]
    phrase = _pick(rng, table[getattr(scene, name)])
    return f"make it {phrase}" if rng.random() < 0.5 else phrase


def _other(rng: np.random.Generator, names: list[str], own: str) -> str:
    others = [name for name in names if name != own]
    return others[int(rng.integers(len(others)))]


def _pick(rng: np.random.Generator, phrases: tuple[str, ...]) -> str:
    # The first phrase is the plainest, and what most people type.
    return phrases[0] if rng.random() < 0.35 else phrases[int(rng.integers(len(phrases)))]


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
