"""Between a decoder's pixel formats and upright 8-bit sRGB: matrix, range, high dynamic range, transparency."""

from collections.abc import Callable

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from jaxtyping import UInt8, UInt16

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
ALPHA_KEPT = "transparent pixels were laid on black for the edit, and the result has the source's own alpha"
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
            format=_format_for(frame, deep=is_mapped, alpha=alpha),
            interpolation=ACCURATE,
            src_colorspace=None if frame.format.is_rgb else MATRICES.get(matrix, Colorspace.ITU601),
            src_color_range=ColorRange.JPEG if colour.full_range else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            **({"dst_color_trc": 13, "dst_color_primaries": BT709} if colour.transfer == PQ and not is_mapped else {}),
        )
        pixels = converted.to_ndarray()
        if alpha:
            return np.repeat(_of_eight_bits(pixels[..., 3:]), 3, axis=-1)
        if is_mapped:
            mapped = standard(np.ascontiguousarray(pixels[..., :3]), hlg=colour.transfer == HLG)
            pixels = np.concatenate([mapped, _of_eight_bits(pixels[..., 3:])], axis=-1)
        return on_black(pixels) if pixels.shape[-1] == 4 else pixels

    return rgb


def _format_for(frame: VideoFrame, *, deep: bool, alpha: bool) -> str:
    clear = [component for component in frame.format.components if component.is_alpha]
    if deep or (alpha and any(component.bits > 8 for component in clear)):
        # FFmpeg's scaler brings opacity of more than 8 bits to 8 by up to 1 too much.
        return "rgba64le" if clear else "rgb48le"
    return "rgba" if clear or alpha else "rgb24"


def _of_eight_bits(plane: UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w c"]:
    """0..65535 as 0..255, to the nearest."""
    return plane if plane.dtype == np.uint8 else ((plane.astype(np.uint32) + 128) // 257).astype(np.uint8)


def as_frame(image: UInt8[np.ndarray, "h w c"]) -> VideoFrame:
    """SRGB as FFmpeg has it, of 4 channels with straight alpha."""
    return VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgba" if image.shape[-1] == 4 else "rgb24")


def on_black(image: UInt8[np.ndarray, "h w 4"]) -> Image:
    """RGB with straight alpha, laid on black."""
    product = image[..., :3].astype(np.uint16) * image[..., 3:]
    return ((product + 127) // 255).astype(np.uint8)


def off_black(image: Image, opacity: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 4"]:
    """Straight alpha that `on_black` brings back to the image, exactly, where that is no brighter than its opacity.

    What is brighter is cut off there, and what is fully transparent is black.
    """
    alpha = opacity[..., None].astype(np.uint16)
    colours = np.minimum((image.astype(np.uint16) * 255 + alpha // 2) // np.maximum(alpha, 1), 255) * (alpha > 0)
    return np.concatenate([colours, alpha], axis=-1).astype(np.uint8)


def encodable(
    image: UInt8[np.ndarray, "h w c"], pixel_format: str, matrix: int, reformatter: VideoReformatter
) -> VideoFrame:
    """SRGB as a limited-range frame for an encoder, by the H.273 matrix `matrix` (1 or 6), opacity as the last of 4."""
    return reformatter.reformat(
        as_frame(image),
        format=pixel_format,
        interpolation=ACCURATE,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        dst_colorspace=MATRICES.get(matrix, Colorspace.ITU601),
    )
