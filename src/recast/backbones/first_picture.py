"""The picture that a clip starts with, as families that read one see it: at the clip's size."""

from jaxtyping import UInt8
from torch import Tensor

from recast.backbones.video_control import VideoControl
from recast.conditions.image import picture
from recast.errors import RequestError
from recast.types import Frames
from recast.video.resize import resized


def first_pictures(video: VideoControl) -> tuple[Frames, Frames]:
    """The wanted first frame and the clip's own, one frame each; the same where no picture is given.

    Raises RequestError for several pictures, MediaError for what is none.
    """
    if len(video.pictures) > 1:
        raise RequestError(f"a clip starts with one picture, and {len(video.pictures)} were given; name one")
    own = video.frames[:1]
    size = own.shape[-2], own.shape[-1]
    return (covering(picture(video.pictures[0]), size) if video.pictures else own), own


def covering(shown: UInt8[Tensor, "3 h w"], size: tuple[int, int]) -> UInt8[Tensor, "1 3 H W"]:
    """The middle of a picture that has the aspect of `size`, rows and columns, at that size."""
    rows, columns = shown.shape[-2:]
    scale = min(rows / size[0], columns / size[1])
    high, wide = (min(whole, max(1, round(scale * part))) for whole, part in zip((rows, columns), size, strict=True))
    top, left = (rows - high) // 2, (columns - wide) // 2
    return resized(shown[None, :, top : top + high, left : left + wide], size)
