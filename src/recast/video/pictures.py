"""Pictures in open files, decoded by Pillow: what a decoding process does with them (`recast.video.forked`)."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageOps

from recast.errors import MediaError, RecastError
from recast.video.colour import on_black
from recast.video.container import MAX_PIXELS
from recast.video.shown import Shown

STILLS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""Formats of a single picture, by Pillow's names."""
RIFF_HEADER_BYTES, ANMF_HEADER_BYTES = 12, 16
MOST_PICTURES = 1_000_000
"""Of an animation, or of a folder."""


@dataclass(frozen=True)
class PictureFacts:
    """What a picture's head says. size: rows and columns, upright. kind, mode: by Pillow's names.

    deep: 16 bits a channel are stored. moving: a PNG that holds several frames. transparent: some pixel may be. rate:
    the text `fps`, empty where there is none. comment: of a GIF. durations: of the frames of an animated WebP, in
    milliseconds.
    """

    size: tuple[int, int]
    kind: str
    mode: str
    deep: bool
    moving: bool
    transparent: bool
    rate: str
    comment: str
    durations: tuple[int, ...]


@contextmanager
def picture_in(file: BinaryIO, path: Path, kinds: tuple[str, ...]) -> Iterator[Image.Image]:
    """The picture in an open file, its size and then its checksums checked before it is decoded.

    path: for what is said of it. kinds: formats that are read. Raises MediaError, also for what Pillow finds inside the
    block.
    """
    try:
        with _opened(file, kinds) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise MediaError(f"{picture.width}x{picture.height} is more than {MAX_PIXELS} pixels: {path}")
            picture.verify()  # Pillow's decoder of PNG checks none, and can be used no more after this
        file.seek(0)
        with _opened(file, kinds) as picture:
            yield picture
    except RecastError:
        raise
    except Exception as error:  # Pillow's readers raise SyntaxError and struct.error too, on damaged files
        raise MediaError(f"the picture is damaged, or no {' or '.join(kinds)}: {path}") from error


def picture_facts(picture: Image.Image, file: BinaryIO) -> PictureFacts:
    """What is known of a picture beside its pixels."""
    # Pillow names the depth of stored pixels nowhere else, and forgets it as it decodes, which orientation may need.
    deep = picture.mode.startswith("I") or ";16" in str(getattr(picture, "tile", ""))
    return PictureFacts(
        size=_upright_size(picture),
        kind=str(picture.format).lower(),
        mode=picture.mode,
        deep=deep,
        moving=picture.format == "PNG" and getattr(picture, "is_animated", False),
        transparent=picture.has_transparency_data,
        rate=str(picture.info.get("fps", "")),
        comment=_text(picture.info.get("comment", b"")),
        durations=tuple(_frame_durations(file)) if picture.format == "WEBP" else (),
    )


def upright_rgba(picture: Image.Image) -> UInt8[np.ndarray, "h w 4"]:
    """A picture as it is to be seen, with its opacity."""
    return np.array(ImageOps.exif_transpose(picture).convert("RGBA"))


def upright_rgb(picture: Image.Image, *, alpha: bool) -> UInt8[np.ndarray, "h w 3"]:
    """A picture as it is to be seen, where it is not opaque on black. alpha: how opaque it is in its place."""
    return _seen(ImageOps.exif_transpose(picture), alpha=alpha)


def animation(picture: Image.Image, *, alpha: bool) -> Iterator[Shown]:
    """Each frame of a moving picture, upright, with its time and duration in milliseconds."""
    time = 0
    for index in range(getattr(picture, "n_frames", 1)):
        picture.seek(index)
        pixels = upright_rgb(picture, alpha=alpha)
        duration = max(1, int(picture.info.get("duration", 100)))
        yield Shown(pixels, time, index, duration)
        time += duration


def luma_or_alpha(picture: Image.Image) -> Float32[np.ndarray, "h w"]:
    """A picture as a mask, upright, 0..1: its opacity where something is not opaque, else its luma."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):  # Pillow's own conversion to 8 bits cuts these off
        white = 1 if picture.mode.startswith("F") else 65535
        return np.clip(np.nan_to_num(np.asarray(picture, dtype=np.float32)) / white, 0, 1)
    if picture.has_transparency_data:
        alpha = np.asarray(picture.convert("RGBA").getchannel("A"), dtype=np.float32)
        if (alpha < 255).any():
            return alpha / 255
    return np.asarray(picture.convert("L"), dtype=np.float32) / 255


def _opened(file: BinaryIO, kinds: tuple[str, ...]) -> Image.Image:
    # No longer than this: filters of warnings are the whole process's, and a picture may stay open while others work.
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(file, formats=kinds)


def _upright_size(picture: Image.Image) -> tuple[int, int]:
    sideways = picture.getexif().get(0x0112, 1) >= 5
    return picture.size if sideways else picture.size[::-1]


def _text(comment: bytes | str) -> str:
    return comment if isinstance(comment, str) else comment.decode("utf-8", errors="replace")


def _seen(picture: Image.Image, *, alpha: bool) -> UInt8[np.ndarray, "h w 3"]:
    if alpha:
        return np.repeat(np.asarray(picture.convert("RGBA"))[..., 3:], 3, axis=-1)
    if picture.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion to RGB clips at 255.
        grey = np.asarray(picture).astype(np.uint32) >> 8
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)
    if picture.has_transparency_data:
        return on_black(np.asarray(picture.convert("RGBA")))
    return np.array(picture.convert("RGB"))


def _frame_durations(file: BinaryIO) -> Iterator[int]:
    """Of each frame of a WebP file, in milliseconds, from the heads of its chunks: no picture is decoded for them.

    A still has one frame, of 100 ms. The format: RFC 9649, sections 2.3 and 2.7.1.
    """
    file.seek(RIFF_HEADER_BYTES)
    count = 0
    while len(head := file.read(8)) == 8 and count < MOST_PICTURES:
        size = int.from_bytes(head[4:], "little")
        end = file.tell() + size + size % 2
        if head[:4] == b"ANMF":
            count += 1
            yield max(1, int.from_bytes(file.read(ANMF_HEADER_BYTES)[12:15], "little"))
        file.seek(end)
    if not count:
        yield 100
