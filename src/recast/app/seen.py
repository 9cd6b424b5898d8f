"""Clips as a browser shows them: single frames as JPEG, and copies that it can play."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from recast.errors import MediaError, RequestError
from recast.files import disk_told

if TYPE_CHECKING:
    from PIL.Image import Image

    from recast.video.read import Source

MOST_SIDE = 2160
PLAYED_PX = 720
"""The most that a copy's short side has."""
QUALITY = 85
COPY = "view.mp4"
"""What a copy to be played is called, in the folder of its clip."""
PLAYED_AS = {".mp4": "video/mp4", ".mov": "video/mp4", ".mkv": "video/webm", ".webm": "video/webm"}


def frame_jpeg(path: Path, seconds: float, side: int) -> tuple[bytes, int]:
    """The frame of a clip or picture that shows at a time, its short side at most so many pixels, and its number.

    Past the end, it is the last one. Raises MediaError for what cannot be read, RequestError for a clip without frames.
    """
    from recast.video.sequence import is_sequence

    image, number = _picture(path) if is_sequence(path) else _shown(path, seconds)
    shown = BytesIO()
    image.thumbnail(_within(image.size, side))
    image.save(shown, "JPEG", quality=QUALITY)
    return shown.getvalue(), number


def _picture(path: Path) -> tuple["Image", int]:
    from PIL import Image

    from recast.video.isolated_pictures import still
    from recast.video.sequence import KINDS

    return Image.fromarray(still(path, KINDS, alpha=False)), 0


def _shown(path: Path, seconds: float) -> tuple["Image", int]:
    from PIL import Image

    from recast.video.isolated import probe, shown
    from recast.video.shown import is_before
    from recast.video.source import OnDamage, Window

    source, last = probe(path, OnDamage.WARN), None
    if source.seconds is not None:
        seconds = min(seconds, max(0.0, float(source.seconds - 1 / source.fps)))
    window = Window(start=seconds)
    for frame in shown(source, window):
        last = frame
        if not is_before(frame.pts * Fraction(source.time_base), window):
            break
    if last is None and seconds:
        return _shown(path, 0.0)
    if last is None:
        raise RequestError("the clip has no frame to show")
    return Image.fromarray(last.image), last.index


def _within(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / min(size))
    return max(1, round(scale * size[0])), max(1, round(scale * size[1]))


def make_copy(path: Path) -> None:
    """Writes the copy of a clip that any browser plays: H.264 with its sound, PLAYED_PX at most. Raises RecastError."""
    from dataclasses import replace

    from recast.video.isolated import probe
    from recast.video.read import Window, frames
    from recast.video.resize import resized
    from recast.video.source import OnDamage
    from recast.video.write import writing

    target = path.with_name(COPY)
    source = probe(path, OnDamage.REPEAT)
    size = _even(source)
    try:
        with disk_told(target), writing(target, replace(source, size=size), Window(), record=None) as writer:
            for frame in frames(source, Window()):
                writer.add(resized(frame.pixels[None], size)[0], frame)
    except MediaError as error:
        raise MediaError(str(error).replace(str(path), "the clip")) from None


def _even(source: "Source") -> tuple[int, int]:
    """Rows and columns of a copy: both even, as players want them."""
    rows, columns = source.size
    scale = min(1.0, PLAYED_PX / min(source.size))
    return max(2, 2 * round(scale * rows / 2)), max(2, 2 * round(scale * columns / 2))
