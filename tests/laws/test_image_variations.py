"""Content as one CLIP image embedding over public layouts: diffusers' own pipelines and classes, called beside.

arXiv:2302.03011 (content and equation 8), arXiv:2204.06125 (the prior), arXiv:2307.04725, arXiv:2302.05543.
"""

from collections import Counter
from dataclasses import replace
from shutil import rmtree

import cv2
import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.transformers.prior_transformer import PriorTransformer
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import MotionAdapter, UNetMotionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_image_variation import (
    StableDiffusionImageVariationPipeline,
)
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_unclip import UnCLIPScheduler
from einops import rearrange
from PIL import Image
from torch.testing import assert_close
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModelWithProjection

from image_variations_folder import write_gen1_clip, write_image_variations
from pipelines import SCALE, STEPS, UNCHECKED, assert_same_walk, drawn, opened, walked
from recast.backbones.backbone import Backbone
from recast.backbones.image_variations import ImageVariationsBackbone, ImageVariationsVideo
from recast.conditions.content import ContentInput, Medium
from recast.conditions.prior import Prior, PriorSchedule
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.diffusion.parameterization import clean_from, scale_input
from recast.errors import BackboneError, WeightsError
from recast.methods.knobs import as_images
from recast.model.folder import quiet
from recast.types import Condition, Kind, Structure

FRAMES, WORDS = 4, "a red ball in the snow"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_image_variations(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_gen1_clip(tmp_path_factory.mktemp("whole"), words=True)


@pytest.fixture(scope="module")
def backbone(whole):
    return opened(whole)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A picture, and its file."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    file = tmp_path_factory.mktemp("shown") / "picture.png"
    Image.fromarray(pixels).save(file)
    return pixels, str(file)


def resized(pixels):
    """As the model's card resizes: whole pictures, bicubic without antialiasing; here by OpenCV."""
    small = cv2.resize(pixels.astype(np.float32) / 255, (16, 16), interpolation=cv2.INTER_CUBIC)
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    return torch.from_numpy(((small - mean) / deviation).transpose(2, 0, 1)).float()[None]


def own(kind, path, part):
    with quiet():
        return kind.from_pretrained(path / part)


def test_it_is_image_variations_frame_by_frame(path, shown):
    backbone, noise = opened(path), drawn(FRAMES, 4, 4, 6, seed=0)
    assert type(backbone) is ImageVariationsBackbone
    parts = {"vae": AutoencoderKL, "unet": UNet2DConditionModel, "image_encoder": CLIPVisionModelWithProjection}
    held = {part: own(kind, path, part) for part, kind in parts.items()}
    with quiet():
        scheduler = DDIMScheduler.from_pretrained(path / "scheduler", clip_sample=False)
        pipe = StableDiffusionImageVariationPipeline(**held, scheduler=scheduler, **UNCHECKED)
    pipe.set_progress_bar_config(disable=True)
    expected = []
    pipe(
        resized(shown[0]).expand(FRAMES, -1, -1, -1),
        height=32,
        width=48,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        latents=noise,
        output_type="latent",
        callback=lambda _step, _timestep, latents: expected.append(latents),
    )
    content = backbone.encode_content([ContentInput(Medium.PICTURE, shown[1])])
    condition = Condition(content, backbone.null_tokens())
    assert_same_walk(walked(backbone, noise, guided(backbone.denoise_branches, SCALE), condition), expected, 1e-5)


def depth():
    return torch.rand(FRAMES, 1, 32, 48, generator=torch.Generator().manual_seed(1))


def conditioned(backbone, shown):
    content = backbone.encode_content([ContentInput(Medium.PICTURE, shown[1])])
    return Condition(content, backbone.null_tokens(), backbone.structure_channels(Structure(Kind.DEPTH, depth())))


def published(whole, x, sigma, backbone, shown):
    """The noise that the video network and its ControlNet predict, by diffusers' own classes."""
    with quiet():
        unet = UNetMotionModel.from_unet2d(
            own(UNet2DConditionModel, whole, "unet"), own(MotionAdapter, whole, "motion_adapter")
        )
    unet.eval()
    timestep, scaled = backbone.schedule.sigma_to_timestep(sigma), scale_input(x, sigma)
    tokenizer = CLIPTokenizer.from_pretrained(whole / "tokenizer")
    ids = tokenizer("", padding="max_length", max_length=77, return_tensors="pt").input_ids
    with torch.no_grad():
        nothing = own(CLIPTextModel, whole, "text_encoder")(ids)[0].expand(FRAMES, -1, -1)
        control = own(ControlNetModel, whole, "controlnet")
        down, mid = control(scaled, timestep, nothing, depth().expand(-1, 3, -1, -1), return_dict=False)
        embedding = own(CLIPVisionModelWithProjection, whole, "image_encoder")(resized(shown[0])).image_embeds
        answer = unet(
            rearrange(scaled, "t c y x -> 1 c t y x"),
            timestep,
            embedding.expand(FRAMES, 1, -1),
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
        ).sample
    return rearrange(answer, "1 c t y x -> t c y x")


def test_with_motion_and_depth_it_is_diffusers_classes_called_by_hand(whole, backbone, shown):
    """The ControlNet reads the words that it was trained with, which are none here; the UNet the embedding."""
    assert type(backbone) is ImageVariationsVideo
    assert isinstance(backbone, Backbone)
    x, sigma, condition = drawn(FRAMES, 4, 4, 6, seed=0), 2.0, conditioned(backbone, shown)
    [made] = backbone.denoise_branches(x, sigma, condition, [Branch(condition.cond)])
    noise = published(whole, x, sigma, backbone, shown)
    assert_close(made, clean_from(backbone.schedule.prediction, noise, x, sigma), atol=1e-4, rtol=1e-4)


def test_with_motion_off_it_is_the_image_model_at_its_own_levels(whole, backbone, shown):
    image = opened(write_image_variations(whole.parent / "other"))
    condition = Condition(conditioned(backbone, shown).cond, backbone.null_tokens())
    x, sigma = drawn(FRAMES, 4, 4, 6, seed=0), float(image.schedule.sigmas[600])
    plain, branch = replace(backbone, controlnets={}), Branch(condition.cond, temporal=False)
    [expected] = image.denoise_branches(x, sigma, condition, [branch])
    assert torch.equal(as_images(plain.denoise_branches)(x, sigma, condition, [branch])[0], expected)


@pytest.mark.parametrize(("own_levels", "passes"), [(True, 2), (False, 1)])
def test_the_control_network_runs_once_for_all_contents(backbone, shown, own_levels, passes):
    """It reads no content, so equation 8's branches share it, but for the image model's own timestep."""
    counted = Counter()
    asked = backbone if own_levels else replace(backbone, image_schedule=None)
    net = asked.controlnets[Kind.DEPTH]
    hook = net.register_forward_pre_hook(lambda _net, given: counted.update(control=len(given[0])))
    try:
        guided(asked.denoise_branches, SCALE, 1.5)(drawn(FRAMES, 4, 4, 6, seed=0), 2.0, conditioned(asked, shown))
    finally:
        hook.remove()
    assert counted == {"control": passes * FRAMES}


def karlo(whole, text, seed, scale):
    """Karlo's published sampling, by diffusers' own classes: both branches in one batch, fresh noise at each step."""
    prior, scheduler = own(PriorTransformer, whole, "prior"), own(UnCLIPScheduler, whole, "prior_scheduler")
    # Its table is rounded to fp32, which guidance alone makes 3e-3 of; `test_prior.py` compares the tables.
    scheduler.alphas_cumprod = PriorSchedule().alpha_bars()
    encoder = own(CLIPTextModelWithProjection, whole, "text_encoder")
    tokenizer = CLIPTokenizer.from_pretrained(whole / "tokenizer")
    read = tokenizer(["", text], padding="max_length", max_length=77, return_tensors="pt")
    rng = torch.Generator().manual_seed(seed)
    scheduler.set_timesteps(25)
    with torch.no_grad():
        words = encoder(read.input_ids)
        x = torch.randn(1, 16, generator=rng)
        for step, level in enumerate(scheduler.timesteps):
            given = x.repeat(2, 1), level, words.text_embeds, words.last_hidden_state, read.attention_mask.bool()
            none, some = prior(*given).predicted_image_embedding.chunk(2)
            later = scheduler.timesteps[step + 1] if step + 1 < len(scheduler.timesteps) else None
            x = scheduler.step(none + scale * (some - none), level, x, later, generator=rng).prev_sample
        return prior.post_process_latents(x)


def test_words_are_karlos_sampling_of_an_image_embedding(whole, backbone):
    prior = backbone.content.encoder(Medium.WORDS)
    assert isinstance(prior, Prior)
    assert prior.schedule.ancestral
    backbone.content.opened[Medium.WORDS] = replace(prior, num_samples=1)
    try:
        made = backbone.encode_content([ContentInput(Medium.WORDS, WORDS)], seed=3)
    finally:
        backbone.content.opened[Medium.WORDS] = prior
    assert_close(made, karlo(whole, WORDS, 3, 4.0), atol=1e-4, rtol=1e-3)


def test_words_and_pictures_are_blended_and_frames_keep_their_length(backbone, shown):
    one, other = ContentInput(Medium.WORDS, WORDS, 3), ContentInput(Medium.PICTURE, shown[1], 1)
    alone = [backbone.encode_content([each], seed=1)[0] for each in (one, other)]
    both = backbone.encode_content([one, other], seed=1)[0]
    mean = 0.75 * alone[0] + 0.25 * alone[1]
    assert_close(both / both.norm(), mean / mean.norm())
    frames = torch.from_numpy(shown[0]).permute(2, 0, 1)[None].repeat(2, 1, 1, 1)
    assert_close(backbone.source_content(frames), alone[1][None])


def test_words_without_a_prior_are_refused(path):
    assert opened(path).media == {Medium.PICTURE}
    with pytest.raises(BackboneError, match="words only by a prior, which it lacks; say --image FILE alone"):
        opened(path).encode_content([ContentInput(Medium.WORDS, WORDS)])


@pytest.mark.parametrize("part", ["prior", "image_encoder"])
def test_parts_of_another_width_are_refused(tmp_path, part):
    write_gen1_clip(tmp_path, words=part == "prior")
    rmtree(tmp_path / part)
    if part == "prior":
        PriorTransformer(2, 8, 2, embedding_dim=24, num_embeddings=77).save_pretrained(tmp_path / part)
    else:
        config = own(CLIPVisionModelWithProjection, write_image_variations(tmp_path / "other"), part).config
        config.projection_dim = 24
        CLIPVisionModelWithProjection(config).save_pretrained(tmp_path / part)
    with pytest.raises(WeightsError, match=f"{part} makes embeddings of 24 numbers and the unet reads 16"):
        opened(tmp_path)


def test_a_controlnet_without_the_text_encoder_that_it_reads_is_refused(tmp_path):
    rmtree(write_gen1_clip(tmp_path) / "text_encoder")
    with pytest.raises(WeightsError, match="the model has no text_encoder"):
        opened(tmp_path)
