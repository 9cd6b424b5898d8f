"""Stable Diffusion's latents are those of diffusers' own pipelines, step by step, and its content is its words."""

import json
from dataclasses import replace

import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_depth2img import StableDiffusionDepth2ImgPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_instruct_pix2pix import (
    StableDiffusionInstructPix2PixPipeline,
)
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch.testing import assert_close

from recast.backbones.families import BACKBONES, family_of
from recast.backbones.stable_diffusion import inflated
from recast.backbones.tiny import tiny_unet, write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.diffusion.parameterization import scale_input
from recast.diffusion.samplers import ddim
from recast.diffusion.schedule import truncated
from recast.errors import BackboneError, RequestError, WeightsError
from recast.methods.instruct_pix2pix import with_picture_for_time
from recast.model.folder import ModelFolder, quiet
from recast.types import Condition, Kind, Structure

PROMPT, STEPS, SCALE = "a red ball in the snow", 10, 7.5


def words(text, weight=1.0):
    return ContentInput(Medium.WORDS, text, weight)


def opened(path):
    folder = ModelFolder.found(path)
    with quiet():
        return BACKBONES[family_of(folder)](folder)


def pipeline(path, kind, *, to_one):
    """diffusers' own, with DDIM at the published levels; its latents after each step are kept."""
    with quiet():
        pipe = kind.from_pretrained(path, local_files_only=True)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False, set_alpha_to_one=to_one)
    pipe.set_progress_bar_config(disable=True)
    kept = []

    def keep(_pipe, _step, _timestep, tensors):
        kept.append(tensors["latents"])
        return tensors

    return pipe, {"guidance_scale": SCALE, "output_type": "latent", "callback_on_step_end": keep}, kept


def walked(backbone, x, sigmas, condition, **guidance):
    """The latents after each step, mixed as diffusers mixes them."""
    denoise, kept = guided(**{"denoise_branches": backbone.denoise_branches, "scale": SCALE} | guidance), []

    def keep(x, sigma):
        kept.append(scale_input(x, sigma))
        return x

    ddim(denoise, x, sigmas, condition, step_hook=keep)
    return kept


def assert_same_walk(made, expected):
    """Within 1e-5 of the largest latent at every step: guidance of 7.5 makes single ones of fp32's rounding larger."""
    for ours, theirs in zip(made, expected, strict=True):
        assert_close(ours / theirs.abs().max(), theirs / theirs.abs().max(), rtol=0, atol=1e-5)


def opened_to_one(path, *, to_one):
    """The backbone whose scheduler says where a walk ends: at no noise, or at the level of timestep 0, as published."""
    config = path / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"set_alpha_to_one": to_one}))
    return opened(path)


@pytest.mark.parametrize("to_one", [False, True])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_latents_are_those_of_the_pipeline(tmp_path, prediction, to_one):
    path = write_stable_diffusion(tmp_path, prediction=prediction)
    pipe, asked, expected = pipeline(path, StableDiffusionPipeline, to_one=to_one)
    noise = torch.randn(2, 4, 4, 6, generator=torch.Generator().manual_seed(0))
    pipe([PROMPT] * 2, latents=noise, num_inference_steps=STEPS, **asked)
    backbone = opened_to_one(path, to_one=to_one)
    sigmas = backbone.sigmas(STEPS)
    condition = Condition(backbone.encode_content([words(PROMPT)]), backbone.null_tokens())
    made = walked(backbone, noise * (1 + sigmas[0] ** 2) ** 0.5, sigmas, condition)
    assert len(made) == STEPS
    assert_same_walk(made, expected)


@pytest.mark.parametrize("to_one", [False, True])
def test_latents_are_those_of_the_pipeline_with_depth(tmp_path, to_one):
    path, share = write_stable_diffusion(tmp_path, depth=True), 0.6
    pipe, asked, expected = pipeline(path, StableDiffusionDepth2ImgPipeline, to_one=to_one)
    rng = torch.Generator().manual_seed(0)
    pictures, near = torch.rand(2, 3, 32, 48, generator=rng), torch.rand(1, 1, 32, 48, generator=rng)
    depth = torch.cat([near, near.flip(-1)])  # of one range: the pipeline takes each picture's own
    pipe(
        [PROMPT] * 2,
        image=pictures,
        depth_map=depth[:, 0],
        strength=share,
        num_inference_steps=STEPS,
        generator=torch.Generator().manual_seed(1),
        **asked,
    )
    rng = torch.Generator().manual_seed(1)
    source = pipe.vae.encode(2 * pictures - 1).latent_dist.sample(rng) * pipe.vae.config.scaling_factor
    noise = torch.randn(source.shape, generator=rng)
    backbone = opened_to_one(path, to_one=to_one)
    sigmas = truncated(backbone.sigmas(STEPS), share)
    planes = backbone.structure_channels(Structure(Kind.DEPTH, depth))
    condition = Condition(backbone.encode_content([words(PROMPT)]), backbone.null_tokens(), planes)
    made = walked(backbone, source + sigmas[0] * noise, sigmas, condition)
    assert len(made) == round(share * STEPS)
    assert_same_walk(made, expected)


def test_latents_are_those_of_the_pipeline_with_a_picture(tmp_path):
    """The pipeline's two guidances are the method's, equation 3 of arXiv:2211.09800."""
    path = write_stable_diffusion(tmp_path, picture=True)
    pipe, asked, expected = pipeline(path, StableDiffusionInstructPix2PixPipeline, to_one=False)
    rng = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (2, 3, 32, 48), generator=rng, dtype=torch.uint8)
    noise = torch.randn(2, 4, 4, 6, generator=rng)
    both = {"image": frames / 255, "latents": noise, "image_guidance_scale": 1.5, "num_inference_steps": STEPS}
    pipe([PROMPT] * 2, **both, **asked)
    backbone = opened(path)
    sigmas = backbone.sigmas(STEPS)
    tokens = backbone.encode_content([words(PROMPT)]), backbone.null_tokens()
    condition = Condition(*tokens, backbone.picture_channels(frames))
    pictured = {"denoise_branches": with_picture_for_time(backbone.denoise_branches), "temporal_scale": 1.5}
    made = walked(backbone, noise * (1 + sigmas[0] ** 2) ** 0.5, sigmas, condition, **pictured)
    assert_same_walk(made, expected)


def test_a_network_of_pictures_without_one_is_as_with_it_dropped(tmp_path):
    backbone = opened(write_stable_diffusion(tmp_path, picture=True))
    frames = torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8)
    bare = Condition(backbone.encode_content([words(PROMPT)]), backbone.null_tokens())
    shown, x = replace(bare, structure_channels=backbone.picture_channels(frames)), backbone.encode(frames)
    seen, dropped = backbone.denoise_branches(x, 2.0, shown, [Branch(bare.cond), Branch(bare.cond, picture=False)])
    [never] = backbone.denoise_branches(x, 2.0, bare, [Branch(bare.cond)])
    assert_close(dropped, never, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(seen, never, atol=1e-3)
    with pytest.raises(BackboneError, match="gets no layers over time"):
        inflated(backbone, 8)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_stable_diffusion(tmp_path_factory.mktemp("model"), depth=True)


@pytest.fixture(scope="module")
def backbone(path):
    return opened(path)


def test_content_is_the_pipelines_prompt(backbone, path):
    pipe, _, _ = pipeline(path, StableDiffusionDepth2ImgPipeline, to_one=True)
    prompt, negative = pipe.encode_prompt(PROMPT, "cpu", 1, True)
    assert_close(backbone.encode_content([words(PROMPT)]), prompt[0])
    assert_close(backbone.null_tokens(), negative[0])


def test_several_prompts_are_blended_by_weight(backbone):
    red, blue = backbone.encode_content([words("red")]), backbone.encode_content([words("blue")])
    both = backbone.encode_content([words("red", 3), words("blue", 1)])
    mean = 0.75 * red + 0.25 * blue
    assert_close(both, mean * (0.75 * red.norm() + 0.25 * blue.norm()) / mean.norm())
    assert_close(backbone.encode_content([words("red", 2), words("blue", 0)]), red)


def test_what_cannot_be_read_is_refused(backbone):
    with pytest.raises(BackboneError, match="words only"):
        backbone.encode_content([ContentInput(Medium.PICTURE, "there.png")])
    with pytest.raises(RequestError, match=r"come to 80 tokens and the model reads 75; leave out about 5"):
        backbone.encode_content([words("a " * 80)])


def test_depth_spans_the_range_over_the_whole_clip(backbone):
    maps = torch.rand(3, 1, 32, 48, generator=torch.Generator().manual_seed(0))
    planes = backbone.structure_channels(Structure(Kind.DEPTH, 0.2 + 0.3 * maps))
    assert planes.shape == (3, 1, 4, 6)
    assert (planes.min(), planes.max()) == (-1, 1)
    assert_close(planes, backbone.structure_channels(Structure(Kind.DEPTH, maps)), atol=1e-5, rtol=1e-5)
    flat = backbone.structure_channels(Structure(Kind.DEPTH, torch.full((1, 1, 32, 48), 0.5)))
    assert not flat.any()


def described(path, **entries):
    index = path / "model_index.json"
    index.write_text(json.dumps({"_class_name": entries.pop("kind", "Gen1")}))
    (path / "recast.json").write_text(json.dumps(entries))
    return ModelFolder.found(path)


def test_a_folder_says_its_family(tmp_path):
    assert family_of(described(tmp_path)) == "gen1"
    assert family_of(described(tmp_path, kind="StableDiffusionPipeline")) == "stable_diffusion"
    assert family_of(described(tmp_path, kind="StableDiffusionDepth2ImgPipeline")) == "stable_diffusion"
    assert family_of(described(tmp_path, family="stable_diffusion")) == "stable_diffusion"
    with pytest.raises(WeightsError, match=r"the class 'FluxPipeline', which is not known; families are gen1, "):
        family_of(described(tmp_path, kind="FluxPipeline"))
    with pytest.raises(WeightsError, match=r"the family 'flux', which is not known"):
        family_of(described(tmp_path, family="flux"))


def test_a_network_with_channels_of_a_mask_is_refused(tmp_path):
    path = write_stable_diffusion(tmp_path)
    tiny_unet(9).save_pretrained(path / "unet")
    with pytest.raises(WeightsError, match=r"reads 9 channels and gives 4; stable_diffusion opens 4 to 4"):
        opened(path)
