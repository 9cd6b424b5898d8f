"""What each output says of its making: the request, and what it was made with, by digest."""

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recast.editing.request import Request
from recast.editing.schedules import files_in
from recast.editing.values import ALPHA
from recast.errors import MediaError

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MADE, JOINED = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"
"""IPTC's words for what a model made, and for what holds some of that beside the source's own pixels."""


@dataclass(frozen=True)
class Record:
    """The run's record. Nothing in it changes from run to run on one machine, so that a rerun gives the same bytes.

    recast: the version. request: as `Request.to_dict`. model: name and digest. inputs: the SHA-256 of each file that
    was read, by its path as given. worked: size, frames, device, number format, guidance and enlargement that were
    used. notes: what had to be given up or assumed. digital_source_type: that of IPTC, by its address.
    """

    recast: str
    request: dict[str, Any]
    model: dict[str, str]
    inputs: dict[str, str]
    worked: dict[str, Any]
    notes: tuple[str, ...] = ()
    digital_source_type: str = ""

    @classmethod
    def made(
        cls, request: Request, *, model_digest: str, worked: dict[str, Any], notes: tuple[str, ...] = ()
    ) -> "Record":
        """The record of a run of this request with this version."""
        model = {"name": request.model, "digest": model_digest}
        inputs = {str(path): digest(path) for path in input_files(request)}
        kind = SOURCE_TYPES + (MADE if request.mask is None else JOINED)
        return cls(version("recast-video"), request.to_dict(), model, inputs, worked, notes, kind)

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """The record that `to_json` wrote. Raises MediaError where it is none."""
        try:
            fields = json.loads(text)
            record = cls(**fields | {"notes": tuple(fields.get("notes", ()))})
            for part in (record.request, record.model, record.inputs, record.worked):
                if not isinstance(part, dict):
                    raise TypeError(f"a {type(part).__name__} where names and values should be")
            return record
        except (AttributeError, RecursionError, TypeError, ValueError) as fault:
            raise MediaError(f"the file's record is damaged, or not recast's: {fault}") from None

    def to_json(self) -> str:
        """One line of JSON. Names of files that are no Unicode text are written with escapes."""
        text = json.dumps(asdict(self), ensure_ascii=False)
        return text if text.isascii() or _is_unicode(text) else json.dumps(asdict(self))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def input_files(request: Request) -> tuple[Path, ...]:
    """The files and folders that a request reads, without the model."""
    named = [Path(path) for path, _ in (*request.pictures, *request.adapters)]
    named += request.structure_from.values()
    named += map(Path, files_in(request.schedules))
    mask = None if request.mask == ALPHA else request.mask
    single = (request.source, mask, request.flow, request.storyboard, request.layout, request.strokes)
    return tuple(path for path in (*single, *named) if path is not None)


def digest(path: Path) -> str:
    """The SHA-256 of a file; of a folder or a pattern such as shot_%04d.png, that of its files' names and digests."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    folder, among = (path, "**/*") if path.is_dir() else (path.parent, f"*{path.suffix}")
    held = sorted(file for file in folder.glob(among) if file.is_file())
    lines = [f"{file.relative_to(folder).as_posix()} {digest(file)}\n" for file in held]
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()
