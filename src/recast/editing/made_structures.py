"""A structure that the user made: a picture, a video or a folder of pictures, frame by frame beside the source."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from recast.editing.mask_planes import PlaneReader, check_aspect
from recast.errors import MediaError, ShapeError
from recast.types import Clip, Kind, Structure
from recast.video.read import Window, frames, opened


@dataclass(frozen=True)
class MadeStructure:
    """Maps of a file. size: rows and columns of the source, in px; the file is of its aspect.

    Grey for kinds of one channel, by luma, 0 black to 1 white; colours for those of three. A picture serves every
    frame; of a video or folder frame i belongs to the source's frame i.
    """

    kind: Kind
    path: Path
    size: tuple[int, int]
    _reader: PlaneReader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.path.exists():
            raise MediaError(f"there is no {self.kind} at {self.path}")
        object.__setattr__(self, "_reader", PlaneReader(self._read))

    def of(self, clip: Clip) -> Structure:
        """Those of a clip's frames, at its size.

        Raises ShapeError for another aspect than the source's or too few frames, MediaError for an unreadable file.
        """
        maps = [self._fitted(each, clip.size) for each in self._reader.part(clip.first, len(clip))]
        if len(maps) < len(clip):
            ends, has = clip.first + len(clip), clip.first + len(maps)
            wrong = f"the {self.kind} has {'' if maps else 'at most '}{has} frames"
            wrong += f" and the clip ends with frame {ends} of its source"
            raise ShapeError(f"{wrong}; give {ends} frames or more, or one picture for all; {self.path}")
        return Structure(self.kind, torch.stack(maps))

    def _read(self) -> Iterator[Float[Tensor, "c h w"]]:
        source = opened(self.path)
        pictures = (self._channels(frame.pixels) for frame in frames(source, Window()))
        return repeat(next(pictures)) if source.num_frames == 1 else pictures

    def _channels(self, pixels: UInt8[Tensor, "3 h w"]) -> Float[Tensor, "c h w"]:
        if self.kind.channels == len(pixels):
            return pixels.float() / 255
        red, green, blue = pixels.int()
        # Rec. 709 luma in whole numbers, so that grey stays exactly what it was.
        return ((2126 * red + 7152 * green + 722 * blue) // 10000).float()[None] / 255

    def _fitted(self, maps: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c H W"]:
        check_aspect(self.kind, (maps.shape[-2], maps.shape[-1]), self.size, self.path)
        if maps.shape[-2:] == size:
            return maps
        return F.interpolate(maps[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
