"""Temporal consistency: frames compared in pixels, by an encoder, and along the flow."""

from itertools import product
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from recast.conditions.flow import ClipFlow
from recast.conditions.warping import visible
from recast.types import Frames
from recast.world import Footage

SAME_SURFACE = 0.1
"""The most, as a share, that the inverse depth of one surface changes between two frames."""

Flow = Float[Tensor, "t h w 2"]


@runtime_checkable
class FrameEncoder(Protocol):
    """Turns frames into vectors whose cosine says how alike they are; it should be no part of the model."""

    @property
    def name(self) -> str:
        """What results call it."""
        ...

    def embeddings(self, frames: Frames, /) -> Float[Tensor, "t d"]:
        """One embedding a frame, on the CPU."""
        ...


def steadiness(frames: Frames, source: Footage, encoder: FrameEncoder) -> dict[str, float]:
    """The three measures of a clip that was made of `source`, at the source's size."""
    flow = torch.from_numpy(source.flow)
    return {
        "frames": neighbours(encoder.embeddings(frames)),
        "pixels": neighbours(centred(frames)),
        "warp": 1e3 * warp_error(frames.float() / 255, flow, followed(source)),
    }


def neighbours(vectors: Float[Tensor, "t d"]) -> float:
    """The mean cosine of each vector with the next; 1 for identical frames. arXiv:2302.03011, section 4.3."""
    return float(F.cosine_similarity(vectors[:-1], vectors[1:]).mean())


def all_pairs(vectors: Float[Tensor, "t d"]) -> float:
    """The mean cosine of every two vectors; 1 for identical frames. LOVEU-TGVE 2023 (arXiv:2310.16003)."""
    unit = F.normalize(vectors, dim=1)
    others = len(unit) * (len(unit) - 1)
    return float(((unit @ unit.T).sum() - unit.square().sum()) / others)


def centred(frames: Frames) -> Float[Tensor, "t d"]:
    """Each frame's colours, 0..1, less their mean, as one vector; frames of one colour give zeros."""
    colours = frames.float() / 255
    return rearrange(colours - colours.mean(dim=(2, 3), keepdim=True), "t c h w -> t (c h w)")


def warp_along(frames: Frames, flow: ClipFlow) -> float | None:
    """The warp error, 0..1, along estimated flow of the same size, where its way there and back agrees; else None."""
    seen = visible(flow.forward, flow.backward)[:, 0] > 0.5
    if not seen.any():
        return None
    # Nothing follows the last frame.
    forward = rearrange(torch.cat([flow.forward, torch.zeros_like(flow.forward[:1])]), "t xy h w -> t h w xy")
    return warp_error(frames / 255, forward, torch.cat([seen, torch.zeros_like(seen[:1])]))


def warp_error(frames: Float[Tensor, "t 3 h w"], flow: Flow, seen: Bool[Tensor, "t h w"]) -> float:
    """The mean squared difference of each frame and the next one brought back along the flow. arXiv:1808.00449.

    frames: 0..1. flow: pixels to the right and down until the next frame; the last one's is not used.
    seen: where the next frame shows the same point; there must be some such place.
    """
    back = F.grid_sample(frames[1:], _there(flow[:-1]), "bilinear", "border", align_corners=False)
    squared = (back - frames[:-1]).square().mean(dim=1)
    return float(squared[seen[:-1]].mean())


def followed(source: Footage) -> Bool[Tensor, "t h w"]:
    """Where the next frame shows the same point: inside it, on the same subject, as far away.

    All four pixels that are mixed on the way back must do so; else, at every outline, a subject's colour would be
    compared with its background's. Nothing follows the last frame.
    """
    flow = torch.from_numpy(source.flow)
    depth, masks = (torch.from_numpy(np.asarray(m, np.float32)) for m in (source.inverse_depth, source.masks))
    met = torch.stack([depth, masks], dim=1)[1:]
    known = (_there(flow)[:-1].abs() <= 1).all(dim=-1)
    for corner in product((-0.499, 0.499), repeat=2):
        there = _there(flow + torch.tensor(corner))[:-1]
        mixed = F.grid_sample(met, there, "nearest", "border", align_corners=False)
        near = (mixed[:, 0] - depth[:-1]).abs() <= SAME_SURFACE * depth[:-1]
        known &= near & (mixed[:, 1] == masks[:-1])
    return torch.cat([known, torch.zeros_like(known[:1])])


def _there(flow: Flow) -> Flow:
    """Where each pixel goes, as grid_sample counts: -1 and 1 are the outer edges of the outer pixels."""
    height, width = flow.shape[1:3]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    there = torch.stack([columns, rows], dim=-1) + flow
    return (2 * there + 1) / torch.tensor([width, height]) - 1
