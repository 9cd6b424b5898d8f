"""Which part of each frame is edited: a picture, a video or a folder of pictures, fading out at its edge."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from recast.editing.mask_planes import Plane, PlaneReader, alpha_planes, check_aspect, planes_of
from recast.editing.values import ALPHA
from recast.errors import MediaError, RequestError, ShapeError
from recast.types import Maps
from recast.video.source import Source


@dataclass(frozen=True)
class Mask:
    """Where a clip is edited.

    path: white, or opaque where the picture has an alpha channel, is `inside`; ALPHA is what is opaque in the clip
    itself, `source`. size: rows and columns of the source, in px. feather_px: on both sides of an edge the edit fades
    over this many px.
    A picture serves every frame; of a video or folder frame i belongs to the source's frame i.
    """

    path: Path
    size: tuple[int, int]
    inside: bool = True
    feather_px: int = 0
    source: Source | None = None
    _reader: PlaneReader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.path == ALPHA:
            _check_alpha(self.source)
        elif not self.path.exists():
            raise MediaError(f"there is no mask {self.path}")
        object.__setattr__(self, "_reader", PlaneReader(self._planes))

    def _planes(self) -> Iterator[Plane]:
        return alpha_planes(self.source) if self.source and self.path == ALPHA else planes_of(self.path)

    def frames(self, first: int, count: int) -> Iterator[Float[Tensor, "h w"]]:
        """How far each of `count` frames from the source's frame `first` is edited, 0..1, 0 is not at all.

        Raises ShapeError for another aspect than the source's or too few frames, MediaError for an unreadable file.
        """
        # For the whole clip, one after the other: nothing is held.
        yield from self._chosen(islice(self._planes(), first, first + count), first, count)

    def _part(self, first: int, count: int) -> Iterator[Float[Tensor, "h w"]]:
        """The same, for parts that are asked for more than once, and in order: the file is read once."""
        yield from self._chosen(self._reader.part(first, count), first, count)

    def _chosen(self, planes: Iterable[Plane], first: int, count: int) -> Iterator[Float[Tensor, "h w"]]:
        given = 0
        for plane in planes:
            given += 1
            yield self._fitted(plane)
        if given < count:
            has = f"{first + given} frames" if given else f"no frame {first + 1}"
            raise ShapeError(
                f"the mask has {has} and the clip ends with frame {first + count} of its source; "
                f"give a mask of {first + count} frames or more, or one picture for all; {self.path}"
            )

    def at(self, size: tuple[int, int], first: int, count: int, stride: int = 1) -> Maps:
        """The same for the latents of `size` rows and columns: averaged down, then grown by one latent pixel.

        [t 1 h w], 0..1. stride: frames that share a latent, past the first one, which has its own; such a latent is
        edited as far as any of its frames is. Raises what `frames` raises, and RequestError where nothing is to be
        edited at all.
        """
        small = torch.stack([_averaged(frame, size) for frame in self._part(first, count)])
        if not small.any():
            other = "outside" if self.inside else "inside"
            raise RequestError(f"the mask leaves nothing to edit in any frame; try --edit {other}; {self.path}")
        grown = F.max_pool2d(small, kernel_size=3, stride=1, padding=1)
        shared = grown[1:].split(stride) if count > 1 else ()
        return torch.stack([grown[0], *(group.amax(0) for group in shared)])

    def is_empty(self, first: int, count: int) -> bool:
        """Whether nothing of these frames is to be edited. Raises what `frames` raises."""
        return not any(bool(frame.any()) for frame in self._part(first, count))

    def _fitted(self, plane: Float[Tensor, "h w"]) -> Float[Tensor, "H W"]:
        check_aspect("mask", (plane.shape[0], plane.shape[1]), self.size, self.path)
        whole = plane[None, None]
        if plane.shape != self.size:
            whole = F.interpolate(whole, self.size, mode="bilinear", antialias=True).clamp(0, 1)
        chosen = whole if self.inside else 1 - whole
        return feathered(chosen[0, 0], self.feather_px)


def _check_alpha(source: Source | None) -> None:
    if source is None:
        raise RequestError("a clip from memory has no transparency for --mask alpha; give a mask file")
    if not source.transparent:
        raise MediaError(f"the clip has no transparency, which --mask alpha asks for; give a mask file: {source.path}")


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
