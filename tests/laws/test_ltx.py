"""LTX-Video over its published layout is diffusers' own pipeline: arXiv:2501.00103."""

from dataclasses import replace

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx import AutoencoderKLLTXVideo
from diffusers.models.transformers.transformer_ltx import LTXVideoTransformer3DModel
from diffusers.pipelines.ltx.pipeline_ltx import LTXPipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from einops import rearrange
from torch.testing import assert_close
from transformers import AutoTokenizer, T5EncoderModel

from ltx_folder import PUBLISHED, write_ltx
from pipelines import STEPS, asked, assert_same_walk, drawn, flow_walked, opened
from recast.conditions.content import ContentInput, Medium
from recast.diffusion.dynamic_shift import dynamic_schedule
from recast.errors import WeightsError
from recast.model.folder import quiet
from recast.types import Condition

FRAMES, LATENTS = 9, (3, 4, 4, 6)
PROMPT = "a red ball"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_ltx(tmp_path_factory.mktemp("ltx"))


@pytest.fixture(scope="module")
def backbone(path):
    return opened(path)


@pytest.fixture(scope="module")
def pipe(path):
    with quiet():
        held = LTXPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(path / "scheduler"),
            vae=AutoencoderKLLTXVideo.from_pretrained(path / "vae"),
            text_encoder=T5EncoderModel.from_pretrained(path / "text_encoder"),
            tokenizer=AutoTokenizer.from_pretrained(path / "tokenizer"),
            transformer=LTXVideoTransformer3DModel.from_pretrained(path / "transformer"),
        )
    held.set_progress_bar_config(disable=True)
    return held


def conditioned(backbone):
    return Condition(backbone.encode_content([ContentInput(Medium.WORDS, PROMPT)]), backbone.null_tokens())


def test_it_is_diffusers_own_from_words_to_latents(backbone, pipe):
    """Words too: padding is seen in the encoder, and not by the transformer. The pipeline takes sides of 32 px."""
    noise = drawn(3, 4, 8, 12, seed=0)
    packed = rearrange(noise, "t c y x -> 1 (t y x) c")
    size = {"height": 64, "width": 96, "num_frames": FRAMES, "frame_rate": 8, "max_sequence_length": 128}
    made = asked(pipe, packed, prompt=PROMPT, **size)
    expected = [rearrange(each, "1 (t y x) c -> t c y x", t=3, y=8) for each in made]
    own = replace(backbone, schedule=dynamic_schedule(PUBLISHED, 3 * 8 * 12))
    assert_same_walk(flow_walked(own, noise, conditioned(own)), expected, 1e-4)


@pytest.mark.parametrize("steps", [2, 5, 40])
@pytest.mark.parametrize("tokens", [72, 4096])
def test_levels_are_those_of_the_published_scheduler(steps, tokens):
    theirs = FlowMatchEulerDiscreteScheduler(**PUBLISHED)
    mu = 0.95 + (2.05 - 0.95) * (tokens - 1024) / (4096 - 1024)
    theirs.set_timesteps(sigmas=[1 - number / steps for number in range(steps)], mu=mu)
    ours = torch.tensor(dynamic_schedule(theirs.config, tokens).timestep_sigmas(steps))
    assert_close(ours / (1 + ours), theirs.sigmas, atol=2e-6, rtol=0)


def test_the_shift_is_that_of_the_clip_that_a_folder_says_is_usual(backbone):
    """A window of 9 frames at 48x32 px is 3 latents of 4x6 places."""
    assert backbone.sigmas(STEPS) == dynamic_schedule(PUBLISHED, 72).timestep_sigmas(STEPS)


@pytest.mark.parametrize("conditioned_on_noise", [False, True])
def test_decoding_is_the_networks_own(conditioned_on_noise, tmp_path):
    """A decoder that is told how much noise is left is told none."""
    backbone, latents = opened(write_ltx(tmp_path, conditioned=conditioned_on_noise)), drawn(*LATENTS, seed=0)
    network = backbone.autoencoder.network
    scaled = latents * rearrange(network.latents_std, "c -> c 1 1") + rearrange(network.latents_mean, "c -> c 1 1")
    whole = network.decode(
        rearrange(scaled, "t c y x -> 1 c t y x"), torch.zeros(1) if conditioned_on_noise else None
    ).sample
    assert_close(backbone.decode_pixels(latents), rearrange(whole, "1 c t h w -> t c h w"))


def test_seconds_between_frames_matter(backbone):
    condition, noise = conditioned(backbone), drawn(*LATENTS, seed=0)
    slower = replace(backbone, metadata=replace(backbone.metadata, fps=1))
    made = [flow_walked(each, noise, condition)[-1] for each in (backbone, slower)]
    assert not torch.allclose(*made, atol=1e-3)


def test_a_scheduler_that_is_no_flow_is_refused(tmp_path):
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    path = write_ltx(tmp_path)
    DDIMScheduler().save_pretrained(path / "scheduler")
    with pytest.raises(WeightsError, match="scheduler is of epsilon, and the network predicts flow"):
        opened(path)
