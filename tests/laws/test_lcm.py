"""Few steps by consistency sampling: diffusers' LCMScheduler, arXiv:2310.04378."""

from fractions import Fraction
from functools import partial

import pytest
import torch
from diffusers.schedulers.scheduling_lcm import LCMScheduler
from torch.testing import assert_close

import recast
from animatediff_folder import write_animatediff
from pipelines import drawn, opened
from recast.backbones.tiny import PUBLISHED_SCHEDULER, write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.denoising import DenoiseInputs
from recast.diffusion.guidance import guided
from recast.diffusion.parameterization import scale_input
from recast.diffusion.samplers import ConsistencySampler
from recast.diffusion.schedule import schedule
from recast.errors import RequestError
from recast.types import Clip, Condition

LCM = LCMScheduler(**PUBLISHED_SCHEDULER | {"set_alpha_to_one": True}, clip_sample=False)
CLIP = Clip(torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8), Fraction(8))
CONFIG = {**LCM.config, "_class_name": "LCMScheduler"}


def distilled(path, write):
    """A folder whose own scheduler is that of LCM."""
    write(path)
    LCM.save_pretrained(path / "scheduler")
    return path


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 50])
def test_levels_are_those_of_diffusers(steps):
    ours = schedule(CONFIG)
    LCM.set_timesteps(steps)
    sigmas = ours.timestep_sigmas(steps)
    assert [ours.sigma_to_timestep(sigma) for sigma in sigmas[:-1]] == LCM.timesteps.tolist()
    assert sigmas[-1] == 0


def test_more_steps_than_were_distilled_are_refused():
    with pytest.raises(RequestError, match="51 sampling steps; the model was distilled for 1 to 50"):
        schedule(CONFIG).timestep_sigmas(51)


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_the_walk_is_diffusers_own(tmp_path, steps):
    """The same network, and the same fresh noise from one stream each."""
    backbone, noise = opened(distilled(tmp_path, write_stable_diffusion)), drawn(2, 4, 4, 6, seed=0)
    words = backbone.encode_content([ContentInput(Medium.WORDS, "a red ball")])
    condition, kept = Condition(words, words), []
    LCM.set_timesteps(steps)
    latents, rng = noise, torch.Generator().manual_seed(1)
    for timestep in LCM.timesteps:
        with torch.no_grad():
            answer = backbone.unet(latents, timestep, encoder_hidden_states=words.expand(2, -1, -1)).sample
        latents = LCM.step(answer, timestep, latents, generator=rng, return_dict=False)[0]
        kept.append(latents)
    ours, again = [], torch.Generator().manual_seed(1)

    def fresh(like, _number):
        return torch.randn(like.shape, generator=again)

    def keep(x, sigma):
        ours.append(scale_input(x, sigma))
        return x

    sigmas, sampler = backbone.sigmas(steps), ConsistencySampler(fresh)
    sampler(
        guided(backbone.denoise_branches, 1.0), noise * (1 + sigmas[0] ** 2) ** 0.5, sigmas, condition, step_hook=keep
    )
    for made, expected in zip(ours, kept, strict=True):
        assert_close(made / expected.abs().max(), expected / expected.abs().max(), rtol=0, atol=5e-5)


def test_motion_weights_for_few_steps_walk_by_their_folders_own_scheduler(tmp_path):
    """AnimateLCM's layout: the walk is that of lcm unless another one is named, and the seed chooses its noise."""
    editor = recast.load(distilled(tmp_path, write_animatediff))
    edit = partial(editor, CLIP, prompt="a red ball", method="sdedit", strength=0.8, steps=4, cfg=1.0)
    made, same, other, heun, named = (
        edit(**settings).frames for settings in ({}, {}, {"seed": 1}, {"scheduler": "heun"}, {"scheduler": "lcm"})
    )
    assert torch.equal(made, same)
    assert torch.equal(made, named)
    assert not torch.equal(made, other)
    assert not torch.equal(made, heun)


def test_noise_is_the_frames_own_in_any_stretch():
    """A clip and its end draw the same fresh noise for the frames that they share."""
    nothing = Condition(torch.zeros(1, 2), torch.zeros(1, 2))
    whole = DenoiseInputs(CLIP, nothing, ConsistencySampler(), seed=3)
    end = DenoiseInputs(Clip(CLIP.frames[1:], CLIP.fps, 1), nothing, ConsistencySampler(), seed=3)
    drawn_whole, drawn_end = (each.sampler.noise(torch.zeros(n, 4, 2, 2), 7) for each, n in ((whole, 3), (end, 2)))
    assert torch.equal(drawn_whole[1:], drawn_end)
