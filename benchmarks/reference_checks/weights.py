"""What training and tuning make of weights and schedules."""

import torch
import torch.nn.functional as F
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.toys import normal
from torch import nn

from recast.diffusion.schedule import rescale_zero_snr
from recast.networks.weight_changes import SpectralChange


def shifted_spectrum(source: Published) -> float:
    """SAVE's convolution with shifted singular values, some of them below 0."""
    layer = source.load("SVDConv2d").SVDConv2d(6, 8, 3, scale=0.7, padding=1)
    base = normal(8, 6, 3, 3).float() / 7
    layer.weight = nn.Parameter(base)
    shift = normal(8, seed=1).float()
    layer.delta = nn.Parameter(shift)
    change = SpectralChange(base)
    change.scale, change.shift = 0.7, nn.Parameter(shift)
    assert (change.values + 0.7 * shift < 0).any(), "some singular values would be negative"
    x = normal(2, 6, 5, 5, seed=2).float()
    return gap(F.conv2d(x, change(base), layer.bias, padding=1), layer(x))


def terminal_zero(source: Published) -> float:
    """Zero signal at the last timestep, as MotionDirector rescales its schedule."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    theirs = source.load("enforce_zero_terminal_snr").enforce_zero_terminal_snr(betas)
    return gap(rescale_zero_snr(torch.cumprod(1 - betas, 0)), torch.cumprod(1 - theirs, 0))


CHECKS = (
    Check(
        "one-shot tuning",
        "nazmul-karim170/SAVE-Text2Video-Diffusion",
        "video_utils/models/save.py",
        "SVDConv2d / SpectralChange",
        shifted_spectrum,
    ),
    Check(
        "schedules",
        "showlab/MotionDirector",
        "MotionDirector_train.py",
        "enforce_zero_terminal_snr / rescale_zero_snr",
        terminal_zero,
    ),
)
