"""Noise, velocity and clean predictions are three words for one thing."""

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from recast.diffusion.parameterization import (
    Prediction,
    alpha,
    clean_from,
    clean_share,
    scale_input,
    target,
)

GENERATOR = torch.Generator().manual_seed(0)
CLEAN, NOISE = torch.randn(2, 3, 4, 4, 4, dtype=torch.float64, generator=GENERATOR)


@pytest.mark.parametrize("prediction", Prediction)
@given(sigma=st.floats(0.01, 200))
def test_a_perfect_answer_gives_the_clean_latents_back(prediction, sigma):
    x = CLEAN + sigma * NOISE
    answer = target(prediction, CLEAN, NOISE, sigma)
    assert_close(clean_from(prediction, answer, x, sigma), CLEAN, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("prediction", Prediction)
@given(sigma=st.floats(0.01, 200))
def test_an_answer_comes_back_from_what_it_stands_for(prediction, sigma):
    x, answer = CLEAN, NOISE
    clean = clean_from(prediction, answer, x, sigma)
    assert_close(target(prediction, clean, (x - clean) / sigma, sigma), answer, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("prediction", Prediction)
@given(sigma=st.floats(0.01, 200))
def test_the_network_sees_a_mixture_with_that_clean_share(prediction, sigma):
    share = clean_share(prediction, sigma)
    assert_close(scale_input(CLEAN + sigma * NOISE, sigma, prediction), share * CLEAN + sigma * share * NOISE)


@given(time=st.floats(0.001, 0.999))
def test_flow_is_the_slope_of_a_straight_line_from_clean_to_noise(time):
    sigma = time / (1 - time)
    on_line = scale_input(CLEAN + sigma * NOISE, sigma, Prediction.FLOW)
    assert_close(on_line, (1 - time) * CLEAN + time * NOISE)
    flow = target(Prediction.FLOW, CLEAN, NOISE, sigma)
    assert_close(on_line - time * flow, CLEAN)
    assert_close(on_line + (1 - time) * flow, NOISE)


@given(sigma=st.floats(0.01, 200))
def test_shares_of_clean_and_noise_lie_on_a_circle(sigma):
    assert alpha(sigma) ** 2 + (sigma * alpha(sigma)) ** 2 == pytest.approx(1)


def test_one_level_a_clip_is_as_good_as_one_for_all():
    sigmas = torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64).reshape(3, 1, 1, 1)
    spread = target(Prediction.VELOCITY, CLEAN, NOISE, sigmas)
    assert_close(
        spread,
        torch.cat(
            [
                target(Prediction.VELOCITY, c, n, float(s))
                for c, n, s in zip(CLEAN.split(1), NOISE.split(1), sigmas, strict=True)
            ]
        ),
    )


def test_velocity_and_mixture_are_those_of_diffusers():
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    for timestep in (0, 10, 500, 999):
        t = torch.full((len(CLEAN),), timestep)
        bar = scheduler.alphas_cumprod[timestep]
        sigma = ((1 - bar) / bar).sqrt().item()
        assert_close(target(Prediction.VELOCITY, CLEAN, NOISE, sigma), scheduler.get_velocity(CLEAN, NOISE, t))
        assert_close(scale_input(CLEAN + sigma * NOISE, sigma), scheduler.add_noise(CLEAN, NOISE, t))
