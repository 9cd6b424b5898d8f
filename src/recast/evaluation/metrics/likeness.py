"""How alike a subject is to its pictures: cosines of embeddings, with nothing else in sight."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from recast.types import Frames
from recast.video.resize import resized

Embed = Callable[[Frames], Float[Tensor, "t d"]]
"""Turns pictures into vectors whose cosine says how alike they are."""
GREY = 128
SIDE = 128


def likeness(one: Float[Tensor, "n d"], other: Float[Tensor, "m d"]) -> float:
    """The mean cosine of every embedding of one set with every one of the other."""
    return float((F.normalize(one, dim=1) @ F.normalize(other, dim=1).T).mean())


def subject_embeddings(frames: Frames, masks: Bool[Tensor, "t h w"], embed: Embed) -> Float[Tensor, "t d"]:
    """Embeddings of what lies under the masks alone, each as large as the picture, on grey."""
    return embed(torch.cat([_cut_out(*each) for each in zip(frames, masks, strict=True)]))


def _cut_out(frame: UInt8[Tensor, "3 h w"], mask: Bool[Tensor, "h w"]) -> UInt8[Tensor, "1 3 side side"]:
    rows, columns = mask.nonzero().unbind(1)
    if not len(rows):
        return torch.full((1, 3, SIDE, SIDE), GREY, dtype=torch.uint8)
    alone = torch.where(mask, frame, torch.tensor(GREY, dtype=torch.uint8))
    cut = alone[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    long = max(cut.shape[-2:])
    down, across = (long - side for side in cut.shape[-2:])
    padded = F.pad(cut, (across // 2, across - across // 2, down // 2, down - down // 2), value=GREY)
    return resized(padded[None], (SIDE, SIDE))
