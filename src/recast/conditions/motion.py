"""Motion vectors of a clip as pictures: how far each place moves until the next frame, by optical flow."""

from dataclasses import dataclass

import torch
from jaxtyping import Float

from recast.conditions.clip_scale import ClipScale, RawMap, RawMaps
from recast.conditions.extractor import Extractor
from recast.conditions.flow import Flow, flow_between
from recast.model.folder import ModelFolder
from recast.types import Frames, Kind, Maps, Structure

MOST = 1 / 8
"""The motion that is told apart from more, as a share of the frame's short side."""
REST = 0.5


@dataclass(frozen=True)
class MotionExtractor(Extractor):
    """Motion from each frame to the next, by DIS; the last frame moves as the one before it.

    VideoComposer (arXiv:2306.02018) reads the motion vectors of compressed video, which are of blocks of pixels; these
    are of pixels.
    """

    @classmethod
    def opened(cls, _folder: ModelFolder, _device: torch.device) -> "MotionExtractor":
        """An extractor, whatever the model."""
        return cls()

    @property
    def reach(self) -> int:
        """A frame's motion is that to the next one; the last one's is that of the frame before."""
        return 1

    @property
    def shares(self) -> tuple[float, ...]:
        """None: the scale is the frame's size."""
        return ()

    def measured(self, frames: Frames, part: slice, before: RawMap | None = None) -> RawMaps:  # noqa: ARG002 -- by itself
        """The motion of a part of the frames, as pictures."""
        numbers = range(*part.indices(len(frames)))
        if len(frames) == 1:
            return as_motion(torch.zeros(len(numbers), 2, *frames.shape[-2:]))
        starts = torch.tensor([min(number, len(frames) - 2) for number in numbers])
        return as_motion(flow_between(frames[starts].cpu(), frames[starts + 1].cpu()))

    def values(self, measured: RawMaps) -> RawMaps:
        """The pictures; nothing is taken of them."""
        return measured

    def scaled(self, measured: RawMaps, scale: ClipScale) -> Structure:  # noqa: ARG002 -- no scale
        """The pictures as they are."""
        return Structure(Kind.MOTION, measured)


def as_motion(flow: Flow) -> Maps:
    """Flow in pixels as a picture of it, see `Kind.MOTION`."""
    most = MOST * min(flow.shape[-2:])
    colours = (REST + flow / (2 * most)).clamp(0, 1)
    return torch.cat([colours, torch.full_like(colours[:, :1], REST)], dim=1)


def as_flow(maps: Maps) -> Float[torch.Tensor, "t 2 h w"]:
    """The inverse of `as_motion`, where nothing moved further than is told apart."""
    return (maps[:, :2] - REST) * 2 * MOST * min(maps.shape[-2:])
