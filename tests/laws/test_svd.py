"""Stable Video Diffusion here is diffusers' own at the same seed; what it cannot do is said. arXiv:2311.15127."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    StableVideoDiffusionPipeline,
    _resize_with_antialiasing,
)
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from PIL import Image
from torch.testing import assert_close
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

import recast
from pipelines import drawn
from recast.backbones.svd.picture import squeezed
from recast.backbones.tiny import write_stable_diffusion
from recast.backbones.video_control import VideoControl
from recast.cli.app import run
from recast.conditions.content import ContentInput, Medium
from recast.control import Motion
from recast.curves import Curve, Keys
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.diffusion.samplers import ddim
from recast.errors import BackboneError, RecastError, RequestError
from recast.evaluation.meta_networks import MetaNetworks
from recast.model.folder import quiet
from recast.types import Clip, Condition
from svd_folder import write_svd

FRAMES, ROWS, COLUMNS, STEPS, SEED = 10, 32, 48, 3, 7
MOTION, FIRST, LAST = Motion(fps=11.0, bucket=60.0, picture_noise=0.1), 1.2, 3.5


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_svd(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def editor(path):
    return recast.load(path)


@pytest.fixture(scope="module")
def backbone(editor):
    return editor.model.backbone


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A picture of the clip's size."""
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8)
    file = tmp_path_factory.mktemp("picture") / "first.png"
    Image.fromarray(pixels).save(file)
    return file


def pipeline(path):
    with quiet():
        pipe = StableVideoDiffusionPipeline(
            vae=AutoencoderKLTemporalDecoder.from_pretrained(path / "vae").eval(),
            image_encoder=CLIPVisionModelWithProjection.from_pretrained(path / "image_encoder").eval(),
            unet=UNetSpatioTemporalConditionModel.from_pretrained(path / "unet").eval(),
            scheduler=EulerDiscreteScheduler.from_pretrained(path / "scheduler"),
            feature_extractor=CLIPImageProcessor.from_pretrained(path / "feature_extractor"),
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def conditioned(backbone, shown, motion=MOTION):
    clip = torch.zeros(FRAMES, 3, ROWS, COLUMNS, dtype=torch.uint8)
    video = VideoControl(clip, pictures=[str(shown)], seed=SEED, motion=motion)
    tokens = backbone.encode_content([ContentInput(Medium.PICTURE, str(shown))])
    bare = Condition(tokens, backbone.null_tokens(), frames=torch.arange(FRAMES))
    return backbone.with_control_video(bare, video, STEPS)


def test_at_the_same_seed_it_is_stable_video_diffusion_pipeline(path, backbone, shown):
    noise, kept = drawn(FRAMES, 4, ROWS // 8, COLUMNS // 8, seed=0), []

    def keep(_pipe, _step, _timestep, tensors):
        kept.append(tensors["latents"][0])
        return tensors

    expected = pipeline(path)(
        Image.open(shown),
        height=ROWS,
        width=COLUMNS,
        num_frames=FRAMES,
        num_inference_steps=STEPS,
        min_guidance_scale=FIRST,
        max_guidance_scale=LAST,
        fps=int(MOTION.fps),
        motion_bucket_id=int(MOTION.bucket),
        noise_aug_strength=MOTION.picture_noise,
        decode_chunk_size=8,
        generator=torch.Generator().manual_seed(SEED),
        latents=noise[None],
        callback_on_step_end=keep,
        output_type="pt",
    ).frames[0]
    condition, sigmas, made = conditioned(backbone, shown), backbone.sigmas(STEPS), []
    denoise = guided(backbone.denoise_branches, Curve(Keys((0, FRAMES - 1)), (FIRST, LAST)))
    start = noise * (1 + sigmas[0] ** 2) ** 0.5
    clean = ddim(denoise, start, sigmas, condition, step_hook=lambda x, _: made.append(x) or x)
    for ours, theirs in zip(made, kept, strict=True):
        assert_close(ours / theirs.abs().max(), theirs / theirs.abs().max(), rtol=0, atol=1e-4)
    pixels = (backbone.decode_pixels(clean) / 2 + 0.5).clamp(0, 1)
    assert_close(pixels, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(300, 500), (1000, 230)])
def test_pictures_are_squeezed_for_clip_as_the_pipeline_does(size):
    shown = drawn(1, 3, *size, seed=2)
    assert_close(squeezed(shown, 224), _resize_with_antialiasing(shown, (224, 224)), rtol=0, atol=1e-5)


def test_generate_makes_that_clip_from_a_picture(path, backbone, shown, tmp_path):
    """With guidance that rises from the first frame and the rate that is asked for; each frame's noise is its own."""
    made = tmp_path / "made"
    given = ["generate", "--image", str(shown), "-m", str(path), "--steps", "2", "--frames", "3", "--fps", "11"]
    assert run([*given, "--set", "motion_bucket=60", "--seed", "7", "-q", "-o", f"{made}/"]) == 0
    frames = torch.from_numpy(np.stack([Image.open(file) for file in sorted(made.glob("*.png"))]))
    own = [torch.Generator().manual_seed(SEED * 1_000_003 + frame) for frame in range(3)]
    sigmas = backbone.sigmas(2)
    noise = torch.stack([torch.randn(4, ROWS // 8, COLUMNS // 8, generator=rng) for rng in own])
    condition = conditioned(backbone, shown, Motion(11.0, 60.0, 0.02)).at(torch.arange(3))
    rising = guided(backbone.denoise_branches, Curve(Keys((0, 2)), (1.0, 3.0)))
    clean = ddim(rising, noise * (1 + sigmas[0] ** 2) ** 0.5, sigmas, condition)
    assert_close(frames.permute(0, 3, 1, 2).float(), backbone.decode(clean).float(), atol=1, rtol=0)


def test_an_edited_first_frame_is_carried_through_the_clip(editor, shown):
    frames = torch.randint(0, 256, (3, 3, ROWS, COLUMNS), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    edited = editor(Clip(frames, Fraction(7)), image=str(shown), steps=2).frames
    other = editor(Clip(frames.flip(0), Fraction(7)), image=str(shown), steps=2).frames
    assert edited.shape == frames.shape
    assert not torch.equal(edited, other)
    assert not torch.equal(edited, frames)


def test_frames_apart_are_clips_of_one_frame(backbone, shown):
    x, condition = drawn(FRAMES, 4, ROWS // 8, COLUMNS // 8, seed=1), conditioned(backbone, shown)
    apart, joint = backbone.denoise_branches(
        x, 2.0, condition, [Branch(condition.cond, temporal=False), Branch(condition.cond)]
    )
    one = condition.at(torch.tensor([4]))
    [alone] = backbone.denoise_branches(x[4:5], 2.0, one, [Branch(one.cond, temporal=False)])
    assert_close(apart[4:5], alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(apart, joint, atol=1e-2)


def test_a_branch_without_content_sees_no_picture(backbone, shown):
    x, condition = drawn(FRAMES, 4, ROWS // 8, COLUMNS // 8, seed=1), conditioned(backbone, shown)
    bare = Condition(condition.cond, condition.uncond, first=condition.first.of_source)
    without, with_it = (
        [backbone.denoise_branches(x, 2.0, each, [Branch(tokens)])[0] for each in (condition, bare)]
        for tokens in (condition.uncond, condition.cond)
    )
    assert torch.equal(*without)
    assert not torch.allclose(*with_it, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"prompt": "a dog"}, "reads no words; say --image FILE"),
        ({"image": "{0}", "negative": "blurred"}, "reads no words"),
        ({"pictures": ["{0}", "{0}"]}, "starts with one picture, and 2 were given"),
        ({"image": "{0}", "window": 4}, "frame 0, and a window starts at frame 2"),
        ({"image": "{0}", "schedules": {"cfg": "0: 1, 5: 3"}}, "first_cfg and a schedule of cfg"),
    ],
)
def test_what_it_cannot_do_is_said(editor, shown, settings, reason):
    given = {name: value.format(shown) if isinstance(value, str) else value for name, value in settings.items()}
    given |= {"pictures": [(str(shown), 1.0)] * 2} if "pictures" in given else {}
    with pytest.raises(RecastError, match=reason):
        editor.generate(**given, steps=1, max_frames=6)


def test_a_clip_of_several_shots_is_refused(editor, shown):
    halves = torch.tensor([0] * 12 + [255] * 12, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 3, ROWS, COLUMNS)
    with pytest.raises(BackboneError, match="carries one picture through one shot, and the clip has 2 shots"):
        editor(Clip(halves, Fraction(7)), image=str(shown), steps=1)


def test_settings_of_motion_are_refused_where_no_picture_starts_the_clip(tmp_path):
    editor = recast.load(write_stable_diffusion(tmp_path))
    with pytest.raises(RequestError, match="of networks that start from a picture"):
        editor.generate(prompt="a dog", steps=1, max_frames=1, motion_bucket=60)


def test_a_clip_without_a_picture_or_of_another_size_is_refused(backbone, shown):
    x, tokens = drawn(2, 4, 4, 6, seed=1), backbone.null_tokens()
    with pytest.raises(BackboneError, match="was given none; say --image FILE"):
        backbone.denoise_branches(x, 2.0, Condition(tokens, tokens), [Branch(tokens)])
    with pytest.raises(BackboneError, match="frames of 8x6 latents cannot start with a picture of 4x6"):
        backbone.denoise_branches(torch.cat([x, x], dim=-2), 2.0, conditioned(backbone, shown), [Branch(tokens)])


def test_a_plan_counts_the_frames_that_are_decoded_at_once(backbone):
    networks, latents = MetaNetworks.of(backbone, ()), (4, 4, 6)
    single = MetaNetworks.of(backbone, ())
    object.__setattr__(single.backbone, "decoded_at_once", 1)
    whole, alone = networks.decoding(latents), single.decoding(latents)
    assert whole.alive > 6 * alone.alive
    assert whole.flops == pytest.approx(alone.flops, rel=0.05)
