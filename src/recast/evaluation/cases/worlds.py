"""Test cases on rendered worlds: a source clip of an unseen seed, the edit to make, and its reference render."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from recast.world import Footage, Scene, rendered, sampled
from recast.world.captions import UNLIT, plain_caption, tells_colour, tells_place
from recast.world.words import COLOURS, ENVIRONMENTS, LOOKS

FIRST_SEED = 10_000_000
"""Seeds from here on are never trained on."""
FIRST_PICTURE_SEED = 20_000_000
TRIES = 16
"""Seeds that belong to one case; the first whose subject can be seen is taken."""
FRAMINGS = (0.35, 0.8)
SEEN_SHARES = (0.02, 0.5)
"""The least and most of a frame that a clearly visible subject covers."""
TEXTURED = 0.2
"""How textured the wanted worlds are: surfaces keep the colours that words name."""
ON_SURFACES = ("plain", "claymation", "flat cartoon")
"""Looks whose marks lie on surfaces and move with them.

Hatching and paper lie still, and tubes glow over what is behind them: there the flow explains not even the world's own
render.
"""
PLACELESS = ("pencil sketch",)
"""Looks that do not tell the environment: on white paper a snowy field and a desert are the same lines."""
CHANGES = {"mixed": ("environment", "look", "colour"), "place": ("environment",), "colour": ("colour",)}
"""What each kind of case asks to change; what it does not name is asked to stay."""


@dataclass(frozen=True, eq=False)
class Case:
    """One edit to ask for, and its truth.

    kind: of CHANGES. source: the clip, a photograph of one subject by day. truth: the scene as a perfect edit would
    show it, the same subject, shapes and camera with the wanted attributes. example: another scene with these
    attributes, to be shown as a picture.
    """

    number: int
    source: Footage
    truth: Scene
    example: Scene
    kind: str = "mixed"

    @property
    def words(self) -> str:
        """The prompt: each attribute by its plainest phrase; no colour where none would show."""
        subject = self.truth.subjects[0]
        named = f"{subject.colour} {subject.kind}" if self.tells["colour"] else subject.kind
        article = "an" if named[0] in "aeiou" else "a"
        return f"{LOOKS[self.truth.look][0]} {article} {named} {ENVIRONMENTS[self.truth.environment][0]}"

    @property
    def source_words(self) -> str:
        """What the source shows, for methods that ask for it: its subject and where it is."""
        return plain_caption(self.source.scene)

    @property
    def target_attributes(self) -> dict[str, str]:
        """The attributes that the judge should recognise."""
        return attributes_of(self.truth)

    @property
    def tells(self) -> dict[str, bool]:
        """Which of them a perfect edit would show; only these are counted.

        A pencil sketch has no colours and no place, a neon tube is never black, brown or gray.
        """
        scene = self.truth
        unlit = scene.look == "neon" and scene.subjects[0].colour in UNLIT
        return {
            "environment": tells_place(scene) and scene.look not in PLACELESS,
            "look": True,
            "colour": tells_colour(scene) and not unlit,
        }

    @property
    def is_change(self) -> bool:
        """Whether anything that counts is to differ from the source; else doing nothing would be right."""
        shown = attributes_of(self.source.scene)
        return any(self.tells[name] and self.target_attributes[name] != shown[name] for name in shown)

    @property
    def kept(self) -> Bool[np.ndarray, "t h w"] | None:
        """Pixels where nothing was asked for, as the source has its subject; None where all may change."""
        subject = self.source.masks > 0
        return {"place": subject, "colour": ~subject}.get(self.kind)


def attributes_of(scene: Scene) -> dict[str, str]:
    """A scene's canonical words for what edits ask for."""
    return {"environment": scene.environment, "look": scene.look, "colour": scene.subjects[0].colour}


def case(number: int, side: int, num_frames: int = 8, kind: str = "mixed") -> Case:
    """The case of this number and kind, always the same; its frames have `side` rows and columns."""
    # Where surfaces are to stay as they are, the source has those of the truth.
    seed, source = _visible(number, side, num_frames, {} if kind == "mixed" else {"textured": TEXTURED})
    rng = np.random.default_rng([seed, 17])
    subject = source.scene.subjects[0]
    wanted = _wanted(rng, source.scene, kind)
    attributes = {
        "environment": wanted["environment"],
        "look": wanted["look"],
        "kinds": (subject.kind,),
        "colours": (wanted["colour"],),
        "num_subjects": 1,
        "time": "day",
        "weather": "sun",
        "textured": TEXTURED,
    }
    framing = float(rng.uniform(*FRAMINGS))
    return Case(
        number,
        source,
        truth=sampled(seed, layout=source.scene.layout, framing=_framing(seed), **attributes),
        example=sampled(FIRST_PICTURE_SEED + number, framing=framing, **attributes),
        kind=kind,
    )


def _wanted(rng: np.random.Generator, scene: Scene, kind: str) -> dict[str, str]:
    """The words to ask for: drawn where the kind changes them; in place and colour cases never the source's own."""
    words = {"environment": tuple(ENVIRONMENTS), "look": tuple(LOOKS), "colour": tuple(COLOURS)}
    shown = attributes_of(scene)
    if kind != "mixed":
        words = {
            name: tuple(word for word in choices if word != shown[name]) if name in CHANGES[kind] else (shown[name],)
            for name, choices in words.items()
        }
    return {name: _one(rng, choices) for name, choices in words.items()}


def _visible(number: int, side: int, num_frames: int, wanted: dict[str, float]) -> tuple[int, Footage]:
    for seed in range(FIRST_SEED + TRIES * number, FIRST_SEED + TRIES * (number + 1)):
        wishes = {"look": "plain", "time": "day", "weather": "sun", "num_subjects": 1} | wanted
        source = rendered(sampled(seed, framing=_framing(seed), **wishes), num_frames, side, side)
        covered = (source.masks > 0).mean(axis=(1, 2))
        if covered.min() >= SEEN_SHARES[0] and covered.max() <= SEEN_SHARES[1]:
            return seed, source
    raise AssertionError(f"no seed of case {number} shows its subject")


def _framing(seed: int) -> float:
    return float(np.random.default_rng([seed, 19]).uniform(*FRAMINGS))


def _one(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]
