"""The judge's training set: renders of worlds with the attributes that edits ask for, made once and kept on disk.

Some of the pictures show little or nothing of the subject (`spoiled`), so that a judge that is pointed at a place in
them does not answer with the typical outline around that place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, Int8, UInt8

from recast.evaluation.cases.worlds import FRAMINGS, TEXTURED
from recast.world import Scene, rendered, sampled
from recast.world.captions import UNLIT
from recast.world.surroundings import LAYOUTS
from recast.world.words import COLOURS, ENVIRONMENTS, LOOKS

FIRST_LESSON_SEED = 8_000_000
"""First seed of the training pictures; no evaluation case and no training of a generator uses seeds from here on."""
SIDE = 128
"""Rows and columns of the pictures."""
MOST_SUBJECTS = 4
UNTOLD = -100
"""The label of what a picture does not show; cross-entropy passes over it."""
EXAM_SHARE = 0.7
"""Share of training pictures built like evaluation cases: one subject in the sun, in the colours that words name."""
DECODED = 2
"""One picture of so many goes through an autoencoder, as every generated picture does."""
CHUNK = 1000
SOFT, GONE = 0.4, 0.25
"""Shares of spoiled pictures that are blurred, and that lack their subjects; the rest are blank."""
SOFTEST = 32.0
"""Largest standard deviation, in pixels, of a blur; the smallest is 1."""
FLAT = 0.35
"""Share of blank pictures that have one colour; the others are noise of any scale."""
NOTHING = float("inf")
"""The softness of a picture that shows nothing of its subjects."""

Picture = UInt8[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]
Pictures = UInt8[np.ndarray, "b h w 3"]
Decode = Callable[[Pictures, np.random.Generator], Pictures]


@dataclass(frozen=True, eq=False)
class JudgeDataset:
    """Pictures with their truth.

    masks: the number of the subject that each pixel shows, 0 for none, in the sharp render; environment, look, colours:
    places in the tables of words; colours: one for each subject, UNTOLD where the look does not show it.
    softness: standard deviation, in pixels, of the blur that the render went through: 0 for none, NOTHING where the
    picture does not show the subjects at all. `outlined` says what is left of a mask then.
    """

    pictures: Pictures
    masks: UInt8[np.ndarray, "b h w"]
    environment: Int8[np.ndarray, " b"]
    look: Int8[np.ndarray, " b"]
    colours: Int[np.ndarray, "b subjects"]
    softness: Float32[np.ndarray, " b"]

    def __len__(self) -> int:
        return len(self.pictures)


Teach = Callable[..., JudgeDataset]
"""`taught` or `spoiled`."""


def scene(number: int) -> Scene:
    """The scene of a training picture: an environment's surfaces on the shapes of any, as an edit would."""
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
    """The training pictures of these numbers; every second one is as `decode` gives it back."""
    scenes = [scene(number) for number in numbers]
    clips = [rendered(each, 1, side, side) for each in scenes]
    pictures = np.concatenate([clip.frames for clip in clips])
    return JudgeDataset(
        _decoded(pictures, numbers, decode),
        np.concatenate([clip.masks for clip in clips]),
        np.array([tuple(ENVIRONMENTS).index(each.environment) for each in scenes], np.int8),
        np.array([tuple(LOOKS).index(each.look) for each in scenes], np.int8),
        np.array([_colours(each) for each in scenes]),
        np.zeros(len(scenes), np.float32),
    )


def spoiled(numbers: Sequence[int], decode: Decode | None = None, side: int = SIDE) -> JudgeDataset:
    """Those training pictures with little or nothing left to outline: blurred, without their subjects, or blank.

    They tell outlines only: words are UNTOLD.
    """
    sharp = taught(numbers, side=side)
    rngs = [np.random.default_rng([FIRST_LESSON_SEED + number, 43]) for number in numbers]
    rows = [_spoiled(number, picture, rng) for number, picture, rng in zip(numbers, sharp.pictures, rngs, strict=True)]
    pictures, softness = zip(*rows, strict=True)
    untold = {name: np.full_like(getattr(sharp, name), UNTOLD) for name in ("environment", "look", "colours")}
    shown = _decoded(np.stack(pictures), numbers, decode)
    return replace(sharp, pictures=shown, softness=np.array(softness, np.float32), **untold)


def outlined(mask: Mask, softness: float) -> Mask:
    """The part of a mask that a picture of this softness still shows: where half of the light is the subject's.

    A mild blur rounds an outline off and loses thin parts. A stronger one draws it in, until, beyond about .85 of the
    radius of a round subject (exp(-r^2 / 2 s^2) = 1/2), no place has half of its light from the subject. There what is
    seen is a stain whose size and shape are those of the blur, and an empty outline is the truth.
    """
    if softness == NOTHING:
        return np.zeros_like(mask)
    return blurred(mask.astype(np.float32), softness) > 0.5 if softness else mask


def blank(side: int, rng: np.random.Generator) -> Picture:
    """One colour, or smooth noise: from a gradient across the whole picture down to noise of single pixels."""
    cells = 1 if rng.random() < FLAT else round(float(np.exp(rng.uniform(np.log(2), np.log(side)))))
    channels = int(rng.choice([1, 3]))
    middle, contrast = rng.uniform(0, 255, channels), rng.uniform(0, 128)
    values = np.broadcast_to(middle + contrast * rng.uniform(-1, 1, (cells, cells, channels)), (cells, cells, 3))
    smooth = cv2.resize(values.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    return smooth.clip(0, 255).astype(np.uint8)


def blurred(values: np.ndarray, softness: float) -> np.ndarray:
    """Through a Gaussian of that standard deviation in pixels; beyond the frame its edge goes on."""
    return cv2.GaussianBlur(values, (0, 0), softness, borderType=cv2.BORDER_REPLICATE)


def written(folder: Path, count: int, decode: Decode | None = None, teach: Teach = taught) -> list[JudgeDataset]:
    """`count` training pictures in chunks of 1000, memory-mapped; what `folder` holds already is not rendered again.

    A world that has come to look otherwise gets pictures of its own beside the old ones.
    """
    folder = folder / _digest(teach)
    return [
        _chunk(folder / f"{first // CHUNK:03d}", range(first, first + CHUNK), decode, teach)
        for first in range(0, count, CHUNK)
    ]


def _spoiled(number: int, picture: Picture, rng: np.random.Generator) -> tuple[Picture, float]:
    """What becomes of the render, and its softness."""
    side, drawn = len(picture), rng.random()
    if drawn < SOFT:
        softness = float(np.exp(rng.uniform(0, np.log(SOFTEST))))
        return blurred(picture, softness), softness
    if drawn < SOFT + GONE:
        whole = scene(number)
        # Behind the camera: a scene has to have a subject.
        absent = tuple(replace(each, position=(0.0, 0.0, -1000.0)) for each in whole.subjects)
        return rendered(replace(whole, subjects=absent), 1, side, side).frames[0], NOTHING
    return blank(side, rng), NOTHING


def _decoded(pictures: Pictures, numbers: Sequence[int], decode: Decode | None) -> Pictures:
    places = [place for place, number in enumerate(numbers) if number % DECODED == 0]
    if decode and places:
        pictures[places] = decode(pictures[places], np.random.default_rng([FIRST_LESSON_SEED + numbers[0], 41]))
    return pictures


def _chunk(folder: Path, numbers: range, decode: Decode | None, teach: Teach) -> JudgeDataset:
    names = [field.name for field in fields(JudgeDataset)]
    if not folder.exists():
        part = folder.with_suffix(".part")
        part.mkdir(parents=True, exist_ok=True)
        lessons = teach(numbers, decode)
        for name in names:
            np.save(part / f"{name}.npy", getattr(lessons, name))
        part.rename(folder)
    return JudgeDataset(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in names))


def _digest(teach: Teach) -> str:
    """Of some of the pictures, one of each look at least."""
    return sha256(teach(range(48), side=64).pictures.tobytes()).hexdigest()[:8]


def _colours(scene: Scene) -> list[int]:
    shown = [
        UNTOLD
        if scene.look == "pencil sketch" or (scene.look == "neon" and subject.colour in UNLIT)
        else tuple(COLOURS).index(subject.colour)
        for subject in scene.subjects
    ]
    return shown + [UNTOLD] * (MOST_SUBJECTS - len(shown))
