"""Noise that walks start from."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import torch
from benchmarks.reference_checks.published import Check, Published, StandIn, gap
from benchmarks.reference_checks.toys import CHANNELS, SIDE, normal
from einops import rearrange
from torch import Tensor

from recast.diffusion.noise import (
    SHARED,
    butterworth_low_pass,
    frequency_mixed,
    gaussian_low_pass,
    mixed_noise,
    progressive_noise,
    shuffled_frames,
)
from recast.types import Latents

FRAMES, ALPHA = 6, 1.7
SPREAD = {
    "alpha**2 / (1.0 + alpha**2)": "(alpha**2 / (1.0 + alpha**2)) ** 0.5",
    "1.0 / (1.0 + alpha**2)": "(1.0 / (1.0 + alpha**2)) ** 0.5",
}
"""Variances, which are passed for deviations, made deviations."""


def _own() -> Latents:
    return normal(FRAMES, CHANNELS, SIDE, SIDE)


def _draw(frames: Sequence[int], number: int) -> Latents:
    return normal(1, CHANNELS, SIDE, SIDE, seed=9) if number == SHARED else _own()[list(frames)]


def _normal_of(noises: Iterator[Tensor]) -> StandIn:
    return StandIn(torch, normal=lambda *, std, **_: std * next(noises))


def mixed(source: Published) -> float:
    """PYoCo's mixed noise."""
    given = {"torch": _normal_of(iter([_draw([0], SHARED), _own()]))}
    published = source.load("randn_mixed", "randn_base", changed=SPREAD, **given)
    return gap(
        mixed_noise(_draw, range(FRAMES), ALPHA), published.randn_mixed((FRAMES, CHANNELS, SIDE, SIDE), 0, ALPHA)
    )


def progressive(source: Published) -> float:
    """PYoCo's progressive noise."""
    given = {"torch": _normal_of(iter(_own().split(1))), "sqrt": lambda x: x**0.5}
    published = source.load("randn_progressive", "randn_base", changed=SPREAD, **given)
    theirs = published.randn_progressive((FRAMES, CHANNELS, SIDE, SIDE), 0, ALPHA)
    return gap(progressive_noise(_draw, range(FRAMES), ALPHA), theirs)


def frequencies(source: Published) -> float:
    """FreeInit's two filters, and the mixture of two noises by each."""
    published = source.load("freq_mix_3d", "gaussian_low_pass_filter", "butterworth_low_pass_filter", fft=torch.fft)
    shape, (low, high) = (FRAMES, SIDE, SIDE), (normal(FRAMES, CHANNELS, SIDE, SIDE, seed=seed) for seed in range(2))
    filters = {
        published.gaussian_low_pass_filter: gaussian_low_pass(shape, 0.3, 0.2),
        published.butterworth_low_pass_filter: butterworth_low_pass(shape, 4, 0.3, 0.2),
    }
    gaps = []
    for theirs, ours in filters.items():
        low_pass = theirs(shape, d_s=0.3, d_t=0.2)
        volumes = (rearrange(each, "t c y x -> c t y x") for each in (low, high))
        mixture = published.freq_mix_3d(*volumes, low_pass)
        gaps.append(gap(torch.fft.fftshift(ours), low_pass))
        gaps.append(gap(rearrange(frequency_mixed(low, high, ours), "t c y x -> c t y x"), mixture))
    return max(gaps)


def shuffled(source: Published) -> float:
    """FreeNoise's windows of shuffled noise, shuffled as ours are."""
    count, whole, window, stride = 21, 24, 8, 4
    frames = shuffled_frames(whole, window, stride, seed=5)
    stretches = ((frames[at - window :][:stride], frames[at:][:stride]) for at in range(window, whole, stride))
    orders = iter([torch.tensor([before.index(frame) for frame in after]) for before, after in stretches])
    given = {
        "torch": StandIn(torch, randperm=lambda *_, **__: next(orders)),
        "randn_tensor": lambda shape, **_: torch.arange(float(count)).reshape(shape),
    }
    prepare = source.load("AnimateDiffFreeNoiseMixin._prepare_latents_free_noise", **given)._prepare_latents_free_noise
    noise = {"_free_noise_context_length": window, "_free_noise_context_stride": stride}
    holder = SimpleNamespace(**noise, _free_noise_noise_type="shuffle_context", vae_scale_factor=8)
    ours = torch.tensor(shuffled_frames(count, window, stride, seed=5))
    return gap(ours.float(), prepare(holder, 1, 1, count, 8, 8, None, "cpu").flatten())


PYOCO = "anonymous0x233/ReuseAndDiffuse", "model/utils.py"
VARIANCES = "variances, which are passed for deviations there"
CHECKS = (
    Check("noise of PYoCo", *PYOCO, "randn_mixed / mixed_noise", mixed, VARIANCES),
    Check("noise of PYoCo", *PYOCO, "randn_progressive / progressive_noise", progressive, VARIANCES),
    Check(
        "noise of FreeInit",
        "TianxingWu/FreeInit",
        "freeinit_utils.py",
        "filters and freq_mix_3d / frequency_mixed",
        frequencies,
    ),
    Check(
        "noise of FreeNoise",
        "huggingface/diffusers",
        "src/diffusers/pipelines/free_noise_utils.py",
        "_prepare_latents_free_noise / shuffled_frames",
        shuffled,
    ),
)
