"""What a decoding process sends: a head of fixed size, then as many bytes as it says. It is data, never code."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from struct import Struct

from pydantic import TypeAdapter

from recast.errors import MediaError, RequestError
from recast.video.shown import Shown
from recast.video.source import Damage, Source, Window

HEAD = Struct("<cI")
"""Kind of message, and bytes that follow."""
PLACE = Struct("<qqqII")
"""Of a frame: time, duration, index, rows, columns; its pixels follow."""
BEGUN = Struct("<d")
"""Of a part of a sound: its time in seconds; its samples follow."""
FRAME, TICK, SOURCE, COMMENT, DAMAGE, SOUND, ERROR, END = b"F", b"T", b"S", b"C", b"D", b"A", b"E", b"Z"
MOST_BYTES = 2**24
"""Of a message that is no frame."""
TOLD = {kind.__name__: kind for kind in (MediaError, RequestError)}
"""Errors that a decoding process may raise."""

_SOURCE, _DAMAGE, _WINDOW = TypeAdapter(Source), TypeAdapter(Damage), TypeAdapter(Window)


def send(pipe: int, kind: bytes, body: bytes = b"") -> None:
    """Writes a message, all of it. Raises BrokenPipeError where nobody reads any more."""
    _send_all(pipe, HEAD.pack(kind, len(body)) + body)


def send_frame(pipe: int, shown: Shown) -> None:
    """Writes a frame."""
    rows, columns = shown.image.shape[:2]
    place = PLACE.pack(shown.pts, shown.duration, shown.index, rows, columns)
    _send_all(pipe, HEAD.pack(FRAME, PLACE.size + shown.image.nbytes) + place)
    _send_all(pipe, shown.image.data.cast("B"))


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


def request_to_json(what: str, source: Source | None, window: Window, path: Path | None = None) -> bytes:
    """What a decoding process is to do: "probe" or "frames" of a file, or the "comment" in it. path: for its errors."""
    held = None if source is None else source_to_json(replace(source, pictures=())).decode()
    place = str(path if source is None else source.path)
    return json.dumps({"what": what, "path": place, "source": held, "window": asdict(window)}).encode()


def request_from_json(text: bytes) -> tuple[str, str, Source | None, Window]:
    """What `request_to_json` had."""
    asked = json.loads(text)
    source = asked["source"] and source_from_json(asked["source"])
    return asked["what"], asked["path"], source or None, _WINDOW.validate_python(asked["window"])


def error_to_json(error: MediaError | RequestError) -> bytes:
    """An error as JSON."""
    return json.dumps([type(error).__name__, str(error)]).encode()


def error_from_json(text: bytes) -> MediaError | RequestError:
    """The error. Raises ValueError for anything else."""
    name, message = json.loads(text)
    if name not in TOLD:
        raise ValueError(f"no error of a decoding process: {name!r}")
    return TOLD[name](message)
