"""LTX-2's pictures over its published layout are diffusers' own pipeline where its streams are apart: 2601.03233."""

from dataclasses import replace

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx2 import AutoencoderKLLTX2Video
from diffusers.models.autoencoders.autoencoder_kl_ltx2_audio import AutoencoderKLLTX2Audio
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from diffusers.pipelines.ltx2.pipeline_ltx2 import LTX2Pipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from einops import rearrange
from torch.testing import assert_close
from transformers import AutoTokenizer, Gemma3ForConditionalGeneration

from ltx2_folder import write_ltx2
from ltx_folder import PUBLISHED
from pipelines import STEPS, assert_same_walk, drawn, opened
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.diffusion.dynamic_shift import dynamic_schedule
from recast.diffusion.guidance import guided
from recast.diffusion.parameterization import Prediction, scale_input
from recast.diffusion.samplers import ddim
from recast.errors import RequestError, WeightsError
from recast.model.folder import quiet
from recast.types import Condition

LATENTS, ROWS, COLUMNS, PROMPT = 3, 4, 8, "a red ball"
WORDS = [ContentInput(Medium.WORDS, PROMPT)]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_ltx2(tmp_path_factory.mktemp("ltx2"))


@pytest.fixture(scope="module")
def backbone(path):
    return opened(path)


@pytest.fixture(scope="module")
def pipe(path):
    with quiet():
        sound = AutoencoderKLLTX2Audio(
            base_channels=6, ch_mult=(1, 1), num_res_blocks=1, latent_channels=2, resolution=16, mel_bins=12
        )
        held = LTX2Pipeline(
            scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(path / "scheduler"),
            vae=AutoencoderKLLTX2Video.from_pretrained(path / "vae"),
            audio_vae=sound,
            text_encoder=Gemma3ForConditionalGeneration.from_pretrained(path / "text_encoder"),
            tokenizer=AutoTokenizer.from_pretrained(path / "tokenizer"),
            connectors=LTX2TextConnectors.from_pretrained(path / "connectors"),
            transformer=LTX2VideoTransformer3DModel.from_pretrained(path / "transformer"),
            vocoder=None,
        )
    held.set_progress_bar_config(disable=True)
    return held


def walked_by_pipeline(pipe, noise):
    """Latents after each step: its guidance away from streams that are apart, by all of it, leaves their answer."""
    kept, packed = [], rearrange(noise, "t c y x -> 1 (t y x) c")

    def keep(_pipe, _step, _timestep, tensors):
        kept.append(rearrange(tensors["latents"], "1 (t y x) c -> t c y x", t=LATENTS, y=ROWS))
        return tensors

    size = {"height": 8 * ROWS, "width": 8 * COLUMNS, "num_frames": 9, "frame_rate": 8.0, "output_type": "latent"}
    none = {f"{kind}{name}": 0.0 for kind in ("", "audio_") for name in ("stg_scale", "guidance_rescale")}
    apart = {"guidance_scale": 1.0, "audio_guidance_scale": 1.0, "modality_scale": 0.0, "audio_modality_scale": 2.0}
    with quiet():
        pipe(PROMPT, latents=packed, num_inference_steps=STEPS, callback_on_step_end=keep, **size, **none, **apart)
    return kept


def test_the_walk_is_that_of_the_pipeline_from_words_to_latents(backbone, pipe):
    noise = drawn(LATENTS, 4, ROWS, COLUMNS, seed=0)
    own = replace(backbone, schedule=dynamic_schedule(PUBLISHED, LATENTS * ROWS * COLUMNS))
    sigmas, kept = own.sigmas(STEPS), []
    condition = Condition(own.encode_content(WORDS), own.null_tokens())

    def keep(x, sigma):
        kept.append(scale_input(x, sigma, Prediction.FLOW))
        return x

    ddim(guided(own.denoise_branches, 1.0), noise * (1 + sigmas[0]), sigmas, condition, step_hook=keep)
    assert_same_walk(kept, walked_by_pipeline(pipe, noise), 1e-4)


def test_pictures_are_those_of_its_autoencoder(backbone, pipe):
    latents = drawn(LATENTS, 4, ROWS, COLUMNS, seed=1)
    whole = pipe._denormalize_latents(
        rearrange(latents, "t c y x -> 1 c t y x"), pipe.vae.latents_mean, pipe.vae.latents_std
    )
    expected = rearrange(pipe.vae.decode(whole).sample, "1 c t h w -> t c h w")
    assert_close(backbone.decode_pixels(latents), expected, atol=1e-5, rtol=1e-5)
    frames = torch.randint(0, 256, (9, 3, 32, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    given = rearrange(frames / 127.5 - 1, "t c h w -> 1 c t h w")
    mean = pipe._normalize_latents(pipe.vae.encode(given).latent_dist.mean, pipe.vae.latents_mean, pipe.vae.latents_std)
    assert_close(backbone.encode(frames), rearrange(mean, "1 c t y x -> t c y x"), atol=1e-5, rtol=1e-5)


def test_words_matter_and_too_many_are_refused(backbone):
    x, one, other = drawn(LATENTS, 4, ROWS, COLUMNS, seed=2), *map(backbone.prompt, ("a red ball", "snow"))
    made = backbone.denoise_branches(x, 1.0, Condition(one, other), [Branch(one), Branch(other)])
    assert not torch.allclose(*made, atol=1e-3)
    with pytest.raises(RequestError, match="come to 1100 tokens and the model reads 1024"):
        backbone.prompt("a" * 1100)


def test_a_folder_without_its_connectors_is_refused(tmp_path):
    path = write_ltx2(tmp_path)
    (path / "connectors").rename(tmp_path / "elsewhere")
    with pytest.raises(WeightsError, match="no connectors"):
        opened(path)
