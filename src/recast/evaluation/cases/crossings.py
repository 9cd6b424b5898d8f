"""Test cases on scenes whose subjects hide each other: the clip, the edit to make, and its reference render."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from recast.world import Footage, Scene, rendered
from recast.world.captions import plain_caption
from recast.world.crossings import CLEAR_COLOURS, crossing
from recast.world.words import ENVIRONMENTS

FIRST_CROSSING_SEED = 40_000_000
"""Seeds from here on are never trained on."""
SEEDS = 16
"""That belong to one case; the first whose subjects are seen before and after they are hidden is taken."""
LEAST_SEEN, LEAST_AREA = 0.5, 0.004
"""The share of its outline, and of the frame, from which on a subject counts as visible."""
PLAIN = {"look": "plain", "time": "day", "weather": "sun", "textured": 0.2}
"""Scenes are photographs by day, whose surfaces keep the colours that words name."""


@dataclass(frozen=True, eq=False)
class CrossingCase:
    """One edit to ask for, and its truth.

    source: a clip of two subjects (even numbers) or three (odd ones). truth: the scene as a perfect edit would show it:
    all colours of subjects other ones, or the place another one (numbers 2 and 3 of each four). visible: whether each
    subject can be seen in each frame.
    """

    number: int
    source: Footage
    truth: Scene
    visible: Bool[np.ndarray, "subjects t"]

    @property
    def changes(self) -> str:
        """What the edit is of: colours, or place."""
        return _changes(self.number)

    @property
    def words(self) -> str:
        """The prompt of the edit."""
        return plain_caption(self.truth)

    @property
    def source_words(self) -> str:
        """What the source shows: its caption."""
        return plain_caption(self.source.scene)

    @property
    def masks(self) -> Bool[np.ndarray, "subjects t h w"]:
        """What is seen of each subject, in source and truth alike."""
        return np.stack([self.source.masks == number for number in range(1, len(self.visible) + 1)])

    @property
    def hidden(self) -> tuple[int, ...]:
        """The subjects that are hidden for a while and visible before and after, by their index."""
        return tuple(index for index, row in enumerate(self.visible) if passes_behind(row) is not None)


def crossing_case(number: int, side: int, num_frames: int = 8) -> CrossingCase:
    """The case of this number, always the same; its frames have `side` rows and columns."""
    for seed in range(FIRST_CROSSING_SEED + SEEDS * number, FIRST_CROSSING_SEED + SEEDS * (number + 1)):
        scene = crossing(seed, 2 + number % 2, **PLAIN)
        source = rendered(scene, num_frames, side, side)
        visible = _visible(source, seen_shares(source))
        if all(passes_behind(row) is not None for row in visible[1:]):
            return CrossingCase(number, source, _edited(scene, number), visible)
    raise AssertionError(f"no seed of case {number} hides its subjects and shows them again")


def seen_shares(source: Footage) -> Float[np.ndarray, "subjects t"]:
    """The share of each subject's outline that no other subject hides; 0 where it is out of the frame."""
    shape, shares = source.masks.shape, []
    for number, subject in enumerate(source.scene.subjects, 1):
        whole = (rendered(replace(source.scene, subjects=(subject,)), *shape).masks > 0).sum(axis=(1, 2))
        shares.append((source.masks == number).sum(axis=(1, 2)) / np.maximum(whole, 1))
    return np.stack(shares)


def passes_behind(visible: Bool[np.ndarray, " t"]) -> tuple[slice, slice] | None:
    """The frames before and after a subject is hidden, in which it is visible too; None where that is not so."""
    seen = np.flatnonzero(visible)
    gaps = np.flatnonzero(np.diff(seen) > 1)
    if not len(gaps):
        return None
    return slice(int(seen[0]), int(seen[gaps[0]]) + 1), slice(int(seen[gaps[-1] + 1]), int(seen[-1]) + 1)


def _visible(source: Footage, shares: Float[np.ndarray, "subjects t"]) -> Bool[np.ndarray, "subjects t"]:
    areas = np.stack([(source.masks == number).mean(axis=(1, 2)) for number in range(1, len(shares) + 1)])
    return (shares >= LEAST_SEEN) & (areas >= LEAST_AREA)


def _changes(number: int) -> str:
    return "colours" if number % 4 < 2 else "place"


def _edited(scene: Scene, number: int) -> Scene:
    """The scene with other colours, none of them in its place, or in another place with its shapes around."""
    rng = np.random.default_rng([scene.seed, 29])
    if _changes(number) == "place":
        others = [name for name in ENVIRONMENTS if name != scene.environment]
        return replace(scene, environment=str(rng.choice(others)))
    own = [subject.colour for subject in scene.subjects]
    while True:
        colours = rng.permutation(CLEAR_COLOURS)[: len(own)].tolist()
        if all(colour != old for colour, old in zip(colours, own, strict=True)):
            subjects = [replace(each, colour=colour) for each, colour in zip(scene.subjects, colours, strict=True)]
            return replace(scene, subjects=tuple(subjects))
