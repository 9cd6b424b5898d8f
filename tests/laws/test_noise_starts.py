"""Noise that frames share: unit variance, covariance in closed form, the same in any stretch of the source."""

from fractions import Fraction

import pytest
import torch
from torch.testing import assert_close

from recast.denoising import DenoiseInputs
from recast.diffusion.noise import (
    butterworth_low_pass,
    changed_places,
    frequency_mixed,
    gaussian_low_pass,
    mixed_noise,
    noise_draw,
    progressive_noise,
    residual_noise,
    shared_noise,
    shuffled_frames,
    shuffled_noise,
    warped_noise,
)
from recast.diffusion.samplers import ddim
from recast.errors import RequestError
from recast.types import Clip, Condition

LIKE = torch.zeros(1, 4, 64, 64)
FRAMES = range(3, 8)
STARTS = {
    "shared": shared_noise,
    "mixed": mixed_noise,
    "progressive": progressive_noise,
    "shuffled": lambda draw, frames: shuffled_noise(draw, frames, 4, 2, seed=5),
}


def inputs_of(first=0, count=1, seed=0):
    nothing = Condition(torch.zeros(1, 1), torch.zeros(1, 1))
    return DenoiseInputs(
        Clip(torch.zeros(count, 3, 8, 8, dtype=torch.uint8), Fraction(8), first), nothing, ddim, seed=seed
    )


def draw_of(seed=0):
    return noise_draw(inputs_of(seed=seed), LIKE)


def covariance(noise):
    flat = noise.flatten(1).double()
    return flat @ flat.mT / flat.shape[1]


def test_the_draw_is_the_edits_own_noise():
    assert torch.equal(draw_of(7)(range(3, 6), 2), inputs_of(3, 3, 7).noise(LIKE.expand(3, -1, -1, -1), 2))


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_it_has_unit_variance_and_is_known_by_seed_and_frame(start):
    noise = start(draw_of(), FRAMES)
    assert_close(noise.square().mean((1, 2, 3)), torch.ones(5), atol=0.03, rtol=0)
    assert noise.mean().abs() < 0.03
    assert torch.equal(start(draw_of(), FRAMES[2:4]), noise[2:4])
    assert not torch.allclose(start(draw_of(1), FRAMES), noise, atol=0.5)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 3.0])
def test_mixed_noise_has_the_same_covariance_between_any_frames(alpha):
    shared = alpha**2 / (1 + alpha**2)
    expected = torch.full((5, 5), shared, dtype=torch.double).fill_diagonal_(1)
    assert_close(covariance(mixed_noise(draw_of(), FRAMES, alpha)), expected, atol=0.03, rtol=0)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_progressive_noise_forgets_by_the_distance(alpha):
    apart = (torch.arange(5)[:, None] - torch.arange(5)).abs().double()
    expected = (alpha / (1 + alpha**2) ** 0.5) ** apart
    assert_close(covariance(progressive_noise(draw_of(), FRAMES, alpha)), expected, atol=0.03, rtol=0)


def test_what_is_shared_ends_in_both_limits():
    own, shared = draw_of()(FRAMES, 0), shared_noise(draw_of(), FRAMES)
    assert torch.equal(mixed_noise(draw_of(), FRAMES, 0.0), own)
    assert_close(mixed_noise(draw_of(), FRAMES, 1e8), shared)
    assert (shared == shared[0]).all()
    assert covariance(torch.stack([own[0], shared[0]]))[0, 1].abs() < 0.03
    with pytest.raises(RequestError, match="alpha of shared noise is -1"):
        mixed_noise(draw_of(), FRAMES, -1.0)


def test_residual_noise_is_new_where_the_picture_changed():
    pixels = torch.zeros(4, 3, 8, 8)
    pixels[2:, :, :4, :4] = 0.5  # one corner changes once, in the third frame
    changed = changed_places(pixels, (2, 2))
    assert changed[0].all()
    assert [int(each.sum()) for each in changed[1:]] == [0, 1, 0]
    own = draw_of()(range(4), 0)[..., :2, :2]
    noise = residual_noise(own, changed)
    assert torch.equal(noise[1], own[0])
    assert torch.equal(noise[2, :, 0, 0], own[2, :, 0, 0])
    assert torch.equal(noise[3], noise[2])
    assert torch.equal(noise[2, :, 1], own[0, :, 1])


def test_warped_noise_moves_with_the_flow_and_is_fresh_where_it_uncovers():
    own = draw_of()(range(3), 0)

    def right(noise, _frame):
        covered = torch.ones(1, *noise.shape[1:], dtype=torch.bool)
        covered[..., 0] = False
        return noise.roll(1, -1), covered

    noise = warped_noise(own, right)
    assert torch.equal(noise[2][..., 2:], own[0][..., :-2])
    assert torch.equal(noise[2][..., 0], own[2][..., 0])
    assert_close(noise.square().mean((1, 2, 3)), torch.ones(3), atol=0.03, rtol=0)
    still = warped_noise(own, lambda noise, _frame: (noise, torch.ones(1, *noise.shape[1:], dtype=torch.bool)))
    assert torch.equal(still, own[:1].expand(3, -1, -1, -1))


def test_every_window_of_shuffled_noise_has_the_same_noises():
    frames = shuffled_frames(23, window=6, stride=3, seed=1)
    assert frames[:6] == list(range(6))
    assert all(sorted(frames[first : first + 6]) == list(range(6)) for first in range(0, 18, 3))
    assert frames[6:18] != 2 * list(range(6))
    assert frames != shuffled_frames(23, 6, 3, seed=2)
    with pytest.raises(RequestError, match="stride of 4"):
        shuffled_frames(9, 6, 4, seed=0)


@pytest.mark.parametrize("low_pass", [gaussian_low_pass, butterworth_low_pass])
def test_low_and_high_frequencies_of_two_noises(low_pass):
    low, high = draw_of()(range(8), 0), draw_of(1)(range(8), 0)
    shape = (8, 64, 64)
    weights = low_pass(shape)
    mixed = frequency_mixed(low, high, weights)
    expected = (weights.square() + (1 - weights).square()).mean()
    assert_close(mixed.square().mean(), expected, atol=0.02, rtol=0)
    assert_close(frequency_mixed(low, low, weights), low)
    assert_close(frequency_mixed(low, high, torch.ones(shape)), low)
    assert_close(frequency_mixed(low, high, torch.zeros(shape)), high)
    assert_close(mixed.mean((0, 2, 3)), low.mean((0, 2, 3)))  # the lowest frequency of all
    assert_close(frequency_mixed(low, high, low_pass(shape, stop=0.0)), high)


def test_filters_at_their_stop_frequencies():
    """The highest of eight frequencies is number 4; a quarter of it is number 1."""
    gauss, butter = gaussian_low_pass((8, 8, 8)), butterworth_low_pass((8, 8, 8))
    assert_close(gauss[1, 0, 0].item(), 0.6065306663513184)
    assert_close(butter[0, 1, 0].item(), 0.5)
    assert gauss[0, 0, 0] == butter[0, 0, 0] == 1
    assert_close(gaussian_low_pass((8, 8, 8), stop_time=1.0)[4, 0, 0].item(), 0.6065306663513184)
