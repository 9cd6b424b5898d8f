"""A frame's noise is its own: the same in any window, of any length, and for any number of frames at once."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recast.denoising import DenoiseInputs
from recast.diffusion.samplers import ddim
from recast.types import Clip, Condition

NOTHING = Condition(torch.zeros(1, 1), torch.zeros(1, 1))


def noise(first, count, seed=0, channels=4):
    clip = Clip(torch.zeros(count, 3, 8, 8, dtype=torch.uint8), Fraction(8), first)
    return DenoiseInputs(clip, NOTHING, ddim, seed=seed).noise(torch.zeros(count, channels, 6, 6))


@given(first=st.integers(0, 10_000), count=st.integers(1, 6), skipped=st.integers(0, 5), seed=st.integers(0, 2**63 - 1))
def test_windows_of_a_clip_agree(first, count, skipped, seed):
    start = min(skipped, count - 1)
    assert torch.equal(noise(first, count, seed)[start:], noise(first + start, count - start, seed))


def test_frames_and_seeds_differ():
    drawn = torch.cat([noise(0, 4, seed) for seed in range(4)]).flatten(1)
    likeness = torch.corrcoef(drawn) - torch.eye(16)
    assert likeness.abs().max() < 0.4


def test_it_is_standard_normal():
    drawn = noise(0, 400)
    assert drawn.mean().item() == pytest.approx(0, abs=0.01)
    assert drawn.std().item() == pytest.approx(1, abs=0.01)


def test_the_global_stream_is_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    noise(0, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_has_the_precision_of_the_latents():
    inputs = DenoiseInputs(Clip(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), Fraction(8)), NOTHING, ddim)
    half = inputs.noise(torch.zeros(2, 4, 6, 6, dtype=torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, replace(inputs, steps=3).noise(torch.zeros(2, 4, 6, 6)).bfloat16())
