"""Encoders of pictures by name: their settings, pixel formats and colour tags."""

import os
from dataclasses import dataclass
from fractions import Fraction

from cv2 import checkHardwareSupport

from recast.errors import RequestError, known
from recast.video.colour import BT709, HDR_NOTES, UNTOLD
from recast.video.source import Colour

# SVT-AV1 writes about itself to the terminal; 1 is errors alone.
os.environ.setdefault("SVT_LOG", "1")

_KEPT = {"flags": "+frame_duration"}
# By AVX-512 x264 gave other bytes in some of 300 encodings of the same frames, by AVX2 in none (docs/decisions/0056): a
# run that was stopped would not end with those of one that was not. Processors that have the one have the other.
_AVX512 = 256
"""OpenCV's number for AVX-512 with what x264 asks for beside it: F, CD, BW, DQ and VL."""
_BY_AVX2 = {"x264-params": "asm=MMX2,SSE2Fast,SSSE3,SSE4.2,AVX,FMA3,BMI2,AVX2"}
# No frames out of order, here and in HEVC: with varying frame times MP4's length would come out wrong.
_X264 = {"crf": "16", "preset": "faster", "bf": "0", **_KEPT, **(_BY_AVX2 if checkHardwareSupport(_AVX512) else {})}
_FFV1 = {"level": "3", "g": "1", "slices": "4", "slicecrc": "1", **_KEPT}
_X265 = "log-level=none:bframes=0:frame-threads=1"


@dataclass(frozen=True)
class Codec:
    """An encoder. odd: its pixel format where a side is odd, None where it refuses that. tag: its name in MP4.

    alpha: its pixel format with opacity, None where it carries none. tagged: the stream tells its colour matrix.
    num_threads: the same on any machine, since it changes bytes. least: the shortest side that it takes, in pixels.
    most_fps: the most frames a second, None for any.
    """

    encoder: str
    options: dict[str, str]
    pixel_format: str
    odd: str | None
    alpha: str | None = None
    tag: str | None = None
    tagged: bool = True
    num_threads: int = 4
    least: int = 1
    most_fps: int | None = None

    @property
    def is_rgb(self) -> bool:
        """Whether pixels are stored as they are, without a matrix."""
        return self.pixel_format in ("bgr0", "pal8")


CODECS: dict[str, Codec] = {
    # H.264 and HEVC crop whole chroma pixels only: odd sizes need one chroma value for each pixel.
    "h264": Codec("libx264", _X264, "yuv420p", "yuv444p", num_threads=1),
    # x265 works in squares of 64 pixels. Where a frame is one of them wide, pictures come back wrong, and at 33x17 it
    # writes beyond its memory (docs/log.md, 2026-11-30).
    "hevc": Codec(
        "libx265",
        {"crf": "18", "preset": "fast", "x265-params": _X265, **_KEPT},
        "yuv420p",
        "yuv444p",
        tag="hvc1",
        least=65,
    ),
    "av1": Codec("libsvtav1", {"crf": "20", "preset": "8", **_KEPT}, "yuv420p10le", None, least=4, most_fps=240),
    "vp9": Codec(
        "libvpx-vp9",
        {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", **_KEPT},
        "yuv420p",
        "yuv420p",
    ),
    "prores": Codec("prores_ks", {"profile": "hq", **_KEPT}, "yuv422p10le", None),
    "prores4444": Codec("prores_ks", {"profile": "4444", **_KEPT}, "yuv444p10le", None, "yuva444p10le"),
    "ffv1": Codec("ffv1", _FFV1, "bgr0", "bgr0", "bgra", least=2),
    "mpeg4": Codec(
        "mpeg4", {"flags": "+qscale+bitexact", "global_quality": str(2 * 118)}, "yuv420p", "yuv420p", tagged=False
    ),
    "gif": Codec("gif", {}, "pal8", "pal8", tagged=False),
}
"""ffv1 is lossless; prores and prores4444 are for editing programs."""


def chosen(name: str, able: tuple[str, ...], container: str, *, alpha: bool = False) -> Codec:
    """The codec of that name; for auto the first of `able`, where `alpha` is wanted that carries it, if there is one.

    Raises RequestError for one that the container cannot hold.
    """
    if name == "auto":
        return CODECS[next((each for each in able if CODECS[each].alpha or not alpha), able[0])]
    if name in ("png", "png16"):
        raise RequestError(f"{name} is of pictures, not of {container} files; end the target with a slash: OUT/")
    known("codec", name, ["auto", *CODECS])
    if name not in able:
        fitting = [each for each in able if each in CODECS]
        raise RequestError(f"{container} files cannot hold {name} here; they hold {', '.join(fitting)}")
    return CODECS[name]


def check_alpha(codec: Codec) -> None:
    """Raises RequestError for an encoder that carries no opacity."""
    if codec.alpha is None:
        raise RequestError(
            f"{codec.encoder} carries no alpha here; what does: a folder of PNG files (OUT/), ffv1 in mkv and avi, "
            "prores4444 in mov and mkv; or say --alpha black"
        )


def check_frames(codec: Codec, size: tuple[int, int], fps: Fraction) -> None:
    """Raises RequestError for frames of `size` rows and columns, `fps` a second, that the encoder does not take."""
    rows, columns = size
    if min(size) < codec.least:
        raise RequestError(
            f"{codec.encoder} takes sides of at least {codec.least} pixels, and frames are {columns}x{rows}; "
            "use h264 or vp9"
        )
    if codec.most_fps is not None and fps > codec.most_fps:
        raise RequestError(
            f"{codec.encoder} takes at most {codec.most_fps} frames a second, and there are {float(fps):.6g}; "
            "use h264, vp9 or ffv1"
        )
    pixel_format(codec, size)


def pixel_format(codec: Codec, size: tuple[int, int], *, alpha: bool = False) -> str:
    """For frames of `size` rows and columns. Raises RequestError where the encoder takes no odd sides."""
    if not (size[0] % 2 or size[1] % 2):
        return codec.alpha if alpha and codec.alpha else codec.pixel_format
    if codec.odd is None:
        raise RequestError(
            f"{codec.encoder} takes even sides alone, and frames are {size[1]}x{size[0]}; use h264, hevc, vp9 or ffv1"
        )
    return codec.alpha if alpha and codec.alpha else codec.odd


def colour_tags(codec: Codec, colour: Colour) -> dict[str, str]:
    """The encoder's options that tell its colours: primaries and transfer of the source, matrix and range as written.

    HDR was brought to standard range, which is BT.709.
    """
    if not codec.tagged:
        return {}
    standard = colour.transfer in HDR_NOTES
    primaries = BT709 if standard or colour.primaries in (0, UNTOLD) else colour.primaries
    transfer = BT709 if standard or colour.transfer in (0, UNTOLD) else colour.transfer
    tags = {"color_primaries": str(primaries), "color_trc": str(transfer)}
    return tags if codec.is_rgb else tags | {"colorspace": "bt709", "color_range": "tv"}


def colour_notes(codec: Codec, colour: Colour) -> list[str]:
    """What writing changes of the source's colours."""
    if not codec.tagged or codec.is_rgb:
        return []
    return ["full-range colours were brought to limited range, which players expect"] if colour.full_range else []
