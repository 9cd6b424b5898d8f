"""Clips of any length through a network that sees few frames."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.denoising import Denoiser
from recast.errors import RequestError
from recast.types import Condition, Latents


def windowed(denoise: Denoiser, size: int, overlap: int, *, even: bool = False) -> Denoiser:
    """Denoises overlapping windows of at most `size` frames and joins the answers; shorter clips go through whole.

    As in MultiDiffusion (arXiv:2302.08113), along time: each frame's answers are averaged, more of the windows that
    have it near their middle, or all alike where `even`.
    Raises RequestError for a window of no frames or an overlap that fills it.
    """
    if not 0 <= overlap < size:
        raise RequestError(f"windows of {size} frames cannot share {overlap}; share from 0 to {max(size - 1, 0)}")

    def windowed_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
        if len(x) <= size:
            return denoise(x, sigma, condition)
        joined = torch.zeros_like(x)
        weights = shares(len(x), size, overlap, even=even).to(x)
        for start, share in zip(starts(len(x), size, overlap), weights, strict=True):
            picks = torch.arange(start, start + size, device=x.device)
            clean = denoise(x[picks], sigma, condition.at(picks))
            joined[picks] += rearrange(share[picks], "t -> t 1 1 1") * clean
        return joined

    return windowed_denoise


def starts(length: int, size: int, overlap: int) -> list[int]:
    """The first frame of each window. The last window moves back, so that it is no shorter than the others."""
    last = max(length - size, 0)
    return [*range(0, last, size - overlap), last]


def shares(length: int, size: int, overlap: int, *, even: bool = False) -> Float[Tensor, "windows t"]:
    """How much each window counts in each frame; 1 in total for every frame, rising and falling over the overlap.

    even: all windows that have a frame count alike in it.
    """
    place = torch.arange(min(size, length))
    ramp = torch.minimum(place + 1, len(place) - place).clamp(max=1 if even else overlap + 1).float()
    firsts = starts(length, size, overlap)
    raw = torch.zeros(len(firsts), length)
    for row, first in zip(raw, firsts, strict=True):
        row[first : first + size] = ramp
    return raw / raw.sum(0)
