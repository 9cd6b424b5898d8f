"""Between a decoder's pixel formats and upright 8-bit sRGB: matrix, range, high dynamic range, transparency."""

from collections.abc import Callable

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from jaxtyping import UInt8

from recast.video.source import Colour
from recast.video.tone_mapping import standard

BT709 = 1
UNTOLD = 2
PQ, HLG = 16, 18
MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
HDR_NOTES = {
    PQ: "HDR (PQ) colours were brought to standard range; the brightest are clipped",
    HLG: "HDR (HLG) colours were taken as standard range, which HLG is made to allow; they may look a little pale",
}
TONE_MAPPED = "HDR colours were brought to standard range by BT.2390's curve: dark as they are, bright ones rolled off"
TRANSPARENT = "transparent pixels were laid on black"
# Chroma is interpolated, not repeated, both ways: without these flags a flat colour comes back up to 3 levels off.
ACCURATE = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)

Image = UInt8[np.ndarray, "h w 3"]


def assumed_matrix(size: tuple[int, int]) -> int:
    """The H.273 matrix that players take for untagged video of `size` (rows, columns): BT.709 for HD, else BT.601."""
    return BT709 if size[0] > 576 or size[1] >= 1280 else 6


def colour_of(frame: VideoFrame) -> Colour:
    """The colour tags of a decoded frame, the range made definite."""
    name = frame.format.name
    full_by_format = frame.format.is_rgb or name.startswith(("yuvj", "gray", "ya", "pal", "mono"))
    full = frame.color_range == ColorRange.JPEG or (full_by_format and frame.color_range != ColorRange.MPEG)
    return Colour(int(frame.colorspace), int(frame.color_trc), int(frame.color_primaries), full)


def has_alpha(frame: VideoFrame) -> bool:
    """Whether its pixels may be transparent."""
    return any(component.is_alpha for component in frame.format.components)


def rgb_converter(*, tone_mapped: bool = False, alpha: bool = False) -> Callable[[VideoFrame], Image]:
    """A function from decoded frames of one video to sRGB: transparency on black, PQ brought to standard range.

    tone_mapped: by `recast.video.tone_mapping`, HLG too. alpha: opacity as grey, in place of colours. It keeps FFmpeg's
    scaler between frames: the table for PQ takes seconds to build.
    """
    reformatter = VideoReformatter()

    def rgb(frame: VideoFrame) -> Image:
        colour = colour_of(frame)
        matrix = assumed_matrix((frame.height, frame.width)) if colour.matrix in (0, UNTOLD) else colour.matrix
        is_mapped = tone_mapped and not alpha and colour.transfer in HDR_NOTES
        converted = reformatter.reformat(
            frame,
            format="rgb48le" if is_mapped else "rgba" if has_alpha(frame) or alpha else "rgb24",
            interpolation=ACCURATE,
            src_colorspace=None if frame.format.is_rgb else MATRICES.get(matrix, Colorspace.ITU601),
            src_color_range=ColorRange.JPEG if colour.full_range else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            **({"dst_color_trc": 13, "dst_color_primaries": BT709} if colour.transfer == PQ and not is_mapped else {}),
        )
        pixels = converted.to_ndarray()
        if is_mapped:
            return standard(pixels, hlg=colour.transfer == HLG)
        if alpha:
            return np.repeat(pixels[..., 3:], 3, axis=-1)
        return on_black(pixels) if pixels.shape[-1] == 4 else pixels

    return rgb


def on_black(image: UInt8[np.ndarray, "h w 4"]) -> Image:
    """RGB with straight alpha, laid on black."""
    product = image[..., :3].astype(np.uint16) * image[..., 3:]
    return ((product + 127) // 255).astype(np.uint8)


def encodable(image: Image, pixel_format: str, matrix: int, reformatter: VideoReformatter) -> VideoFrame:
    """SRGB as a limited-range frame for an encoder, by the H.273 matrix `matrix` (1 or 6)."""
    return reformatter.reformat(
        VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"),
        format=pixel_format,
        interpolation=ACCURATE,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        dst_colorspace=MATRICES.get(matrix, Colorspace.ITU601),
    )
