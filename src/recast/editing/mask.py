"""Which part of each frame is edited: a picture, a video or a folder of pictures, fading out at its edge."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from recast.errors import MediaError, RequestError, ShapeError
from recast.types import Maps

_PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_NOISE = 16
"""A lossy video's black and white are this far off, out of 255; nearer values count as black and white."""


@dataclass(frozen=True)
class Mask:
    """Where a clip is edited, read anew, frame by frame, each time that it is asked for.

    path: white, or opaque where the picture has an alpha channel, is `inside`. size: rows and columns of the source,
    in px. feather_px: on both sides of an edge the edit fades over this many px.
    A picture serves every frame; of a video or folder frame i belongs to the source's frame i.
    """

    path: Path
    size: tuple[int, int]
    inside: bool = True
    feather_px: int = 0

    def __post_init__(self) -> None:
        if not self.path.exists():
            raise MediaError(f"there is no mask {self.path}")

    def frames(self, first: int, count: int) -> Iterator[Float[Tensor, "h w"]]:
        """How far each of `count` frames from the source's frame `first` is edited, 0..1, 0 is not at all.

        Raises ShapeError for another aspect than the source's or too few frames, MediaError for an unreadable file.
        """
        held = 0
        for plane in islice(self._planes(), first + count):
            held += 1
            if held > first:
                yield self._fitted(plane)
        if held < first + count:
            raise ShapeError(
                f"the mask has {held} frames and the clip ends with frame {first + count} of its source; "
                f"give a mask of {first + count} frames or more, or one picture for all; {self.path}"
            )

    def at(self, size: tuple[int, int], first: int, count: int, stride: int = 1) -> Maps:
        """The same for the latents of `size` rows and columns: averaged down, then grown by one latent pixel.

        [t 1 h w], 0..1. stride: frames that share a latent, past the first one, which has its own; such a latent is
        edited as far as any of its frames is. Raises what `frames` raises, and RequestError where nothing is to be
        edited at all.
        """
        small = torch.stack([_averaged(frame, size) for frame in self.frames(first, count)])
        if not small.any():
            other = "outside" if self.inside else "inside"
            raise RequestError(f"the mask leaves nothing to edit in any frame; try --edit {other}; {self.path}")
        grown = F.max_pool2d(small, kernel_size=3, stride=1, padding=1)
        shared = grown[1:].split(stride) if count > 1 else ()
        return torch.stack([grown[0], *(group.amax(0) for group in shared)])

    def is_empty(self, first: int, count: int) -> bool:
        """Whether nothing of these frames is to be edited. Raises what `frames` raises."""
        return not any(bool(frame.any()) for frame in self.frames(first, count))

    def _planes(self) -> Iterator[Float[Tensor, "h w"]]:
        if self.path.is_dir():
            pictures = sorted(file for file in self.path.iterdir() if file.suffix.lower() in _PICTURES)
            if not pictures:
                raise MediaError(f"the mask folder holds no pictures; {self.path}")
            return (_picture(file) for file in pictures)
        if self.path.suffix.lower() in _PICTURES:
            return repeat(_picture(self.path))
        return _video(self.path)

    def _fitted(self, plane: Float[Tensor, "h w"]) -> Float[Tensor, "H W"]:
        rows, columns = self.size
        # One pixel, of the mask or of the clip, is what rounding to whole sizes may cost.
        if abs(columns * plane.shape[0] / plane.shape[1] - rows) > max(1, rows / plane.shape[0]):
            raise ShapeError(
                f"the mask is {plane.shape[1]}x{plane.shape[0]} and the clip {columns}x{rows}; "
                f"make the mask {columns}x{rows}, or of the same aspect; {self.path}"
            )
        whole = plane[None, None]
        if plane.shape != self.size:
            whole = F.interpolate(whole, self.size, mode="bilinear", antialias=True).clamp(0, 1)
        chosen = whole if self.inside else 1 - whole
        return feathered(chosen[0, 0], self.feather_px)


def feathered(mask: Float[Tensor, "h w"], feather_px: int) -> Float[Tensor, "h w"]:
    """A mask with each hard edge made a straight ramp that reaches `feather_px` to both sides.

    What lies further than that from an edge is as before, exactly.
    """
    if not feather_px:
        return mask
    reach = 2 * feather_px + 1
    padded = F.pad(mask[None, None], (feather_px,) * 4, mode="replicate")
    soft = F.avg_pool2d(F.avg_pool2d(padded, (reach, 1), stride=1), (1, reach), stride=1)[0, 0]
    # Sums of ones divided by their number may miss 1 by a rounding; the far inside must be exact.
    return torch.where(soft > 1 - 1e-6, torch.ones_like(soft), soft)


def composited(
    edited: UInt8[Tensor, "3 h w"], source: UInt8[Tensor, "3 h w"], mask: Float[Tensor, "h w"]
) -> UInt8[Tensor, "3 h w"]:
    """The edit where the mask is 1, and the source's own pixels, bit for bit, where it is 0."""
    below = source.float()
    return (below + mask * (edited.float() - below)).round().to(torch.uint8)


def _averaged(mask: Float[Tensor, "h w"], size: tuple[int, int]) -> Float[Tensor, "1 H W"]:
    return F.interpolate(mask[None, None], size, mode="area")[0]


def _picture(path: Path) -> Float[Tensor, "h w"]:
    try:
        with Image.open(path) as opened:
            plane = _luma_or_alpha(opened)
    except (UnidentifiedImageError, OSError, ValueError) as fault:
        raise MediaError(f"the mask cannot be read as a picture ({fault}); {path}") from fault
    return torch.from_numpy(plane)


def _luma_or_alpha(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        return np.asarray(picture, dtype=np.float32) / 65535
    if picture.has_transparency_data:
        alpha = np.asarray(picture.convert("RGBA").getchannel("A"), dtype=np.float32)
        if (alpha < 255).any():
            return alpha / 255
    return np.asarray(picture.convert("L"), dtype=np.float32) / 255


def _video(path: Path) -> Iterator[Float[Tensor, "h w"]]:
    from recast.video.read import Window, frames, opened

    for frame in frames(opened(path), Window()):
        red, green, blue = frame.pixels.int()
        # Rec. 709 luma in whole numbers, so that grey stays exactly what it was.
        luma = ((2126 * red + 7152 * green + 722 * blue) // 10000).float()
        yield ((luma - _NOISE) / (255 - 2 * _NOISE)).clamp(0, 1)
