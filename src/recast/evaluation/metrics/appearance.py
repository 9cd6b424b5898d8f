"""Sharpness of an edit, and its distance to a reference."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recast.types import Frames

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue, ITU-R BT.601."""


def sharpness(frames: Frames) -> float:
    """The mean length of the gradient of luma, 0..255 a pixel, from differences with the pixels right and below."""
    luma = torch.einsum("tchw,c->thw", frames.float(), torch.tensor(LUMA))
    across, down = luma[:, :-1, 1:] - luma[:, :-1, :-1], luma[:, 1:, :-1] - luma[:, :-1, :-1]
    return float(torch.hypot(across, down).mean())


def distance(frames: Frames, others: Frames, where: Bool[Tensor, "t h w"] | None = None) -> float:
    """The mean absolute difference of two clips over all channels, 0..255; of the pixels of `where` if given.

    There must be some such pixel.
    """
    apart: Float[Tensor, "t h w"] = (frames.float() - others.float()).abs().mean(dim=1)
    return float((apart if where is None else apart[where]).mean())
