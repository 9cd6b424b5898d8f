"""Null-text inversion: fitted null tokens take a guided walk down along an inverted one."""

from dataclasses import replace

import pytest
import torch
from einops import repeat
from torch.testing import assert_close

from animatediff_folder import write_animatediff
from hooked_backbone import conditioned, noisy
from recast.backbones.families import BACKBONES
from recast.backbones.tiny import tiny, write_stable_diffusion
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.diffusion.inversion import Inversion
from recast.diffusion.null_text import NullText, NullTextFit, fixed_branches_once, null_text_inversion, with_null_text
from recast.diffusion.samplers import SAMPLERS, ddim
from recast.diffusion.windows import windowed
from recast.errors import Cancelled, RequestError
from recast.model.folder import ModelFolder, quiet
from recast.types import Condition

FRAMES, SCALE = 2, 5.0
SIGMAS = [4.0, 2.0, 1.0, 0.0]
THOROUGH = NullTextFit(iterations=15, learning_rate=0.1, tolerance=0.0)


@pytest.fixture(scope="module")
def backbone():
    return tiny(0)


@pytest.fixture(scope="module")
def condition(backbone):
    return conditioned(backbone, FRAMES)


@pytest.fixture(scope="module")
def inversion(backbone, condition):
    """A walk down without guidance, which its own way up would be: there are tokens that follow it, the wanted ones."""
    path = [SIGMAS[0] * noisy(FRAMES)]
    denoise = guided(backbone.denoise_branches, 1.0)
    ddim(denoise, path[0], SIGMAS, condition, step_hook=lambda x, _sigma, /: path.append(x) or x)
    return Inversion(SIGMAS, path, torch.zeros_like(path[0]))


def missed(denoise, inversion, condition):
    back = ddim(denoise, inversion.trajectory[0], inversion.sigmas, condition)
    return float((back - inversion.trajectory[-1]).norm())


@pytest.mark.parametrize("by_frame", [False, True])
def test_what_is_not_fitted_is_evaluated_once_a_level(backbone, inversion, by_frame):
    condition = conditioned(backbone, FRAMES)
    if by_frame:
        condition = replace(condition, uncond=repeat(condition.uncond, "n d -> t n d", t=FRAMES))
    asked, fit = [], NullTextFit(iterations=3, learning_rate=0.1, tolerance=0.0)

    def counted(x, sigma, condition, branches):
        asked.append(len(branches))
        return backbone.denoise_branches(x, sigma, condition, branches)

    def fitted(denoise_branches):
        asked.clear()
        denoise = windowed(guided(denoise_branches, SCALE), 1, 0)
        return null_text_inversion(denoise, inversion, condition, fit=fit).uncond

    plain = fitted(counted)
    assert asked == [2] * (FRAMES * 4 * 3)
    once = fitted(fixed_branches_once(counted))
    assert asked == ([2] * FRAMES + [1] * 3 * FRAMES) * 3
    assert_close(once, plain, atol=1e-4, rtol=1e-3)


def test_a_branch_of_other_latents_layers_or_frames_is_evaluated(condition):
    asked, x = [], noisy(FRAMES)

    def counted(x, _sigma, _condition, branches):
        asked.append(len(branches))
        return [x + branch.tokens.sum() for branch in branches]

    once, branch = fixed_branches_once(counted), Branch(condition.cond)
    later = replace(condition, frames=torch.arange(FRAMES) + 3)
    calls = [(x, 1.0, condition, branch), (x, 1.0, condition, replace(branch, temporal=False)), (x, 1.0, later, branch)]
    calls += [(-x, 1.0, condition, branch), (x, 1.0, condition, Branch(condition.uncond)), (x, 2.0, condition, branch)]
    for latents, sigma, of, one in [*calls, calls[-1]]:
        assert_close(once(latents, sigma, of, [one]), [latents + one.tokens.sum()])
    assert asked == [1] * len(calls)


@pytest.mark.parametrize("by_frame", [False, True])
def test_the_guided_walk_misses_the_source_several_times_less(backbone, condition, inversion, by_frame):
    if by_frame:
        condition = replace(condition, uncond=repeat(condition.uncond, "n d -> t n d", t=FRAMES))
    denoise = windowed(guided(backbone.denoise_branches, SCALE), 8, 0)
    null_text = null_text_inversion(denoise, inversion, condition, fit=THOROUGH)
    assert [each.shape for each in null_text.uncond] == [condition.uncond.shape] * 3
    fitted = missed(with_null_text(denoise, null_text), inversion, condition)
    assert fitted < missed(denoise, inversion, condition) / 2.5


def test_without_guidance_the_tokens_stay_and_no_weight_is_touched(backbone, condition, inversion):
    null_text = null_text_inversion(guided(backbone.denoise_branches, 1.0), inversion, condition, fit=THOROUGH)
    assert all(torch.equal(each, condition.uncond) for each in null_text.uncond)
    assert all(weight.grad is None for weight in backbone.net.parameters())


def linear(matrix, scale):
    """A guided denoiser whose answer is linear in the tokens: scale * M cond + (1 - scale) * M uncond."""

    def denoise(_x, _sigma, condition):
        tokens = scale * condition.cond + (1 - scale) * condition.uncond
        return (matrix @ tokens.flatten()).view(1, 2, 2, 2)

    return denoise


def test_of_a_denoiser_linear_in_the_tokens_the_fit_is_the_least_squares_solution():
    rng = torch.Generator().manual_seed(0)
    matrix = torch.randn(8, 3, dtype=torch.float64, generator=rng)
    cond, uncond = torch.randn(2, 1, 3, dtype=torch.float64, generator=rng)
    path = [torch.randn(1, 2, 2, 2, dtype=torch.float64, generator=rng) for _ in range(3)]
    inversion = Inversion([3.0, 1.0, 0.0], path, torch.zeros_like(path[0]))
    denoise, condition = linear(matrix, SCALE), Condition(cond, uncond)
    fit = NullTextFit(iterations=1500, learning_rate=0.02, tolerance=0.0)
    null_text = null_text_inversion(denoise, inversion, condition, fit=fit)
    x = path[0]
    for tokens, target, (sigma, sigma_next) in zip(null_text.uncond, path[1:], ((3.0, 1.0), (1.0, 0.0)), strict=True):
        # The step is clean + sigma_next / sigma (x - clean), so the clean latents to be hit are those:
        keep = sigma_next / sigma
        wanted = (target - keep * x).flatten() / (1 - keep) - SCALE * matrix @ cond.flatten()
        solution = torch.linalg.lstsq((1 - SCALE) * matrix, wanted[:, None]).solution
        assert_close(tokens.flatten(), solution.flatten(), atol=1e-5, rtol=1e-4)
        clean = denoise(x, sigma, replace(condition, uncond=tokens))
        x = clean + keep * (x - clean)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_a_sampler_is_told_the_tokens_of_the_nearest_level(sampler):
    null_text = NullText(SIGMAS[:-1], [torch.full((1, 3), sigma) for sigma in SIGMAS[:-1]])
    asked = []

    def denoise(x, sigma, condition):
        asked.append((sigma, float(condition.uncond[0, 0])))
        return 0.5 * x

    sampler(with_null_text(denoise, null_text), torch.ones(1, 2, 2, 2), SIGMAS, Condition(*torch.zeros(2, 1, 3)))
    assert asked
    assert all(sigma == fitted for sigma, fitted in asked)
    assert [float(null_text.at(sigma)[0, 0]) for sigma in (9, 2.9, 1.6, 0.2)] == [4, 2, 2, 1]


def opened(family, path):
    written = write_stable_diffusion(path) if family == "stable_diffusion" else write_animatediff(path)
    with quiet():
        return BACKBONES[family](ModelFolder.found(written))


@pytest.mark.parametrize("family", ["stable_diffusion", "animatediff", "gen1"])
def test_gradients_reach_the_tokens_in_every_family(family, tmp_path, backbone, condition):
    network = backbone if family == "gen1" else opened(family, tmp_path)
    if family != "gen1":
        condition = Condition(network.null_tokens() + 1, network.null_tokens())
    tokens = condition.uncond.clone().requires_grad_()
    asked = [Branch(condition.cond), Branch(tokens)]
    with_it, without = network.denoise_branches(noisy(FRAMES), 2.0, condition, asked)[1], 1e-2 * torch.ones_like(tokens)
    (slope,) = torch.autograd.grad(with_it.double().sum(), [tokens])
    ends = [
        network.denoise_branches(
            noisy(FRAMES), 2.0, condition, [Branch(condition.cond), Branch(tokens.detach() + step)]
        )[1]
        for step in (without, -without)
    ]
    difference = (ends[0].double().sum() - ends[1].double().sum()) / 2
    assert_close(float((slope * without).sum()), float(difference.detach()), rtol=0.05, atol=1e-4)
    assert slope.norm() > 0


def test_it_may_be_stopped_and_refuses_what_is_no_fit(inversion, condition, backbone):
    def stop(_x, _sigma, /):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        null_text_inversion(guided(backbone.denoise_branches, 1.0), inversion, condition, step_hook=stop)
    denoise, negated = guided(backbone.denoise_branches, SCALE), replace(condition, negative=condition.cond)
    with pytest.raises(RequestError, match="leave the negative prompt out"):
        null_text_inversion(denoise, inversion, negated)
    with pytest.raises(RequestError, match="leave the negative prompt out"):
        missed(with_null_text(denoise, NullText(SIGMAS[:-1], [condition.uncond] * 3)), inversion, negated)
    with pytest.raises(RequestError, match="iterations and tolerance must be 0 or more"):
        NullTextFit(iterations=-1)
