"""What a decoding process sends: a head of fixed size, then as many bytes as it says. It is data, never code."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from struct import Struct

import numpy as np
from jaxtyping import UInt8
from pydantic import TypeAdapter

from recast.errors import MediaError, RequestError
from recast.video.about import About
from recast.video.pictures import PictureFacts
from recast.video.shown import Shown
from recast.video.source import Damage, Source, Window
from recast.video.tracks import Wanted

HEAD = Struct("<cI")
"""Kind of message, and bytes that follow."""
PLACE = Struct("<qqqII")
"""Of a frame: time, duration, index, rows, columns; its pixels follow."""
BEGUN = Struct("<d")
"""Of a part of a sound: its time in seconds; its samples follow."""
FRAME, TICK, SOURCE, COMMENT, DAMAGE, SOUND, ERROR, END = b"F", b"T", b"S", b"C", b"D", b"A", b"E", b"Z"
ABOUT, PART, FACTS = b"I", b"P", b"L"
MOST_BYTES = 2**24
"""Of a message that is no frame."""
TOLD = {kind.__name__: kind for kind in (MediaError, RequestError)}
"""Errors that a decoding process may raise."""

_SOURCE, _DAMAGE, _ABOUT = TypeAdapter(Source), TypeAdapter(Damage), TypeAdapter(About)
_FACTS = TypeAdapter(PictureFacts)


def send(pipe: int, kind: bytes, body: bytes = b"") -> None:
    """Writes a message, all of it. Raises BrokenPipeError where nobody reads any more."""
    _send_all(pipe, HEAD.pack(kind, len(body)) + body)


def send_frame(pipe: int, shown: Shown) -> None:
    """Writes a frame."""
    rows, columns = shown.image.shape[:2]
    place = PLACE.pack(shown.pts, shown.duration, shown.index, rows, columns)
    _send_all(pipe, HEAD.pack(FRAME, PLACE.size + shown.image.nbytes) + place)
    _send_all(pipe, shown.image.data.cast("B"))


def frame_from_bytes(body: UInt8[np.ndarray, " n"], size: tuple[int, int]) -> Shown:
    """The frame. size: its rows and columns. Raises ValueError for one of another size."""
    pts, duration, index, *_ = PLACE.unpack_from(body.data)
    image = pixels_from_bytes(body, channels=3)
    if image.shape[:2] != size:
        raise ValueError("a frame is of another size than announced")
    return Shown(image, pts, index, duration)


def pixels_from_bytes(body: UInt8[np.ndarray, " n"], *, channels: int) -> UInt8[np.ndarray, "h w {channels}"]:
    """A frame's pixels alone. Raises ValueError for more or fewer than its rows and columns."""
    *_, rows, columns = PLACE.unpack_from(body.data)
    image = body[PLACE.size :]
    if image.nbytes != channels * rows * columns:
        raise ValueError("a frame is of another size than announced")
    return image.reshape(rows, columns, channels)


def _send_all(pipe: int, body: bytes | memoryview) -> None:
    rest = memoryview(body)
    while rest:
        rest = rest[os.write(pipe, rest) :]


def source_to_json(source: Source) -> bytes:
    """A source as JSON."""
    return _SOURCE.dump_json(source)


def source_from_json(text: bytes) -> Source:
    """The source. Raises ValueError for anything else."""
    return _SOURCE.validate_json(text)


def damage_to_json(damage: Damage) -> bytes:
    """Damage as JSON."""
    return json.dumps(asdict(damage)).encode()


def damage_from_json(text: bytes) -> Damage:
    """The damage. Raises ValueError for anything else."""
    return _DAMAGE.validate_json(text)


@dataclass(frozen=True)
class Errand:
    """What a decoding process is to do with a file: one of the answers of `recast.video.forked`.

    path: for its errors. source, window: of the frames. wanted: of the track. kinds: formats of a picture, by
    Pillow's names. alpha: how opaque it is in place of its colours.
    """

    what: str
    path: Path
    source: Source | None = None
    window: Window = field(default_factory=Window)
    wanted: Wanted | None = None
    kinds: tuple[str, ...] = ()
    alpha: bool = False


_ERRAND = TypeAdapter(Errand)


def errand_to_json(errand: Errand) -> bytes:
    """An errand as JSON."""
    source = None if errand.source is None else replace(errand.source, pictures=())
    return _ERRAND.dump_json(replace(errand, source=source))


def errand_from_json(text: bytes) -> Errand:
    """The errand. Raises ValueError for anything else."""
    return _ERRAND.validate_json(text)


def about_to_json(about: About) -> bytes:
    """What a file holds beside its pictures, as JSON."""
    return _ABOUT.dump_json(about)


def about_from_json(text: bytes) -> About:
    """What it holds. Raises ValueError for anything else."""
    return _ABOUT.validate_json(text)


def facts_to_json(facts: PictureFacts) -> bytes:
    """What a picture's head says, as JSON."""
    return _FACTS.dump_json(facts)


def facts_from_json(text: bytes) -> PictureFacts:
    """What it says. Raises ValueError for anything else."""
    return _FACTS.validate_json(text)


def error_to_json(error: MediaError | RequestError) -> bytes:
    """An error as JSON."""
    return json.dumps([type(error).__name__, str(error)]).encode()


def error_from_json(text: bytes) -> MediaError | RequestError:
    """The error. Raises ValueError for anything else."""
    name, message = json.loads(text)
    if name not in TOLD:
        raise ValueError(f"no error of a decoding process: {name!r}")
    return TOLD[name](message)
