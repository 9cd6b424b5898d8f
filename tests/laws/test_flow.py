"""Rectified flow is the same diffusion in other words: levels, timesteps and walks."""

import pytest
import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from torch.testing import assert_close

from recast.diffusion.parameterization import Prediction, clean_from, clean_share, scale_input
from recast.diffusion.samplers import ddim
from recast.diffusion.schedule import LEAST_FLOW_SHARE, UNSUPPORTED_FLOW, FlowSchedule, check_decreasing, schedule
from recast.errors import RequestError, WeightsError
from recast.types import Condition

NOTHING = Condition(torch.zeros(1, 1), torch.zeros(1, 1))
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}
SHIFTS = pytest.mark.parametrize("shift", [0.5, 1.0, 3.0, 12.0])


def start():
    return torch.randn(2, 4, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def answered(x, timestep):
    """A network: any smooth function of what it is given."""
    return torch.tanh(x.roll(1, -1) * 0.7 - x * 0.3 + timestep / 1000)


@SHIFTS
@pytest.mark.parametrize("steps", [1, 2, 10, 50])
def test_ddim_is_diffusers_flow_euler_on_every_step(shift, steps):
    reference = FlowMatchEulerDiscreteScheduler(shift=shift)
    ours = schedule(reference.config)
    reference.set_timesteps(steps)
    sigmas = ours.timestep_sigmas(steps)
    timesteps = [ours.sigma_to_timestep(sigma) for sigma in sigmas[:-1]]
    assert timesteps == pytest.approx(reference.timesteps.tolist(), rel=1e-6)

    def denoise(x, sigma, _condition):
        answer = answered(scale_input(x, sigma, Prediction.FLOW), ours.sigma_to_timestep(sigma))
        return clean_from(Prediction.FLOW, answer, x, sigma)

    ends = []

    def noted(x, sigma, /):
        ends.append(scale_input(x, sigma, Prediction.FLOW))
        return x

    ddim(denoise, start() / clean_share(Prediction.FLOW, sigmas[0]), sigmas, NOTHING, step_hook=noted)
    expected = start().float()
    for timestep, found in zip(reference.timesteps, ends, strict=True):
        expected = reference.step(answered(expected, float(timestep)), timestep, expected).prev_sample
        assert_close(found.float(), expected, atol=2e-5, rtol=2e-5)


def best(prediction, x, sigma, deviation):
    """The network that answers best where data are N(0, deviation^2), in terms of what it is given alone."""
    a = clean_share(prediction, sigma)
    b = sigma * a
    u = scale_input(x, sigma, prediction)
    total = a**2 * deviation**2 + b**2
    clean, noise = a * deviation**2 / total * u, b / total * u
    answers = {
        Prediction.NOISE: noise,
        Prediction.CLEAN: clean,
        Prediction.VELOCITY: a * noise - b * clean,
        Prediction.FLOW: noise - clean,
    }
    return answers[prediction]


@pytest.mark.parametrize("prediction", Prediction)
@pytest.mark.parametrize("deviation", [0.3, 1.0, 2.0])
def test_networks_of_one_distribution_walk_alike_whatever_they_predict(prediction, deviation):
    sigmas = FlowSchedule.of(shift=3.0).timestep_sigmas(12)[1:]
    x = start() * sigmas[0]

    def denoise(x, sigma, _condition):
        return clean_from(prediction, best(prediction, x, sigma, deviation), x, sigma)

    def exact(x, sigma, _condition):
        return x * deviation**2 / (deviation**2 + sigma**2)

    assert_close(ddim(denoise, x, sigmas, NOTHING), ddim(exact, x, sigmas, NOTHING), atol=1e-9, rtol=1e-9)


@SHIFTS
def test_timesteps_and_levels_are_inverse_and_rise_together(shift):
    ours = FlowSchedule.of(1000, shift)
    check_decreasing([*ours.sigmas.flip(0).tolist(), 0.0])
    time = torch.arange(1, 1001, dtype=torch.float64) / 1000
    expected = 1000 * shift * time / (1 + (shift - 1) * time)
    assert [ours.sigma_to_timestep(sigma) for sigma in ours.sigmas.tolist()] == pytest.approx(expected.tolist())
    for timestep in (0.25, 1.0, 333.3, 999.0):
        assert ours.sigma_to_timestep(timestep / (1000 - timestep)) == pytest.approx(timestep)


def test_without_shift_timesteps_are_whole_and_pure_noise_is_the_last():
    ours = FlowSchedule.of(1000)
    assert [ours.sigma_to_timestep(sigma) for sigma in ours.sigmas.tolist()] == list(range(1, 1001))
    assert 1 / (1 + ours.sigmas[-1]) == LEAST_FLOW_SHARE
    assert ours.sigma_to_timestep(1e12) == 1000


@SHIFTS
def test_a_shift_multiplies_every_level_but_the_last(shift):
    assert_close(FlowSchedule.of(1000, shift).sigmas[:-1], shift * FlowSchedule.of(1000).sigmas[:-1])


def test_single_precision_keeps_the_clean_latents_at_pure_noise():
    sigma = float(FlowSchedule.of().sigmas[-1])
    clean, noise = start().float(), start().flip(0).float()
    assert_close(clean_from(Prediction.FLOW, noise - clean, sigma * noise, sigma), clean, atol=1e-6, rtol=1e-6)


def test_what_is_not_supported_is_refused():
    assert schedule(FLOW).sigmas[499] == pytest.approx(3.0)
    for option in UNSUPPORTED_FLOW:
        with pytest.raises(WeightsError, match=option):
            schedule(FLOW | {option: True})
    with pytest.raises(WeightsError, match="shift of a flow schedule is 0"):
        schedule(FLOW | {"shift": 0})
    with pytest.raises(WeightsError, match="this one has betas"):
        schedule({"prediction_type": "flow_prediction", "beta_start": 1e-4})
    with pytest.raises(RequestError, match="1001 sampling steps"):
        schedule(FLOW).timestep_sigmas(1001)
