"""Pictures of users, decoded in a process of its own as videos are (`recast.video.isolated`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from recast.errors import MediaError
from recast.video import messages, pictures
from recast.video.container import MAX_PIXELS, regular_file
from recast.video.isolated import AVAILABLE, answers_to, only, understood
from recast.video.messages import Errand
from recast.video.pictures import STILLS, PictureFacts, picture_in
from recast.video.shown import Shown
from recast.video.source import Source

Kinds = tuple[str, ...]
"""Formats that are read, by Pillow's names."""


def facts(path: Path, kinds: Kinds) -> PictureFacts:
    """What a picture's head says, and that its checksums are right. Raises MediaError."""
    if not AVAILABLE:
        with regular_file(path) as file, picture_in(file, path, kinds) as held:
            return pictures.picture_facts(held, file)
    with understood(path):
        found = messages.facts_from_json(bytes(only(Errand("facts", path, kinds=kinds), messages.FACTS)))
        if min(found.size) < 1 or found.size[0] * found.size[1] > MAX_PIXELS:
            raise ValueError("it tells of an impossible picture")
        return found


def picture(path: Path) -> UInt8[np.ndarray, "h w 4"]:
    """The picture in a file, upright, with its opacity; of a moving one the first. Raises MediaError."""
    if not AVAILABLE:
        with _opened(path, STILLS) as held:
            return pictures.upright_rgba(held)
    return _pixels(Errand("picture", path, kinds=STILLS), channels=4)


def still(path: Path, kinds: Kinds, *, alpha: bool) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of a sequence, upright, on black; or how opaque it is, for `alpha`. Raises MediaError."""
    if not AVAILABLE:
        with _opened(path, kinds) as held:
            return pictures.upright_rgb(held, alpha=alpha)
    return _pixels(Errand("still", path, kinds=kinds, alpha=alpha), channels=3)


def mask(path: Path, kinds: Kinds) -> Float32[np.ndarray, "h w"]:
    """A picture as a mask, 0..1: its opacity where something is not opaque, else its luma. Raises MediaError."""
    if not AVAILABLE:
        with _opened(path, kinds) as held:
            return pictures.luma_or_alpha(held)
    return _pixels(Errand("mask", path, kinds=kinds), channels=4).view(np.float32)[..., 0]


def animation(source: Source, kinds: Kinds) -> Iterator[Shown]:
    """All frames of a moving picture. Raises MediaError, also where some are missing."""
    path, count = source.path, 0
    if not AVAILABLE:
        with _opened(path, kinds) as held:
            yield from pictures.animation(held, alpha=source.alpha)
        return
    most = messages.PLACE.size + 3 * source.size[0] * source.size[1]
    with answers_to(Errand("animation", path, kinds=kinds, alpha=source.alpha), most) as answers:
        for body in (body for kind, body in answers if kind == messages.FRAME):
            yield messages.frame_from_bytes(body, source.size)
            count += 1
    if count != source.num_frames:
        raise MediaError(f"the picture is damaged: {source.num_frames} frames are told of, and {count} came: {path}")


@contextmanager
def _opened(path: Path, kinds: Kinds) -> Iterator[Image.Image]:
    """A picture in this process, where there can be no other."""
    with regular_file(path) as file, picture_in(file, path, kinds) as held:
        yield held


def _pixels(errand: Errand, *, channels: int) -> UInt8[np.ndarray, "h w c"]:
    with understood(errand.path):
        body = only(errand, messages.FRAME, messages.PLACE.size + 4 * MAX_PIXELS)
        return messages.pixels_from_bytes(body, channels=channels)
