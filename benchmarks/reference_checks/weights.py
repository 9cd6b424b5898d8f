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


def shift_regularizer(source: Published) -> float:
    """SAVE's cost of shifts, one statement of its training loop, over two weights."""
    changes = [SpectralChange(normal(8, 6, seed=seed)) for seed in (0, 1)]
    for seed, change in enumerate(changes):
        change.shift = nn.Parameter(normal(6, seed=2 + seed))
    given = {
        "delta_values": [change.shift for change in changes],
        "singular_values_initial": [change.values for change in changes],
    }
    theirs = [source.added_to("L_reg", i=i, **given) for i in range(2)]
    return gap(torch.stack([change.penalty() for change in changes]), torch.stack(theirs))


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
        "one-shot tuning",
        "nazmul-karim170/SAVE-Text2Video-Diffusion",
        "Edit_Video_SAVE.py",
        "L_reg of main / SpectralChange.penalty",
        shift_regularizer,
    ),
    Check(
        "schedules",
        "showlab/MotionDirector",
        "MotionDirector_train.py",
        "enforce_zero_terminal_snr / rescale_zero_snr",
        terminal_zero,
    ),
)
