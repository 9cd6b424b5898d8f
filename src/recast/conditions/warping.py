"""Pictures carried along optical flow, and where flow can be relied on."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.conditions.flow import Flow, flow_between, resized_flow
from recast.denoising import FlowEstimator
from recast.types import Frames, Latents, Maps

Shares = Float[Tensor, "s 1 h w"]
"""How far a pixel can be relied on, 0..1."""
Matches = tuple[Flow, Shares]
"""Flow into other frames, and where it can be relied on."""


def warped(pictures: Latents, flow: Flow) -> Latents:
    """Each picture as seen from the frame that its flow lies on: the value at p is the picture's at p + flow(p).

    Backward warping: bilinear, and outside the picture its nearest edge. The flow is brought to the pictures' size, so
    latents take flow in pixels of their frames.
    """
    size = pictures.shape[-2:]
    at_size = resized_flow(flow, size).to(pictures)
    places = rearrange(_places(size).to(pictures) + at_size, "s xy h w -> s h w xy")
    scale = pictures.new_tensor([size[1], size[0]])
    grid = (2 * places + 1) / scale - 1  # -1 and 1 are the outer edges of the outer pixels
    return F.grid_sample(pictures, grid, "bilinear", "border", align_corners=False)


def composed(flow: Flow, then: Flow) -> Flow:
    """Flow into a third frame: along `flow` into the second one, and on from there along `then`, which lies on it."""
    return flow + warped(then, flow)


def visible(flow: Flow, back: Flow) -> Shares:
    """1 where the frame that `flow` points into shows the same point, 0 where it is hidden or outside.

    back: the flow of that frame, into the one that `flow` lies on. What goes there and back again should end where it
    started: hidden is where |f + b|^2 > .01 (|f|^2 + |b|^2) + .5, in pixels. Sundaram et al. 2010 (ECCV), equation 5.
    """
    returned = warped(back, flow)
    error, length = (_squared(each) for each in (flow + returned, torch.cat([flow, returned], dim=1)))
    return (error <= 0.01 * length + 0.5).to(flow) * inside(flow)


def inside(flow: Flow) -> Shares:
    """1 where flow points at a pixel of the other frame, 0 where it leaves it."""
    there = _places(flow.shape[-2:]) + flow
    last = flow.new_tensor([flow.shape[-1] - 1, flow.shape[-2] - 1])
    return ((there >= -0.5) & (there <= rearrange(last, "xy -> xy 1 1") + 0.5)).all(dim=1, keepdim=True).to(flow)


def matched(frames: Frames, others: Frames, estimate: FlowEstimator | None = None) -> Matches:
    """Flow from each frame into the other of the same index, and where it can be relied on. By DIS if not said."""
    estimate = estimate or flow_between
    flow = estimate(frames, others)
    return flow, visible(flow, estimate(others, frames))


def shrunk(shares: Shares, size: Sequence[int]) -> Float[Tensor, "s 1 y x"]:
    """Shares at the latents' size: the least of all pixels that a latent stands for."""
    return -F.adaptive_max_pool2d(-shares, list(size))


def fused(own: Maps, other: Maps, shares: Shares) -> Maps:
    """`other` where its share is 1, `own` where it is 0."""
    shares = shares.to(own)
    return shares * other + (1 - shares) * own


def _places(size: Sequence[int]) -> Float[Tensor, "2 h w"]:
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return torch.stack([columns, rows]).float()


def _squared(vectors: Float[Tensor, "s c h w"]) -> Shares:
    return vectors.square().sum(dim=1, keepdim=True)
