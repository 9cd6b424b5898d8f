"""Decoding in a process of its own, with limits: what a user brings is decoded nowhere else.

What a child sends is checked here, and waited for no longer than `STALL_SECONDS`. Where a system has no fork, files are
decoded in this process.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from recast.errors import MediaError
from recast.video import messages
from recast.video.about import About, about
from recast.video.children import DecodingServer, Pipe
from recast.video.container import MAX_PIXELS, SOUND_FORMATS, demuxing, regular_file, reported, video_stream
from recast.video.messages import Errand, errand_to_json
from recast.video.probe import probed
from recast.video.shown import Shown, shown_video
from recast.video.source import OnDamage, Source, Window
from recast.video.tracks import DAMAGED_TRACK, Part, Wanted, part_from_bytes, parts_of
from recast.video.waveform import Waveform, joined, waveform_in

AVAILABLE = hasattr(os, "fork")
_server = DecodingServer()


def probe(path: Path, on_damage: OnDamage) -> Source:
    """What is known of a video file. Raises MediaError for what cannot be read."""
    if not AVAILABLE:
        with demuxing(path) as container, reported(path):
            return replace(probed(path, container, video_stream(container, path)), on_damage=on_damage)
    with understood(path):
        found = messages.source_from_json(bytes(only(Errand("probe", path), messages.SOURCE)))
        if min(found.size) < 1 or found.size[0] * found.size[1] > MAX_PIXELS or min(found.fps, found.time_base) <= 0:
            raise ValueError("it tells of an impossible picture")
        return replace(found, path=path, on_damage=on_damage)


def comment(path: Path) -> str:
    """The comment in a video file, empty where there is none. Raises MediaError for what cannot be read."""
    return bytes(only(Errand("comment", path), messages.COMMENT)).decode("utf-8", errors="replace")


def waveform_of(path: Path) -> Waveform:
    """The sound of a file, in one channel. Raises MediaError for what cannot be read, and for none."""
    if not AVAILABLE:
        with demuxing(path, formats=SOUND_FORMATS) as container, reported(path):
            return joined(waveform_in(container, path))
    size = messages.BEGUN.size
    with answers_to(Errand("sound", path)) as answers:
        parts = [bytes(body) for kind, body in answers if kind == messages.SOUND]
        return joined((messages.BEGUN.unpack_from(part)[0], np.frombuffer(part, "<f4", offset=size)) for part in parts)


def about_file(path: Path) -> About:
    """What a video file holds beside its pictures. Raises MediaError for what cannot be read."""
    if not AVAILABLE:
        with demuxing(path) as container, reported(path):
            return about(container)
    with understood(path):
        return messages.about_from_json(bytes(only(Errand("about", path), messages.ABOUT)))


def track(path: Path, wanted: Wanted) -> Generator[Part]:
    """A track's packets, or its decoded sound, in the file's order. Raises MediaError.

    The process that reads ends with the iterator.
    """
    if not AVAILABLE:
        with demuxing(path) as container, reported(path, DAMAGED_TRACK):
            yield from parts_of(container, wanted, lambda: None)
        return
    with answers_to(Errand("track", path, wanted=wanted)) as answers:
        for kind, body in answers:
            if kind == messages.PART:
                yield part_from_bytes(bytes(body))


def shown(source: Source, window: Window) -> Iterator[Shown]:
    """The window's frames of a video file. `source.damage` is kept up to date. Raises MediaError."""
    if not AVAILABLE:
        with regular_file(source.path) as file:
            yield from shown_video(source, window, file)
        return
    most = messages.PLACE.size + 3 * source.size[0] * source.size[1]
    with answers_to(Errand("frames", source.path, source, window), most) as answers:
        for kind, body in answers:
            if kind == messages.DAMAGE:
                source.damage.found(messages.damage_from_json(bytes(body)))
            elif kind == messages.FRAME:
                yield messages.frame_from_bytes(body, source.size)


def only(errand: Errand, kind: bytes, most_bytes: int = messages.MOST_BYTES) -> UInt8[np.ndarray, " n"]:
    """The one message of that kind that answers the errand. Raises MediaError."""
    with answers_to(errand, most_bytes) as answers:
        (found,) = [body for each, body in answers if each == kind]
    return found


@contextmanager
def answers_to(
    errand: Errand, most_bytes: int = messages.MOST_BYTES
) -> Iterator[Iterator[tuple[bytes, UInt8[np.ndarray, " n"]]]]:
    """The messages of a child that was given the errand's file. It ends with the block. Raises MediaError."""
    path = errand.path
    with regular_file(path) as file, _server.child(errand_to_json(errand), file) as pipe, understood(path):
        yield _checked(path, Pipe(pipe), max(most_bytes, messages.MOST_BYTES))


def _checked(path: Path, pipe: Pipe, most_bytes: int) -> Iterator[tuple[bytes, UInt8[np.ndarray, " n"]]]:
    """Messages to the last one. Raises the error that the child tells of, or MediaError where it ends or hangs."""
    while True:
        try:
            kind, size = messages.HEAD.unpack(pipe.read(messages.HEAD.size).data)
            if size > most_bytes:
                raise ValueError(f"a message of {size} bytes")
            body = pipe.read(size)
        except EOFError:
            raise MediaError(f"decoding broke off: the decoder failed, or took too much memory: {path}") from None
        except TimeoutError as error:
            raise MediaError(f"decoding was stopped: {error}: {path}") from None
        if kind == messages.END:
            return
        if kind == messages.ERROR:
            raise messages.error_from_json(bytes(body))
        yield kind, body


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Raises MediaError where a child's answer is none that a child of ours would give."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise MediaError(f"decoding gave what recast does not understand: {path}") from error
