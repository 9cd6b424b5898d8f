"""What the judge learns from: pictures of worlds as edits are asked for, rendered once and kept on disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int8, UInt8

from recast.evaluation.cases.worlds import FRAMINGS, TEXTURED
from recast.world import Scene, rendered, sampled
from recast.world.captions import UNLIT
from recast.world.surroundings import LAYOUTS
from recast.world.words import COLOURS, ENVIRONMENTS, LOOKS

FIRST_LESSON_SEED = 8_000_000
"""Lessons have seeds of their own, which no exam and no training of a model uses."""
SIDE = 128
"""Rows and columns of the pictures."""
MOST_SUBJECTS = 4
UNTOLD = -100
"""The label of what a picture does not show; cross-entropy passes over it."""
EXAM_SHARE = 0.7
"""Of lessons that are as exams are: one subject in the sun, whose surfaces have the colours that words name."""
DECODED = 2
"""One picture of so many goes through an autoencoder, as every generated picture does."""
CHUNK = 1000

Pictures = UInt8[np.ndarray, "b h w 3"]
Decode = Callable[[Pictures, np.random.Generator], Pictures]


@dataclass(frozen=True, eq=False)
class JudgeDataset:
    """Pictures with their truth.

    masks: the number of the subject that each pixel shows, 0 for none; environment, look, colours: places in the tables
    of words; colours: one for each subject, UNTOLD where the look does not show it.
    """

    pictures: Pictures
    masks: UInt8[np.ndarray, "b h w"]
    environment: Int8[np.ndarray, " b"]
    look: Int8[np.ndarray, " b"]
    colours: Int[np.ndarray, "b subjects"]

    def __len__(self) -> int:
        return len(self.pictures)


def scene(number: int) -> Scene:
    """What the lesson of this number shows: an environment's surfaces on the shapes of any, as an edit would."""
    seed = FIRST_LESSON_SEED + number
    rng = np.random.default_rng([seed, 37])
    wishes = {
        "time": "day",
        "look": tuple(LOOKS)[int(rng.integers(len(LOOKS)))],
        "layout": tuple(LAYOUTS)[int(rng.integers(len(LAYOUTS)))],
        "textured": float(rng.uniform(0, 0.5)),
    }
    if rng.random() < EXAM_SHARE:
        framing = float(rng.uniform(*FRAMINGS))
        wishes |= {"weather": "sun", "num_subjects": 1, "textured": TEXTURED, "framing": framing}
    return sampled(seed, **wishes)


def taught(numbers: Sequence[int], decode: Decode | None = None, side: int = SIDE) -> JudgeDataset:
    """The lessons of these numbers; every second one is as `decode` gives it back."""
    scenes = [scene(number) for number in numbers]
    clips = [rendered(each, 1, side, side) for each in scenes]
    pictures = np.concatenate([clip.frames for clip in clips])
    decoded = [place for place, number in enumerate(numbers) if number % DECODED == 0]
    if decode and decoded:
        pictures[decoded] = decode(pictures[decoded], np.random.default_rng([FIRST_LESSON_SEED + numbers[0], 41]))
    return JudgeDataset(
        pictures,
        np.concatenate([clip.masks for clip in clips]),
        np.array([tuple(ENVIRONMENTS).index(each.environment) for each in scenes], np.int8),
        np.array([tuple(LOOKS).index(each.look) for each in scenes], np.int8),
        np.array([_colours(each) for each in scenes]),
    )


def written(folder: Path, count: int, decode: Decode | None = None) -> list[JudgeDataset]:
    """`count` lessons in chunks of 1000, memory-mapped; what `folder` holds already is not rendered again.

    A world that has come to look otherwise gets lessons of its own beside the old ones.
    """
    folder = folder / _world_digest()
    return [
        _chunk(folder / f"{first // CHUNK:03d}", range(first, first + CHUNK), decode)
        for first in range(0, count, CHUNK)
    ]


def _chunk(folder: Path, numbers: range, decode: Decode | None) -> JudgeDataset:
    names = ("pictures", "masks", "environment", "look", "colours")
    if not folder.exists():
        part = folder.with_suffix(".part")
        part.mkdir(parents=True, exist_ok=True)
        lessons = taught(numbers, decode)
        for name in names:
            np.save(part / f"{name}.npy", getattr(lessons, name))
        part.rename(folder)
    return JudgeDataset(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in names))


def _world_digest() -> str:
    """Of some pictures of the world, one of each look at least."""
    return sha256(taught(range(48), side=64).pictures.tobytes()).hexdigest()[:8]


def _colours(scene: Scene) -> list[int]:
    shown = [
        UNTOLD
        if scene.look == "pencil sketch" or (scene.look == "neon" and subject.colour in UNLIT)
        else tuple(COLOURS).index(subject.colour)
        for subject in scene.subjects
    ]
    return shown + [UNTOLD] * (MOST_SUBJECTS - len(shown))
