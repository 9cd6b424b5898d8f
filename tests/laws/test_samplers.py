"""Samplers follow independent implementations step by step, and exact paths where data have a closed form."""

from dataclasses import replace
from math import sqrt

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_heun_discrete import HeunDiscreteScheduler
from torch.testing import assert_close

from recast.diffusion.parameterization import Prediction, alpha, clean_from, scale_input
from recast.diffusion.samplers import SAMPLERS, ddim, dpm_solver_2m, heun
from recast.diffusion.schedule import LEAST_ALPHA_BAR, check_decreasing, finish, schedule, truncated
from recast.errors import RequestError, ScheduleError, WeightsError
from recast.types import Condition

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SD = BETAS | {"clip_sample": False}
OLD_NUMPY = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # in diffusers' schedulers
NOTHING = Condition(torch.zeros(1, 1), torch.zeros(1, 1))


def answered(x, timestep):
    """A network: any smooth function of what it is given."""
    return torch.tanh(x.roll(1, -1) * 0.7 - x * 0.3 + timestep / 1000)


def start():
    return torch.randn(2, 4, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def path(sampler, denoise, x, sigmas):
    """The latents at the end of every step."""
    seen = []

    def noted(x, sigma, /):
        seen.append((x, sigma))
        return x

    sampler(denoise, x, sigmas, NOTHING, step_hook=noted)
    return seen


def as_denoiser(levels):
    def denoise(x, sigma, _condition):
        return clean_from(levels.prediction, answered(scale_input(x, sigma), levels.sigma_to_timestep(sigma)), x, sigma)

    return denoise


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize(("spacing", "offset"), [("trailing", 0), ("leading", 0), ("leading", 1)])
@pytest.mark.parametrize("steps", [1, 10, 50])
def test_ddim_is_diffusers_ddim_on_every_step(prediction, spacing, offset, steps):
    reference = DDIMScheduler(**SD, prediction_type=prediction, timestep_spacing=spacing, steps_offset=offset)
    ours = schedule(reference.config)
    reference.alphas_cumprod = 1 / (1 + ours.sigmas**2)
    reference.set_timesteps(steps)
    sigmas = ours.timestep_sigmas(steps)
    assert [ours.sigma_to_timestep(sigma) for sigma in sigmas[:-1]] == reference.timesteps.tolist()
    expected = start()
    ends = path(ddim, as_denoiser(ours), start() / alpha(sigmas[0]), sigmas)
    for timestep, (x, sigma) in zip(reference.timesteps, ends, strict=True):
        expected = reference.step(answered(expected, float(timestep)), timestep, expected).prev_sample
        assert_close(scale_input(x, sigma), expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize(("spacing", "offset"), [("trailing", 0), ("leading", 0), ("leading", 1)])
@pytest.mark.parametrize("steps", [2, 10, 50])
def test_a_walk_that_ends_at_timestep_0_is_diffusers(prediction, spacing, offset, steps):
    spaced = {"timestep_spacing": spacing, "steps_offset": offset}
    reference = DDIMScheduler(**SD, **spaced, prediction_type=prediction, set_alpha_to_one=False)
    ours = schedule(reference.config)
    assert 1 / (1 + ours.final_sigma**2) == pytest.approx(float(reference.final_alpha_cumprod), abs=1e-6)
    reference.alphas_cumprod = 1 / (1 + ours.sigmas**2)
    reference.final_alpha_cumprod = reference.alphas_cumprod[0]
    reference.set_timesteps(steps)
    sigmas = ours.timestep_sigmas(steps)
    assert sigmas[-1] == ours.final_sigma == ours.sigmas[0]
    check_decreasing(sigmas, to_zero=False)
    expected = start()
    for timestep in reference.timesteps:
        expected = reference.step(answered(expected, float(timestep)), timestep, expected).prev_sample
    found = finish(ddim(as_denoiser(ours), start() / alpha(sigmas[0]), sigmas, NOTHING), sigmas[-1])
    assert_close(found, expected, atol=1e-10, rtol=1e-10)


def test_a_walk_to_0_is_finished_as_it_is():
    assert finish(x := start(), 0.0) is x
    assert schedule(SD).final_sigma == 0
    assert schedule(SD | {"set_alpha_to_one": True}).timestep_sigmas(5) == schedule(SD).timestep_sigmas(5)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_a_walk_in_two_parts_stops_at_the_level_between(sampler):
    stopped = sampler(gaussian(1.0), start(), [3.0, 2.0, 1.0], NOTHING)
    assert torch.equal(stopped, path(sampler, gaussian(1.0), start(), [3.0, 2.0, 1.0, 0.0])[1][0])
    with pytest.raises(ScheduleError, match="must end in 0 or above"):
        sampler(gaussian(1.0), start(), [1.0, -1.0], NOTHING)


@OLD_NUMPY
@pytest.mark.parametrize("steps", [2, 5, 20])
def test_dpm_solver_is_diffusers_on_every_step(steps):
    reference = DPMSolverMultistepScheduler(**BETAS, timestep_spacing="trailing", final_sigmas_type="zero")
    reference.set_timesteps(steps)
    ours = schedule(reference.config)
    sigmas = ours.timestep_sigmas(steps)
    assert [ours.sigma_to_timestep(sigma) for sigma in sigmas[:-1]] == reference.timesteps.tolist()
    expected = start().float()
    ends = path(dpm_solver_2m, as_denoiser(ours), start() / alpha(sigmas[0]), sigmas)
    for timestep, (x, sigma) in zip(reference.timesteps, ends, strict=True):
        expected = reference.step(answered(expected, float(timestep)), timestep, expected).prev_sample
        assert_close(scale_input(x, sigma).float(), expected, atol=2e-4, rtol=2e-4)


@OLD_NUMPY
def test_heun_is_diffusers_heun():
    reference = HeunDiscreteScheduler(**BETAS)
    reference.set_timesteps(12)
    sigmas = list(dict.fromkeys(reference.sigmas.tolist()))
    expected = start().float() * sigmas[0]
    ours = schedule(reference.config)
    denoise = as_denoiser(ours)
    for timestep, sigma in zip(reference.timesteps, reference.sigmas[:-1].tolist(), strict=True):
        noise = (expected - denoise(expected, sigma, NOTHING)) / sigma
        expected = reference.step(noise, timestep, expected).prev_sample
    assert_close(heun(denoise, start().float() * sigmas[0], sigmas, NOTHING), expected, atol=1e-3, rtol=1e-3)


def gaussian(deviation):
    """The best guess where data are normal, centred, of this deviation: arXiv:2206.00364, appendix B."""

    def denoise(x, sigma, _condition):
        return x * deviation**2 / (deviation**2 + sigma**2)

    return denoise


def error(sampler, steps, deviation=0.7):
    # From 10 down to 0.1 the exact path scales x by the ratio of the total deviations; the last step goes to 0.
    sigmas = [10 * 0.01 ** (i / steps) for i in range(steps + 1)]
    x = start()
    before_last = path(sampler, gaussian(deviation), x, [*sigmas, 0.0])[-2][0]
    exact = x * sqrt((deviation**2 + sigmas[-1] ** 2) / (deviation**2 + sigmas[0] ** 2))
    return ((before_last - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize(("sampler", "order"), [("ddim", 1), ("dpm++2m", 2), ("heun", 2)])
def test_errors_shrink_with_the_order_of_the_sampler(sampler, order):
    coarse, fine = error(SAMPLERS[sampler], 64), error(SAMPLERS[sampler], 128)
    assert coarse / fine == pytest.approx(2**order, rel=0.2)
    assert fine < 0.03


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_every_sampler_ends_on_the_last_guess_and_tells_every_level(sampler):
    sigmas = [3.0, 2.0, 0.5, 0.0]
    ends = path(sampler, lambda x, _sigma, _condition: torch.full_like(x, 0.25), start(), sigmas)
    assert [sigma for _, sigma in ends] == sigmas[1:]
    assert_close(ends[-1][0], torch.full_like(start(), 0.25))


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_no_step_is_no_change_and_what_an_edit_gives_is_gone_on_with(sampler):
    assert torch.equal(sampler(gaussian(1.0), start(), [0.0], NOTHING), start())
    zeroed = sampler(gaussian(1.0), start(), [2.0, 1.0, 0.0], NOTHING, step_hook=lambda x, _sigma: torch.zeros_like(x))
    assert torch.equal(zeroed, torch.zeros_like(start()))


@pytest.mark.parametrize("levels", [[], [1.0], [1.0, 2.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [float("nan"), 0.0]])
def test_levels_that_do_not_fall_to_zero_are_refused(levels):
    with pytest.raises(ScheduleError, match="must"):
        check_decreasing(levels)


@pytest.mark.parametrize("betas", ["linear", "scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("zero", [False, True])
def test_levels_are_those_of_diffusers(betas, zero):
    reference = DDIMScheduler(
        **SD | {"beta_schedule": betas}, rescale_betas_zero_snr=zero, prediction_type="v_prediction"
    )
    ours = schedule(reference.config)
    bar = reference.alphas_cumprod.double().clamp(min=LEAST_ALPHA_BAR)
    assert_close(1 / (1 + ours.sigmas**2), bar, atol=1e-6, rtol=1e-3)
    if zero:
        assert ours.sigmas[-1] == pytest.approx(4096, rel=1e-6)
        assert replace(ours, spacing="trailing").timestep_sigmas(4)[0] == ours.sigmas[-1]


def test_timesteps_and_levels_are_inverse_and_rise_together():
    ours = schedule(SD)
    assert [ours.sigma_to_timestep(sigma) for sigma in ours.sigmas.tolist()] == list(range(1000))
    between = ours.sigma_to_timestep(sqrt(ours.sigmas[500] * ours.sigmas[501]))
    assert between == pytest.approx(500.5)


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("steps", [1, 2, 7, 25, 999, 1000])
def test_levels_fall_for_any_number_of_steps(spacing, steps):
    levels = schedule(SD | {"timestep_spacing": spacing, "steps_offset": 1}).timestep_sigmas(steps)
    check_decreasing(levels)
    assert len(levels) <= steps + 1


def test_levels_that_were_not_trained_are_refused():
    with pytest.raises(RequestError, match="1001 sampling steps"):
        schedule(SD).timestep_sigmas(1001)
    for wrong in ({"beta_schedule": "odd"}, {"prediction_type": "odd"}, {"rescale_betas_zero_snr": True}):
        with pytest.raises(WeightsError):
            schedule(SD | wrong)
    with pytest.raises(WeightsError, match="timestep_spacing"):
        schedule(SD | {"timestep_spacing": "odd"}).timestep_sigmas(3)


def test_strength_is_a_share_of_the_walk():
    walk = [4.0, 3.0, 2.0, 1.0, 0.0]
    assert [truncated(walk, strength) for strength in (1, 0.5, 0)] == [walk, [2.0, 1.0, 0.0], [0.0]]
    assert [truncated([4.0, 1.0, 0.5], strength) for strength in (1, 0.5, 0)] == [[4.0, 1.0, 0.5], [1.0, 0.5], [0.0]]
    with pytest.raises(RequestError, match=r"strength is 1\.5"):
        truncated(walk, 1.5)


def test_the_names_are_those_of_diffusers():
    assert {*Prediction} == {"epsilon", "v_prediction", "sample", "flow_prediction"}
