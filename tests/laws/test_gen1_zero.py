"""Equation 8 on public layouts: with motion modules on and off, the video and the image model are diffusers' own.

arXiv:2302.03011, equation 8, over Stable Diffusion with a ControlNet (arXiv:2302.05543) and motion modules
(arXiv:2307.04725).
"""

from collections import Counter
from dataclasses import replace
from shutil import rmtree

import pytest
import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_motion_model import MotionAdapter
from diffusers.pipelines.animatediff.pipeline_animatediff_controlnet import AnimateDiffControlNetPipeline
from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from einops import rearrange
from torch.testing import assert_close
from transformers import CLIPTextModel, CLIPTokenizer

from animatediff_folder import write_animatediff, write_gen1_zero
from recast.backbones import BACKBONES, family_of
from recast.backbones.tiny import write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.diffusion.parameterization import scale_input
from recast.diffusion.samplers import ddim
from recast.errors import WeightsError
from recast.methods.knobs import as_images
from recast.model.folder import ModelFolder, quiet
from recast.types import Condition, Kind, Structure

PROMPT, FRAMES, STEPS, SCALE = "a red ball in the snow", 4, 6, 7.5


def opened(path):
    folder = ModelFolder.found(path)
    with quiet():
        return BACKBONES[family_of(folder)](folder)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_gen1_zero(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def backbone(path):
    return opened(path)


def drawn(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def depth():
    return torch.rand(FRAMES, 1, 32, 48, generator=torch.Generator().manual_seed(1))


def conditioned(backbone):
    planes = backbone.structure_channels(Structure(Kind.DEPTH, depth()))
    words = backbone.encode_content([ContentInput(Medium.WORDS, PROMPT)])
    return Condition(words, backbone.null_tokens(), planes)


def pipeline(kind, path, **parts):
    with quiet():
        held = {
            "unet": opened(write_stable_diffusion(path.parent / "image")).unet,
            "vae": opened(path).vae,
            "text_encoder": CLIPTextModel.from_pretrained(path / "text_encoder"),
            "tokenizer": CLIPTokenizer.from_pretrained(path / "tokenizer"),
            "controlnet": ControlNetModel.from_pretrained(path / "controlnet"),
            "scheduler": DDIMScheduler.from_pretrained(path / "scheduler", clip_sample=False),
        }
        pipe = kind(**held | parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def asked(pipe, latents, **inputs):
    """The pipeline's latents after each step."""
    kept = []

    def keep(_pipe, _step, _timestep, tensors):
        kept.append(tensors["latents"])
        return tensors

    usual = {"num_inference_steps": STEPS, "guidance_scale": SCALE, "output_type": "latent"}
    with quiet():
        pipe(latents=latents, callback_on_step_end=keep, **usual, **inputs)
    return kept


def walked(backbone, noise, denoise):
    """The latents after each step, mixed as diffusers mixes them."""
    sigmas, kept = backbone.sigmas(STEPS), []

    def keep(x, sigma):
        kept.append(scale_input(x, sigma))
        return x

    start = noise * (1 + sigmas[0] ** 2) ** 0.5
    ddim(denoise, start, sigmas, conditioned(backbone), step_hook=keep)
    return kept


def assert_same_walk(made, expected, tolerance):
    assert len(made) == STEPS
    for ours, theirs in zip(made, expected, strict=True):
        assert_close(ours / theirs.abs().max(), theirs / theirs.abs().max(), rtol=0, atol=tolerance)


def test_with_motion_off_it_is_stable_diffusion_with_a_controlnet_frame_by_frame(tmp_path):
    path = write_animatediff(tmp_path / "model", depth=True)
    backbone, noise = opened(path), drawn(FRAMES, 4, 4, 6, seed=0)
    pipe = pipeline(
        StableDiffusionControlNetPipeline,
        path,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    expected = asked(pipe, noise, prompt=[PROMPT] * FRAMES, image=depth().expand(-1, 3, -1, -1))
    denoise = guided(as_images(backbone.denoise_branches), SCALE)
    assert_same_walk(walked(backbone, noise, denoise), expected, 1e-5)


def test_with_motion_on_and_plain_guidance_it_is_animatediff_with_a_controlnet(path, backbone):
    noise = drawn(FRAMES, 4, 4, 6, seed=0)
    with quiet():
        adapter = MotionAdapter.from_pretrained(path / "motion_adapter")
    pipe = pipeline(AnimateDiffControlNetPipeline, path, motion_adapter=adapter)
    whole = rearrange(noise, "t c y x -> 1 c t y x")
    made = asked(
        pipe,
        whole,
        prompt=PROMPT,
        num_frames=FRAMES,
        conditioning_frames=list(depth().expand(-1, 3, -1, -1)),
        height=32,
        width=48,
    )
    expected = [rearrange(each, "1 c t y x -> t c y x") for each in made]
    assert_same_walk(walked(backbone, noise, guided(backbone.denoise_branches, SCALE)), expected, 1e-4)


@pytest.mark.parametrize(
    ("temporal_scale", "own_levels", "contents"), [(1.0, True, 2), (1.5, True, 3), (1.5, False, 2)]
)
@pytest.mark.parametrize("together", [True, False])
def test_the_control_network_runs_once_for_each_content(backbone, together, temporal_scale, own_levels, contents):
    """Three branches of two contents; the image branch is another one only where it has levels of its own."""
    counted = Counter()
    asked = replace(backbone, together=together, image_schedule=backbone.image_schedule if own_levels else None)
    nets = {"control": asked.controlnets[Kind.DEPTH], "unet": asked.unet}
    hooks = [
        net.register_forward_pre_hook(lambda _net, given, name=name: counted.update({name: len(given[0])}))
        for name, net in nets.items()
    ]
    try:
        condition = conditioned(asked)
        guided(asked.denoise_branches, SCALE, temporal_scale)(drawn(FRAMES, 4, 4, 6, seed=0), 2.0, condition)
    finally:
        for hook in hooks:
            hook.remove()
    assert counted == {"control": contents * FRAMES, "unet": (2 if temporal_scale == 1 else 3) * FRAMES}


@pytest.mark.parametrize("together", [True, False])
def test_shared_control_is_control_of_each_branch(backbone, together):
    condition, x = conditioned(backbone), drawn(FRAMES, 4, 4, 6, seed=0)
    shared = replace(backbone, together=together, image_schedule=None)
    branches = [Branch(condition.uncond, temporal=False), Branch(condition.uncond), Branch(condition.cond)]
    answers = shared.denoise_branches(x, 2.0, condition, branches)
    for branch, answer in zip(branches, answers, strict=True):
        assert_close(answer, shared.denoise_branches(x, 2.0, condition, [branch])[0], atol=1e-5, rtol=1e-5)


def test_images_are_asked_for_at_the_image_models_own_timesteps(backbone, tmp_path):
    """At equal noise the two schedules' timesteps differ; each model is given that of its own training."""
    image = opened(write_stable_diffusion(tmp_path / "image"))
    x, condition = drawn(FRAMES, 4, 4, 6, seed=0), conditioned(backbone)
    sigma = float(image.schedule.sigmas[600])
    plain, bare = replace(backbone, controlnets={}), replace(condition, structure_channels=None)
    assert round(backbone.schedule.sigma_to_timestep(sigma)) == 500
    [expected] = image.denoise_branches(x, sigma, bare, [Branch(bare.cond)])
    assert torch.equal(plain.denoise_branches(x, sigma, bare, [Branch(bare.cond, temporal=False)])[0], expected)
    shared = replace(backbone, image_schedule=None)
    video, image = Branch(condition.cond), Branch(condition.cond, temporal=False)
    [own, other], [own_video, same] = (
        [each.denoise_branches(x, sigma, condition, [branch])[0] for each in (backbone, shared)]
        for branch in (image, video)
    )
    assert torch.equal(own_video, same)
    assert not torch.allclose(own, other, atol=1e-3)


def test_image_levels_of_another_prediction_are_refused(tmp_path):
    other = write_gen1_zero(tmp_path)
    rmtree(other / "image_scheduler")
    DDIMScheduler(prediction_type="v_prediction").save_pretrained(other / "image_scheduler")
    with pytest.raises(WeightsError, match="image_scheduler is of v_prediction and scheduler of epsilon"):
        opened(other)
