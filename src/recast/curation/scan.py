"""First pass: a material decoded, cut into shots, its clips filtered. Its results are stored as JSON."""

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from recast.curation.buckets import Size, enlargement, fitted, nearest
from recast.curation.copies import perceptual_hash
from recast.curation.filters import LOOKED_PX, judged
from recast.curation.materials import Material, SourceKind
from recast.curation.settings import Settings
from recast.curation.shots import Span, clips, shots, spans
from recast.data.storage import picture, write_text
from recast.errors import ExtraError, MediaError
from recast.video.read import Frame, Source, Window, frames, opened
from recast.video.resize import resized

WORLD_FPS = 10.0
THUMB = Size(144, 96)
THUMBS_EACH = 2
"""Most thumbnails of one material for each outcome."""
SMALL, SHORT = "small", "short"
"""Reasons that need no decoding: too small for its bucket; a shot shorter than a clip."""


@dataclass(frozen=True)
class Candidate:
    """A clip that may become an example, at a span of frames of a material. seconds: start time."""

    source: str
    matter: SourceKind
    start: int
    stride: int
    frames: int
    seconds: float
    fps: float
    width: int
    height: int
    bucket: str
    scores: dict[str, float] = field(default_factory=dict)
    hash: str = ""

    @property
    def key(self) -> str:
        """Its key in the shards: a hash of the material's name, and the start frame."""
        return f"{hashlib.sha256(self.source.encode()).hexdigest()[:12]}-{self.start:07d}"

    @property
    def span(self) -> Span:
        """The frames that it takes from the material."""
        return Span(self.start, self.stride, self.frames)


@dataclass(frozen=True)
class Scan:
    """The result for one material.

    dropped: candidates with the reason. shots: their lengths in seconds. thumbs: JPEG in base64, by reason, "" for kept
    candidates. failed: why it could not be read.
    """

    source: str
    matter: SourceKind
    candidates: tuple[Candidate, ...] = ()
    dropped: tuple[tuple[str, Candidate], ...] = ()
    shots: tuple[float, ...] = ()
    thumbs: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    failed: str | None = None

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Scan":
        """The inverse of `asdict`."""
        held: dict[str, Any] = {
            "matter": SourceKind(fields["matter"]),
            "candidates": tuple(_candidate(each) for each in fields["candidates"]),
            "dropped": tuple((reason, _candidate(each)) for reason, each in fields["dropped"]),
            "shots": tuple(fields["shots"]),
            "thumbs": {reason: [(key, image) for key, image in pairs] for reason, pairs in fields["thumbs"].items()},
        }
        return cls(**{**fields, **held})


@dataclass(frozen=True)
class ScanJob:
    """Scans some materials in one process. target: JSON file of the results, which marks the job as done."""

    materials: tuple[Material, ...]
    first: int
    settings: Settings
    target: Path

    def __call__(self) -> None:
        """Scans the materials and writes the results."""
        self.write([scanned(each, self.settings, self.first + i) for i, each in enumerate(self.materials)])

    def crashed(self) -> None:
        """Records that scanning crashed the process, as a broken codec may."""
        self.write([Scan(each.name, each.matter, failed="reading it ended the process") for each in self.materials])

    def write(self, scans: list[Scan]) -> None:
        """Writes the results atomically."""
        write_text(self.target, json.dumps([asdict(scan) for scan in scans]))


def scanned(material: Material, settings: Settings, number: int = 0) -> Scan:
    """Scans a material. What is wrong with the material is recorded; only errors of the machine are raised.

    number: its index among all materials, by which worlds take buckets in turn.
    """
    if material.matter is SourceKind.WORLD:
        return Scan(material.name, material.matter, (_world(material, settings, number),))
    try:
        return _read(material, settings)
    except ExtraError:
        raise
    except MediaError as error:
        reason = str(error)
    except Exception as error:  # whatever a broken file raises in a library must not end a run of days
        reason = f"{type(error).__name__}: {error}"
    reason = " ".join(reason.split()).replace(f": {material.name}", "").replace(material.name, material.path.name)
    return Scan(material.name, material.matter, failed=reason)


def _world(material: Material, settings: Settings, number: int) -> Candidate:
    bucket = settings.buckets[number % len(settings.buckets)]
    fps = settings.fps or WORLD_FPS
    return Candidate(
        material.name, material.matter, 0, 1, settings.frames, 0.0, fps, bucket.width, bucket.height, str(bucket)
    )


def _read(material: Material, settings: Settings) -> Scan:
    source = opened(material.path, settings.on_damage)
    rows, columns = source.size
    shown = (columns * source.sample_aspect, Fraction(rows))
    bucket = nearest(shown, settings.buckets)
    whole = Candidate(material.name, material.matter, 0, 1, 1, 0.0, float(source.fps), columns, rows, str(bucket))
    if enlargement(shown, bucket) > settings.max_enlargement:
        first = next(frames(source, Window(max_frames=1)))
        return _summed(material, [(SMALL, whole, first.pixels)])
    if material.matter is SourceKind.IMAGE and (source.num_frames or 1) == 1:
        return _summed(material, _looked(source, whole, [Span(0, 1, 1)], settings))
    found = shots(source, settings.shots)
    stride = settings.stride if settings.fps is None else max(1, round(source.fps / Fraction(settings.fps)))
    held = {shot: list(spans(shot, settings.frames, stride)) for shot in found}
    scan = _summed(material, _looked(source, whole, list(chain.from_iterable(held.values())), settings))
    short = [(SHORT, replace(whole, start=shot.start, frames=len(shot))) for shot in found if not held[shot]]
    return replace(
        scan,
        dropped=tuple(sorted([*scan.dropped, *short], key=lambda each: each[1].start)),
        shots=tuple(round(float(len(shot) / source.fps), 3) for shot in found),
    )


Outcome = tuple[str | None, Candidate, UInt8[Tensor, "3 h w"]]
"""Reason for dropping a clip, None where it is kept; the clip; one of its frames."""


def _looked(source: Source, whole: Candidate, wanted: list[Span], settings: Settings) -> Iterator[Outcome]:
    for span, held in clips(source, wanted):
        seen = torch.stack([_shrunk(frame) for frame in held])
        scores, reason = judged(seen, settings)
        place = {"start": span.start, "stride": span.stride, "frames": span.frames}
        seconds, code = round(float(held[0].seconds), 6), perceptual_hash(seen).hex()
        yield reason, replace(whole, **place, seconds=seconds, scores=scores, hash=code), seen[len(seen) // 2]


def _summed(material: Material, outcomes: Iterable[Outcome]) -> Scan:
    kept, dropped, thumbs = [], [], defaultdict[str, list[tuple[str, str]]](list)
    for reason, candidate, pixels in outcomes:
        if reason is None:
            kept.append(candidate)
        else:
            dropped.append((reason, candidate))
        if len(thumbs[reason or ""]) < THUMBS_EACH:
            thumbs[reason or ""].append((candidate.key, thumbnail(pixels)))
    return Scan(material.name, material.matter, tuple(kept), tuple(dropped), thumbs=dict(thumbs))


def thumbnail(pixels: UInt8[Tensor, "3 h w"]) -> str:
    """A small picture for the report, JPEG in base64."""
    image = rearrange(fitted(pixels[None], THUMB)[0], "c h w -> h w c").numpy()
    return base64.b64encode(picture(image, "jpg", quality=80)).decode()


def _shrunk(frame: Frame) -> UInt8[Tensor, "3 h w"]:
    rows, columns = frame.pixels.shape[-2:]
    shrunk = min(1.0, LOOKED_PX / min(rows, columns))
    return resized(frame.pixels[None], (max(1, round(rows * shrunk)), max(1, round(columns * shrunk))))[0]


def _candidate(fields: dict[str, Any]) -> Candidate:
    return Candidate(**fields | {"matter": SourceKind(fields["matter"])})
