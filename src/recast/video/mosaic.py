"""Clips of one size playing beside each other, each with a label above it."""

from math import ceil, sqrt

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from recast.errors import ShapeError
from recast.types import Frames
from recast.video.sheet import GAP, PAPER, label_band


def mosaic(clips: list[Frames], labels: list[str]) -> UInt8[Tensor, "t 3 H W"]:
    """One clip of many, laid out in a grid row by row; sides are even, as most codecs want them.

    Raises ShapeError for no clips, clips of several sizes or lengths, or labels that are not one to a clip.
    """
    shapes = {tuple(clip.shape) for clip in clips}
    if len(shapes) != 1 or len(labels) != len(clips):
        raise ShapeError(f"{len(labels)} labels for {len(clips)} clips of shapes {sorted(shapes)}; make them alike")
    tiles = [_tile(clip, label) for clip, label in zip(clips, labels, strict=True)]
    columns = ceil(sqrt(len(tiles)))
    tiles += [torch.full_like(tiles[0], PAPER)] * (-len(tiles) % columns)
    grid = rearrange(torch.stack(tiles), "(r k) t c h w -> t c (r h) (k w)", k=columns)
    rows, width = grid.shape[-2:]
    return F.pad(grid, (0, width % 2, 0, rows % 2), value=PAPER)


def _tile(clip: Frames, label: str) -> UInt8[Tensor, "t 3 H W"]:
    rows, columns = clip.shape[-2:]
    band = label_band(label, columns, rows).expand(len(clip), -1, -1, -1)
    return F.pad(torch.cat([band, clip], dim=-2), (0, GAP, 0, GAP), value=PAPER)
