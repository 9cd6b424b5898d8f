"""What a file says of itself beside pictures and sound: title, date, place, chapters, and what of it was kept."""

from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Annotated

from av.container import InputContainer, OutputContainer
from pydantic import Field

from recast.video.timecode import timecode_of
from recast.video.tracks import Int64, TrackFacts, facts_of

_NOT_TEXTS = frozenset(
    ["major_brand", "minor_version", "compatible_brands", "encoder", "software", "duration", "timecode"]
)
"""What the muxer says of its own file, and the time code, which is kept by itself."""
MICROSECOND = Fraction(1, 1_000_000)


@dataclass(frozen=True)
class Chapter:
    """A chapter, from start to end in ticks of its own."""

    id: Int64
    start: Int64
    end: Int64
    time_base: Annotated[Fraction, Field(gt=0, le=1000)]
    metadata: dict[str, str]


@dataclass(frozen=True)
class About:
    """What a file holds beside its pictures. notes: tracks that no output gets. timecode: of its first frame."""

    metadata: dict[str, str]
    chapters: tuple[Chapter, ...]
    timecode: str | None
    notes: tuple[str, ...]
    tracks: tuple[TrackFacts, ...]


def about(container: InputContainer) -> About:
    """All that is known of an open file beside its pictures."""
    streams = [stream for stream in container.streams if stream.type in ("audio", "subtitle")]
    return About(
        metadata=dict(container.metadata),
        chapters=tuple(
            Chapter(each["id"], each["start"], each["end"], each["time_base"] or MICROSECOND, each["metadata"])
            for each in container.chapters()
        ),
        timecode=timecode_of(container),
        notes=tuple(left_out(container)),
        tracks=tuple(facts_of(stream) for stream in streams),
    )


def texts_of(metadata: dict[str, str]) -> dict[str, str]:
    """Its title, date, place and the like. A comment becomes a description, for recast's own record is the comment."""
    texts = {key: text for key, text in metadata.items() if key.lower() not in _NOT_TEXTS}
    texts = {key: text for key, text in texts.items() if not _is_double(key, texts)}
    comment = next((key for key in texts if key.lower() == "comment"), None)
    if comment is not None:
        texts.setdefault("description", texts.pop(comment))
    return texts


def lost(texts: dict[str, str], kept: dict[str, str]) -> list[str]:
    """Names of what is in none of a written file's texts."""
    names = {key.lower() for key in kept}
    return sorted(key for key in texts if key.lower() not in names)


def keep_chapters(
    chapters: tuple[Chapter, ...], target: OutputContainer, begin: Fraction, length: Fraction | None
) -> None:
    """Gives the target the source's chapters that lie in its stretch, cut to it.

    begin: of the stretch on the source's clock, in seconds. length: of the stretch in seconds, None for no end.
    """
    moved = [_moved(chapter, begin, length) for chapter in chapters]
    target.set_chapters([asdict(chapter) for chapter in moved if chapter is not None])


def _moved(chapter: Chapter, begin: Fraction, end: Fraction | None) -> Chapter | None:
    tick = chapter.time_base
    shift, last = round(begin / tick), None if end is None else round(end / tick)
    start, stop = max(0, chapter.start - shift), chapter.end - shift
    stop = stop if last is None else min(stop, last)
    return replace(chapter, start=start, end=stop) if start < stop else None


def _is_double(key: str, texts: dict[str, str]) -> bool:
    """FFmpeg tells a text with its language once more, as location-eng beside location."""
    plain, _, language = key.rpartition("-")
    return len(language) == 3 and plain in texts


def left_out(container: InputContainer) -> list[str]:
    """Tracks of a source that no output gets: other videos, cover pictures, and data, but for time code."""
    videos = [stream for stream in container.streams.video if stream is not container.streams.best("video")]
    data = [stream for stream in container.streams.data if "timecode" not in stream.metadata]
    counts = ((len(videos), "other video"), (len(data), "data track"))
    counts = (*counts, (len(container.streams.attachments), "attachment"))
    listed = ", ".join(f"{count} {what}{'s' * (count > 1)}" for count, what in counts if count)
    return [f"not carried over: {listed}"] if listed else []
