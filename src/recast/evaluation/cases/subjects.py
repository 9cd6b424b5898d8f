"""Test cases of customization: pictures of a subject, and a clip in which it is to stand elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from recast.evaluation.cases.worlds import SEEN_SHARES, case
from recast.world import Footage, Scene, rendered, sampled
from recast.world.words import ENVIRONMENTS

FIRST_SUBJECT_SEED = 50_000_000
"""Seeds from here on are never trained on."""
SEEDS_OF_SUBJECT = 1000
PHOTOS = 15
"""As few as Gen-1's section 4.4 has them: 15 to 30."""


@dataclass(frozen=True, eq=False)
class SubjectCase:
    """A subject to learn, and an edit that asks for it.

    photos: of the subject, one frame each, each in a place and from a side of its own. source: a clip of one of its
    class in another colour. truth: the clip as a perfect edit would show it, with the subject in the asked place.
    """

    number: int
    photos: tuple[Footage, ...]
    source: Footage
    truth: Scene

    @property
    def class_name(self) -> str:
        """What the subject is."""
        return self.truth.subjects[0].kind

    def words(self, subject: str) -> str:
        """The prompt, with the subject called so."""
        return f"a {subject} {ENVIRONMENTS[self.truth.environment][0]}"


def subject_case(number: int, side: int, num_frames: int = 8) -> SubjectCase:
    """The case of this number, always the same; frames and photos have `side` rows and columns.

    The clip is that of a case in which a colour is to change: the subject to learn has that colour.
    """
    clip = case(number, side, num_frames, kind="colour")
    rng = np.random.default_rng([FIRST_SUBJECT_SEED + number, 31])
    place = str(rng.choice([name for name in ENVIRONMENTS if name != clip.source.scene.environment]))
    truth = replace(clip.truth, environment=place)
    views = _views(number, side, truth)
    return SubjectCase(number, tuple(next(views) for _ in range(PHOTOS)), clip.source, truth)


def _views(number: int, side: int, truth: Scene) -> Iterator[Footage]:
    """Photographs by day in which the subject can be clearly seen, in every place but the asked one."""
    subject, first = truth.subjects[0], FIRST_SUBJECT_SEED + SEEDS_OF_SUBJECT * number
    places = [name for name in ENVIRONMENTS if name != truth.environment]
    wishes = {"look": "plain", "time": "day", "weather": "sun", "textured": truth.textured, "num_subjects": 1}
    for seed in range(first, first + SEEDS_OF_SUBJECT):
        rng = np.random.default_rng([seed, 37])
        wanted = {"environment": str(rng.choice(places)), "framing": float(rng.uniform(0.4, 0.8))}
        scene = sampled(seed, kinds=(subject.kind,), colours=(subject.colour,), **wishes, **wanted)
        shown = rendered(scene, 1, side, side)
        if SEEN_SHARES[0] <= (shown.masks > 0).mean() <= SEEN_SHARES[1]:
            yield shown
