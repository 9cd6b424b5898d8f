"""Optical flow of a clip, estimated by DIS (arXiv:1603.03590), and flow at other sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.denoising import FlowEstimator
from recast.types import Frames

Flow = Float[Tensor, "s 2 h w"]
"""Where each pixel of a frame is in another frame: pixels to the right (first channel) and down (second)."""
LEAST_PX = 12
"""The smallest side that DIS takes; smaller frames are enlarged for it."""


@dataclass(frozen=True, eq=False)
class ClipFlow:
    """Flow between neighbouring frames of a clip of s + 1 frames, on the CPU.

    forward: [i] lies on frame i and points into frame i + 1. backward: [i] lies on frame i + 1 and points into frame i.
    """

    forward: Flow
    backward: Flow

    @classmethod
    def of(cls, frames: Frames, estimate: FlowEstimator | None = None) -> "ClipFlow":
        """Estimated at the frames' size, by DIS where nothing else is said; of one frame it is empty."""
        estimate = estimate or flow_between
        return cls(estimate(frames[:-1], frames[1:]), estimate(frames[1:], frames[:-1]))

    def resized(self, size: Sequence[int]) -> "ClipFlow":
        """The same motion in pixels of frames of `size` rows and columns."""
        return ClipFlow(resized_flow(self.forward, size), resized_flow(self.backward, size))


def flow_between(frames: Frames, others: Frames, /) -> Flow:
    """Flow from each frame into the other one of the same index, by DIS with OpenCV's medium preset, on luma."""
    seer: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    size = frames.shape[-2:]
    pairs = zip(_luma(frames), _luma(others), strict=True)
    found = [torch.from_numpy(rearrange(seer.calc(one, other, None), "h w xy -> xy h w")) for one, other in pairs]
    return resized_flow(torch.stack(found), size) if found else torch.zeros(0, 2, *size)


def resized_flow(flow: Flow, size: Sequence[int]) -> Float[Tensor, "s 2 y x"]:
    """Flow at `size` rows and columns; its values are scaled along, so that they are in pixels of that size."""
    rows, columns = flow.shape[-2:]
    if tuple(size) == (rows, columns) or not len(flow):
        return flow if len(flow) else flow.new_zeros(0, 2, *size)
    scale = flow.new_tensor([size[1] / columns, size[0] / rows])
    resized = F.interpolate(flow, list(size), mode="bilinear", align_corners=False, antialias=True)
    return resized * rearrange(scale, "xy -> xy 1 1")


def _luma(frames: Frames) -> list[np.ndarray]:
    rows, columns = (max(side, LEAST_PX) for side in frames.shape[-2:])
    greys = (cv2.cvtColor(rearrange(frame, "c h w -> h w c").numpy().copy(), cv2.COLOR_RGB2GRAY) for frame in frames)
    return [cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_LINEAR) for grey in greys]
