"""Clips whose layers are known: textures that move over each other."""

import torch
import torch.nn.functional as F

from recast.substrates.layers import sampled
from recast.substrates.moves import own_places

SIZE = (64, 80)


def texture(rows, columns, seed=0, fine=5):
    """A picture with detail at several sizes, 0..1."""
    generator = torch.Generator().manual_seed(seed)
    coarse = [torch.rand(1, 3, rows // step + 2, columns // step + 2, generator=generator) for step in (fine, 12, 30)]
    total = sum(F.interpolate(each, (rows, columns), mode="bicubic", align_corners=False) for each in coarse)[0]
    return (total - total.min()) / (total.max() - total.min())


def two_layer_clip(count=8, wide=1.0, tall=1.0):
    """A background that pans, and a disc over it that goes the other way; or an ellipse of the same texture."""
    behind, before = texture(SIZE[0], SIZE[1] + 40, seed=1), texture(*SIZE, seed=2)
    own, frames, masks = own_places(SIZE), [], []
    for frame in range(count):
        background = sampled(behind, (own + torch.tensor([1.5 * frame, 0]).reshape(2, 1, 1))[None])
        here = own - torch.tensor([20 + 2.0 * frame, 32]).reshape(2, 1, 1)
        round_here = here / torch.tensor([wide, tall]).reshape(2, 1, 1)
        disc = (14 - round_here.square().sum(0, keepdim=True).sqrt()).clamp(0, 1)[None]
        foreground = sampled(before, (here + torch.tensor([40.0, 32]).reshape(2, 1, 1))[None])
        frames.append(disc * foreground + (1 - disc) * background)
        masks.append(disc)
    return (255 * torch.cat(frames)).round().to(torch.uint8), torch.cat(masks)
