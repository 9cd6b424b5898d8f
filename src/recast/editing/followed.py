"""The mask of a whole file: from a region of one of its frames, or from what words name in each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from recast.conditions.follow import Box, Followed, followed_box, followed_still
from recast.conditions.segmenters import WordSegmenter
from recast.editing.mask import Mask
from recast.errors import RequestError
from recast.types import Frames, Maps
from recast.video.read import Frame, Source, Window, frames, read

BLACK_AND_WHITE = 0.5
"""A pixel is marked where a mask is more."""


@dataclass(frozen=True, eq=False)
class FollowedFile:
    """Masks at the size at which a region was followed. scale: pixels of the source in one of theirs."""

    masks: Maps
    confidence: tuple[float, ...]
    scale: float
    window: Window

    def shaped(self, grow_px: int, *, invert: bool) -> Maps:
        """The masks in black and white, grown by so many pixels of the source (shrunk below 0), then inverted if so."""
        masks = (self.masks > BLACK_AND_WHITE).float()
        reach = round(abs(grow_px) / self.scale)
        if reach:
            sign = 1 if grow_px > 0 else -1
            masks = sign * F.max_pool2d(sign * masks, 2 * reach + 1, stride=1, padding=reach)
        return 1 - masks if invert else masks

    def pictures(self, source: Source) -> Iterator[tuple[UInt8[Tensor, "3 h w"], Frame]]:
        """Each mask at the source's size, with the frame that it belongs to."""
        for mask, frame in zip(self.masks, frames(source, self.window), strict=True):
            whole = F.interpolate(mask[None], source.size, mode="bilinear", align_corners=False)[0]
            yield (255 * (whole > BLACK_AND_WHITE)).to(torch.uint8).expand(3, -1, -1).contiguous(), frame


def follow(source: Source, at: int, *, box: Box | None, still: Path | None, short_side: int) -> FollowedFile:
    """The region of frame `at` in all frames. box: in pixels of the source. still: a picture, else.

    All frames are held at `short_side` px. Raises RequestError for a frame or box that is not there, ShapeError for a
    still of another aspect.
    """
    clip, scale = _small(source, short_side, at)
    if box is not None:
        found = followed_box(clip, _scaled(box, scale, source.size), at)
    else:
        assert still is not None
        found = _still(clip, still, source, at)
    return FollowedFile(found.masks, found.confidence, scale, Window())


def named_by_words(source: Source, words: Sequence[str], segmenter: WordSegmenter, share: float) -> FollowedFile:
    """What any of the words names in each frame, where it is likelier than `share`, 0..1; frames are seen one by one.

    confidence: of a frame, the likeliest place in it. Raises RequestError where no place of any frame is as likely.
    """
    clip = read(source, Window(size=source.size)).frames
    likely = _likely(clip, words, segmenter, share)
    return FollowedFile((likely > share).float(), tuple(likely.amax((1, 2, 3)).tolist()), 1.0, Window())


def named_once(
    source: Source, words: Sequence[str], segmenter: WordSegmenter, share: float, *, at: int, short_side: int
) -> FollowedFile:
    """What any of the words names in frame `at`, seen there at the source's size and followed as a painted still is.

    Raises RequestError for a frame that is not there, and where no place of it is likelier than `share`.
    """
    clip, scale = _small(source, short_side, at)
    seen = next(islice(frames(source, Window()), at, None)).pixels
    likely = _likely(seen[None], words, segmenter, share)
    small = F.interpolate((likely > share).float(), clip.shape[-2:], mode="area")[0, 0]
    found = followed_still(clip, small, at)
    return FollowedFile(found.masks, found.confidence, scale, Window())


def _small(source: Source, short_side: int, at: int) -> tuple[Frames, float]:
    """All frames at `short_side` px, and how many pixels of the source are one of theirs."""
    scale = max(1.0, min(source.size) / short_side)
    clip = read(source, Window(size=(round(source.size[0] / scale), round(source.size[1] / scale)))).frames
    if at >= len(clip):
        raise RequestError(f"there is no frame {at}: the clip has {len(clip)}, counted from 0")
    return clip, scale


def _likely(shown: Frames, words: Sequence[str], segmenter: WordSegmenter, share: float) -> Maps:
    """How likely each place shows what the words name. Raises RequestError where none is likelier than `share`."""
    likely = segmenter(shown, words, share)
    if not (likely > share).any():
        named = " or ".join(map(repr, words))
        seen = f"{named} is nowhere likelier than {share:g}: the likeliest place has {float(likely.max()):.2g}"
        raise RequestError(f"{seen}; say it otherwise, or say a smaller --likely")
    return likely


def _still(clip: UInt8[Tensor, "t 3 h w"], still: Path, source: Source, at: int) -> Followed:
    (plane,) = Mask(still, source.size).frames(0, 1)
    small = F.interpolate(plane[None, None], clip.shape[-2:], mode="area")[0, 0]
    return followed_still(clip, small, at)


def _scaled(box: Box, scale: float, size: tuple[int, int]) -> Box:
    left, top, width, height = box
    if width < 1 or height < 1 or left + width > size[1] or top + height > size[0]:
        raise RequestError(f"the box {width}x{height} at {left},{top} is not in frames of {size[1]}x{size[0]}")
    near = [int(side / scale) for side in (left, top)]
    return near[0], near[1], max(1, int(width / scale)), max(1, int(height / scale))
