"""Inversion is the walk down, backwards: what it finds is walked back to where it began."""

from math import log10, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from recast.diffusion.inversion import ddim_inversion, reconstruction_psnr
from recast.diffusion.samplers import ddim
from recast.errors import Cancelled, RequestError, ScheduleError
from recast.types import Condition

NOTHING = Condition(torch.zeros(1, 1), torch.zeros(1, 1))
DEVIATION = 0.7


def start():
    return torch.randn(2, 4, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def gaussian(x, sigma, _condition):
    """The best guess where data are N(0, 0.7^2): arXiv:2206.00364, appendix B."""
    return x * DEVIATION**2 / (DEVIATION**2 + sigma**2)


def two_peaks(x, sigma, _condition):
    """The same where half of the data is about 1 and half about -1, with deviation 0.5: not linear."""
    total = 0.5**2 + sigma**2
    return (0.5**2 * x + sigma**2 * torch.tanh(x / total)) / total


def constant(x, _sigma, _condition):
    return torch.full_like(x, 0.25)


def even(steps, highest=3.0):
    """Evenly spaced levels, the last one 0."""
    return [highest * (1 - i / steps) for i in range(steps)] + [0.0]


def there_and_back(denoise, x, sigmas, refinements=0):
    up = ddim_inversion(denoise, x, sigmas, NOTHING, refinements=refinements)
    return ddim(denoise, up.trajectory[0], sigmas, NOTHING)


def slope_of(errors, steps):
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


@pytest.mark.parametrize("denoise", [gaussian, two_peaks])
def test_there_and_back_converges_at_first_order(denoise):
    steps = [64, 128, 256, 512]
    errors = [float((there_and_back(denoise, start(), even(n)) - start()).norm()) for n in steps]
    assert 0.8 < slope_of(errors, steps) < 1.3
    assert errors[-2] / errors[-1] == pytest.approx(2, rel=0.2)


def test_the_way_up_converges_to_the_exact_path_at_first_order():
    steps = [64, 128, 256, 512]
    exact = start() * sqrt(DEVIATION**2 + 3**2) / DEVIATION
    errors = [float((ddim_inversion(gaussian, start(), even(n), NOTHING).trajectory[0] - exact).norm()) for n in steps]
    assert 0.8 < slope_of(errors, steps) < 1.3


@pytest.mark.parametrize("denoise", [gaussian, two_peaks])
@pytest.mark.parametrize(("steps", "refinements"), [(1, 600), (2, 150), (5, 40), (20, 10)])
def test_refined_enough_the_walk_back_returns_what_it_was_given(denoise, steps, refinements):
    assert_close(there_and_back(denoise, start(), even(steps), refinements), start(), atol=1e-5, rtol=0)


def test_more_refinements_are_nearer():
    errors = [float((there_and_back(two_peaks, start(), even(10), n) - start()).norm()) for n in (0, 2, 4, 8, 16)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 4


@pytest.mark.parametrize("refinements", [0, 1, 3])
@pytest.mark.parametrize("steps", [1, 3, 10])
def test_a_constant_denoiser_is_inverted_exactly(steps, refinements):
    sigmas = [*even(steps, 4.0)[:-1], 0.1]
    noise, clean = start(), torch.full_like(start(), 0.25)
    up = ddim_inversion(constant, clean + 0.1 * noise, sigmas, NOTHING, refinements=refinements)
    for x, sigma in zip(up.trajectory, sigmas, strict=True):
        assert_close(x, clean + sigma * noise, atol=1e-12, rtol=1e-12)
    assert_close(ddim(constant, up.trajectory[0], sigmas, NOTHING), up.trajectory[-1], atol=1e-12, rtol=1e-12)
    assert torch.equal(there_and_back(constant, clean, even(steps), refinements), clean)


def test_at_0_the_slope_is_that_of_the_smallest_level():
    asked = []

    def noted(x, sigma, condition):
        asked.append((x, sigma))
        return gaussian(x, sigma, condition)

    up = ddim_inversion(noted, start(), [2.0, 0.5, 0.0], NOTHING)
    assert [sigma for _, sigma in asked] == [0.5, 0.5, 2.0]
    assert torch.equal(asked[0][0], start())
    assert_close(up.trajectory[1], 2 * start() - gaussian(start(), 0.5, NOTHING))


def test_no_step_is_the_latents_alone_and_nothing_is_left_of_gradients():
    x = start().requires_grad_()
    assert ddim_inversion(gaussian, x, [0.0], NOTHING).trajectory == [x]
    up = ddim_inversion(gaussian, x, even(2), NOTHING)
    assert not any(each.requires_grad for each in (*up.trajectory[:-1], up.error))


@pytest.mark.parametrize("refinements", [0, 2])
@pytest.mark.parametrize("sigmas", [even(1), even(4), [30.0, 10.0, 2.0]])
def test_for_gaussian_data_of_a_large_variance_the_error_is_known_before_the_walk_back(sigmas, refinements):
    def wide(x, sigma, _condition):
        return x * 100 / (100 + sigma**2)

    up = ddim_inversion(wide, start(), sigmas, NOTHING, refinements=refinements)
    assert_close(up.reconstructed, ddim(wide, up.trajectory[0], sigmas, NOTHING), atol=1e-12, rtol=0)
    assert (up.error.norm() > 1e-6) == (refinements == 0)  # for such data one refinement is the solution


@pytest.mark.parametrize("refinements", [0, 1, 3])
def test_of_one_step_the_error_is_exact_and_of_data_that_vary_less_too_large(refinements):
    for steps, most in ((1, 1 + 1e-9), (20, 4)):
        up = ddim_inversion(gaussian, start(), even(steps), NOTHING, refinements=refinements)
        missed = ddim(gaussian, up.trajectory[0], even(steps), NOTHING) - start()
        assert missed.norm() * (1 - 1e-9) <= up.error.norm() <= most * missed.norm()


def test_one_refinement_reaches_a_level_of_nearly_no_signal():
    """Up to 4096, as of zero terminal signal-to-noise, plain fixed-point iteration takes a hundred to get anywhere."""
    sigmas = [4096.0, 10.0]
    errors = [ddim_inversion(two_peaks, start(), sigmas, NOTHING, refinements=n).error.norm() for n in (0, 1, 2)]
    assert errors[1] < 1e-2 * errors[0]
    assert errors[2] < 1e-2 * errors[1]


def test_the_latents_of_a_level_between_are_those_of_the_nearest_one():
    up = ddim_inversion(gaussian, start(), [3.0, 1.0, 0.0], NOTHING)
    for sigma, index in ((9.0, 0), (3.0, 0), (2.1, 0), (1.9, 1), (0.6, 1), (0.0, 2)):
        assert up.at(sigma) is up.trajectory[index]


def test_each_step_up_is_told_with_its_level_and_may_stop_the_walk():
    calls = []

    def hook(x, sigma, /):
        calls.append((x, sigma))
        if sigma == 2.0:
            raise Cancelled("stopped")
        return x

    with pytest.raises(Cancelled):
        ddim_inversion(gaussian, start(), [3.0, 2.0, 1.0, 0.0], NOTHING, step_hook=hook)
    assert [sigma for _, sigma in calls] == [1.0, 2.0]
    up = ddim_inversion(gaussian, start(), [2.0, 1.0, 0.0], NOTHING)
    assert all(map(torch.equal, (x for x, _ in calls), reversed(up.trajectory[:-1])))


def test_what_cannot_be_inverted_is_refused():
    with pytest.raises(ScheduleError, match="must fall"):
        ddim_inversion(gaussian, start(), [0.0, 1.0, 0.5], NOTHING)
    with pytest.raises(RequestError, match="-1 refinements"):
        ddim_inversion(gaussian, start(), even(2), NOTHING, refinements=-1)


@given(scale=st.floats(0.01, 100), decibels=st.floats(5, 60))
def test_psnr_is_of_the_sources_own_range(scale, decibels):
    source = scale * torch.linspace(-1, 1, 101, dtype=torch.float64)
    off = 2 * scale * 10 ** (-decibels / 20)
    assert reconstruction_psnr(source, source + off) == pytest.approx(decibels)


def test_psnr_of_pixels_is_of_a_peak_of_255():
    grey = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    assert reconstruction_psnr(grey, grey + 5, peak=255.0) == pytest.approx(20 * log10(255 / 5))


def test_psnr_of_equal_tensors_is_99():
    assert reconstruction_psnr(start(), start()) == 99
    assert reconstruction_psnr(start(), start() + 1e-12) == 99
