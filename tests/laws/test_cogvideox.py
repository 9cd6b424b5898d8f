"""CogVideoX over its published layout is diffusers' own pipelines: arXiv:2408.06072."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import AutoencoderKLCogVideoX
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
from diffusers.pipelines.cogvideo.pipeline_cogvideox import CogVideoXPipeline, get_resize_crop_region_for_grid
from diffusers.pipelines.cogvideo.pipeline_cogvideox_image2video import CogVideoXImageToVideoPipeline
from diffusers.schedulers.scheduling_ddim_cogvideox import CogVideoXDDIMScheduler
from einops import rearrange
from PIL import Image
from torch.testing import assert_close
from transformers import AutoTokenizer, T5EncoderModel

import pipelines
from cogvideox_folder import PUBLISHED, tiny_network, write_cogvideox
from pipelines import SCALE, asked, assert_same_walk, drawn, opened, walked
from recast.backbones.cogvideox import CogVideoXBackbone, CogVideoXPictureBackbone
from recast.backbones.cogvideox.backbone import fitted
from recast.backbones.video_control import VideoControl
from recast.cli.app import run
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.diffusion.schedule import LEAST_ALPHA_BAR, schedule
from recast.errors import BackboneError, RequestError, ShapeError, WeightsError
from recast.model.folder import quiet
from recast.types import Condition

FRAMES, LATENTS, SIZE = 9, (3, 4, 4, 6), {"height": 32, "width": 48, "num_frames": 9}
PROMPT = "a red ball"


@pytest.fixture(autouse=True)
def five_steps(monkeypatch):
    """As many as divide the timesteps: else diffusers' DDIM steps to timesteps beside those that it visits."""
    monkeypatch.setattr(pipelines, "STEPS", 5)


def pipe_of(path, kind=CogVideoXPipeline):
    with quiet():
        held = kind(
            scheduler=CogVideoXDDIMScheduler.from_pretrained(path / "scheduler"),
            vae=AutoencoderKLCogVideoX.from_pretrained(path / "vae"),
            text_encoder=T5EncoderModel.from_pretrained(path / "text_encoder"),
            tokenizer=AutoTokenizer.from_pretrained(path / "tokenizer"),
            transformer=CogVideoXTransformer3DModel.from_pretrained(path / "transformer"),
        )
    held.set_progress_bar_config(disable=True)
    return held


def conditioned(backbone):
    return Condition(backbone.encode_content([ContentInput(Medium.WORDS, PROMPT)]), backbone.null_tokens())


@pytest.fixture
def shown(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "first.png")
    return tmp_path / "first.png"


@pytest.mark.parametrize("rotary", [False, True], ids=["2b", "5b"])
@pytest.mark.parametrize(("rows", "columns"), [(4, 6), (8, 4)], ids=["trained", "tall"])
def test_it_is_diffusers_own_from_words_to_latents(tmp_path, rotary, rows, columns):
    """With its words, whose padding is read; at the size of training and at another one, where positions differ."""
    path = write_cogvideox(tmp_path, rotary=rotary, snr_shift_scale=1.0 if rotary else 3.0)
    backbone, noise = opened(path), drawn(3, 4, rows, columns, seed=0)
    assert type(backbone) is CogVideoXBackbone
    size = {"height": 8 * rows, "width": 8 * columns, "num_frames": FRAMES, "max_sequence_length": 32}
    expected = [each[0] for each in asked(pipe_of(path), noise[None], prompt=PROMPT, **size)]
    made = walked(backbone, noise, guided(backbone.denoise_branches, SCALE), conditioned(backbone))
    assert_same_walk(made, expected, 1e-3)


def test_a_picture_is_what_the_clip_starts_with_as_in_the_pipeline(tmp_path, shown, monkeypatch):
    """But for the picture's own latents, which are drawn there and are the mean here."""
    path, noise = write_cogvideox(tmp_path / "model", picture=True), drawn(*LATENTS, seed=0)
    module = "diffusers.pipelines.cogvideo.pipeline_cogvideox_image2video.retrieve_latents"
    monkeypatch.setattr(module, lambda encoded, _rng: encoded.latent_dist.mode())
    pipe, backbone = pipe_of(path, CogVideoXImageToVideoPipeline), opened(path)
    assert type(backbone) is CogVideoXPictureBackbone
    words = {"prompt": PROMPT, "max_sequence_length": 32}
    expected = [each[0] for each in asked(pipe, noise[None], image=Image.open(shown), **words, **SIZE)]
    video = VideoControl(torch.zeros(FRAMES, 3, 32, 48, dtype=torch.uint8), pictures=[str(shown)])
    condition = backbone.with_control_video(conditioned(backbone), video, 5)
    made = walked(backbone, noise, guided(backbone.denoise_branches, SCALE), condition)
    assert_same_walk(made, expected, 1e-3)
    unshown = backbone.with_control_video(condition, replace(video, pictures=()), 5)
    [other], [own] = (backbone.denoise_branches(noise, 2.0, each, [Branch(each.cond)]) for each in (unshown, condition))
    assert not torch.allclose(other, own, atol=1e-3)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_levels_are_those_of_the_published_scheduler(shift):
    theirs = CogVideoXDDIMScheduler(**PUBLISHED | {"snr_shift_scale": shift})
    bar = theirs.alphas_cumprod.double().clamp(min=LEAST_ALPHA_BAR)
    ours = schedule(theirs.config)
    assert_close(1 / (1 + ours.sigmas**2), bar, atol=1e-9, rtol=1e-6)
    if shift == 1:
        return
    plain = {
        name: value for name, value in PUBLISHED.items() if name not in ("snr_shift_scale", "rescale_betas_zero_snr")
    }
    shifted = schedule(plain | {"snr_shift_scale": shift})
    assert_close(shifted.sigmas, schedule(plain).sigmas * shift**0.5)


@pytest.mark.parametrize("latents", [1, 2, 3, 4, 5, 6])
def test_decoding_part_by_part_and_encoding_are_the_networks_own(tmp_path, latents):
    """Of an odd number of latents: of an even one it gives the first latent four frames; here the last is twice."""
    backbone = opened(write_cogvideox(tmp_path))
    network, given = backbone.autoencoder.network, drawn(latents, 4, 4, 6, seed=0)
    odd = given if latents % 2 else torch.cat([given, given[-1:]])
    whole = network.decode(rearrange(odd / 0.7, "t c y x -> 1 c t y x")).sample[:, :, : 4 * latents - 3]
    expected = rearrange(whole, "1 c t h w -> t c h w")
    assert_close(backbone.decode_pixels(given), expected, atol=1e-5, rtol=1e-5)
    network.enable_tiling(1000, 1000)
    assert_close(backbone.decode_pixels(given), expected, atol=1e-5, rtol=1e-5)
    pixels = drawn(4 * latents - 3, 3, 32, 48, seed=1)
    held = network.encode(rearrange(pixels, "t c h w -> 1 c t h w")).latent_dist.mean
    assert_close(backbone.encode_pixels(pixels), rearrange(held, "1 c t y x -> t c y x") * 0.7)


@pytest.mark.parametrize("places", [(30, 45), (45, 30), (20, 60), (7, 3), (1, 1)])
def test_a_grid_of_another_shape_lies_in_the_middle_of_the_trained_one(places):
    assert fitted(places, (30, 45)) == get_resize_crop_region_for_grid(places, 45, 30)


def test_generate_makes_a_clip_from_words_and_one_from_a_picture(tmp_path, shown, capsys):
    words = write_cogvideox(tmp_path / "words")
    made = ["generate", "-p", PROMPT, "--size", "48x32", "--frames", "9", "--steps", "2", "-q"]
    assert run([*made, "-m", str(words), "-o", str(tmp_path / "words.mp4")]) == 0
    picture = write_cogvideox(tmp_path / "picture", picture=True)
    started = [*made, "-m", str(picture), "-o", str(tmp_path / "picture.mp4")]
    assert run([*started, "--image", str(shown)]) == 0
    assert run([*started, "-y"]) != 0
    assert "starts a clip from a picture, and there is no source; say --image FILE" in capsys.readouterr().err


def test_what_cannot_be_opened_or_asked_is_said(tmp_path, shown):
    path = write_cogvideox(tmp_path / "model")
    with quiet():
        tiny_network(patch_size_t=2, use_rotary_positional_embeddings=True).save_pretrained(path / "transformer")
    with pytest.raises(WeightsError, match=r"places are 2 latents over time, as CogVideoX 1\.5's"):
        opened(path)
    with quiet():
        tiny_network(in_channels=5).save_pretrained(path / "transformer")
    with pytest.raises(WeightsError, match="reads 5 channels and gives 4"):
        opened(path)
    wrong = write_cogvideox(tmp_path / "noise", prediction_type="epsilon", rescale_betas_zero_snr=False)
    with pytest.raises(WeightsError, match="scheduler is of epsilon and CogVideoX predicts v_prediction"):
        opened(wrong)
    with pytest.raises(WeightsError, match="snr_shift_scale of the scheduler is 0"):
        opened(write_cogvideox(tmp_path / "shift", snr_shift_scale=0.0))
    backbone = opened(write_cogvideox(tmp_path / "picture", picture=True))
    condition, noise = conditioned(backbone), drawn(*LATENTS, seed=0)
    branch = [Branch(condition.cond)]
    with pytest.raises(BackboneError, match="reads 32 tokens of words and was given 31"):
        backbone.denoise_branches(noise, 1.0, condition, [Branch(condition.cond[:-1])])
    with pytest.raises(BackboneError, match="was given none; say --image"):
        backbone.denoise_branches(noise, 1.0, condition, branch)
    small = VideoControl(torch.zeros(FRAMES, 3, 16, 48, dtype=torch.uint8), pictures=[str(shown)])
    with pytest.raises(RequestError, match="2 were given"):
        backbone.with_control_video(condition, replace(small, pictures=[str(shown)] * 2), 5)
    started = backbone.with_control_video(condition, small, 5)
    with pytest.raises(ShapeError, match="learned for clips of 48x32, and this one is of 48x16; say --size 48x32"):
        backbone.denoise_branches(noise[:, :, :2], 1.0, started, branch)
    with pytest.raises(BackboneError, match="cannot start with a picture of 2x6"):
        backbone.denoise_branches(noise, 1.0, started, branch)
