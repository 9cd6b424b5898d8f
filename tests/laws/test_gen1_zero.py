"""Equation 8 on public layouts: with motion modules on and off, the video and the image model are diffusers' own.

arXiv:2302.03011, equation 8, over Stable Diffusion with a ControlNet (arXiv:2302.05543) and motion modules
(arXiv:2307.04725).
"""

import json
from collections import Counter
from dataclasses import replace
from shutil import copytree, rmtree

import pytest
import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_motion_model import MotionAdapter
from diffusers.pipelines.animatediff.pipeline_animatediff_controlnet import AnimateDiffControlNetPipeline
from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from einops import rearrange
from torch.testing import assert_close

from animatediff_folder import write_animatediff, write_gen1_zero
from pipelines import SCALE, STEPS, UNCHECKED, asked, assert_same_walk, drawn, opened, pipeline, walked
from recast.backbones.tiny import write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.diffusion.samplers import ddim
from recast.errors import WeightsError
from recast.methods.knobs import as_images
from recast.model.folder import quiet
from recast.model.stable_diffusion_parts import TRAILING
from recast.types import Condition, Kind, Structure

PROMPT, FRAMES = "a red ball in the snow", 4


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_gen1_zero(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def backbone(path):
    return opened(path)


def depth():
    return torch.rand(FRAMES, 1, 32, 48, generator=torch.Generator().manual_seed(1))


def control(path):
    with quiet():
        return ControlNetModel.from_pretrained(path / "controlnet")


def conditioned(backbone):
    planes = backbone.structure_channels(Structure(Kind.DEPTH, depth()))
    words = backbone.encode_content([ContentInput(Medium.WORDS, PROMPT)])
    return Condition(words, backbone.null_tokens(), planes)


def test_with_motion_off_it_is_stable_diffusion_with_a_controlnet_frame_by_frame(tmp_path):
    path = write_animatediff(tmp_path / "model", depth=True)
    backbone, noise = opened(path), drawn(FRAMES, 4, 4, 6, seed=0)
    pipe = pipeline(StableDiffusionControlNetPipeline, path, controlnet=control(path), **UNCHECKED)
    expected = asked(pipe, noise, prompt=[PROMPT] * FRAMES, image=depth().expand(-1, 3, -1, -1))
    denoise = guided(as_images(backbone.denoise_branches), SCALE)
    assert_same_walk(walked(backbone, noise, denoise, conditioned(backbone)), expected, 1e-5)


def test_with_motion_on_and_plain_guidance_it_is_animatediff_with_a_controlnet(path, backbone):
    noise = drawn(FRAMES, 4, 4, 6, seed=0)
    with quiet():
        adapter = MotionAdapter.from_pretrained(path / "motion_adapter")
    pipe = pipeline(AnimateDiffControlNetPipeline, path, controlnet=control(path), motion_adapter=adapter)
    whole = rearrange(noise, "t c y x -> 1 c t y x")
    theirs = asked(
        pipe,
        whole,
        prompt=PROMPT,
        num_frames=FRAMES,
        conditioning_frames=list(depth().expand(-1, 3, -1, -1)),
        height=32,
        width=48,
    )
    expected = [rearrange(each, "1 c t y x -> t c y x") for each in theirs]
    made = walked(backbone, noise, guided(backbone.denoise_branches, SCALE), conditioned(backbone))
    assert_same_walk(made, expected, 1e-4)


def test_lightnings_levels_are_walked_as_by_eulers_method(path, tmp_path):
    """The scheduler that AnimateDiff-Lightning is published for, written with its name; arXiv:2403.12706."""
    folder = copytree(path, tmp_path / "model")
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(TRAILING))
    backbone, noise, kept = opened(folder), drawn(FRAMES, 4, 4, 6, seed=0), []
    with quiet():
        adapter = MotionAdapter.from_pretrained(path / "motion_adapter")
        euler = EulerDiscreteScheduler.from_config(TRAILING)
    parts = {"controlnet": control(path), "motion_adapter": adapter, "scheduler": euler}
    images = list(depth().expand(-1, 3, -1, -1))
    size = {"num_frames": FRAMES, "height": 32, "width": 48}
    whole = rearrange(noise, "t c y x -> 1 c t y x")
    theirs = asked(
        pipeline(AnimateDiffControlNetPipeline, path, **parts), whole, prompt=PROMPT, conditioning_frames=images, **size
    )
    sigmas, condition = backbone.sigmas(STEPS), conditioned(backbone)
    denoise = guided(replace(backbone, image_schedule=None).denoise_branches, SCALE)

    def keep(x, _sigma):
        kept.append(x)
        return x

    ddim(denoise, noise * sigmas[0], sigmas, condition, step_hook=keep)
    assert_same_walk(kept, [rearrange(each, "1 c t y x -> t c y x") for each in theirs], 1e-4)


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


def test_a_pipeline_with_a_controlnet_that_lost_it_is_refused(tmp_path):
    rmtree(write_gen1_zero(tmp_path) / "controlnet")
    with pytest.raises(WeightsError, match="the model has no controlnet; it has depth_estimator"):
        opened(tmp_path)


def test_image_levels_of_another_prediction_are_refused(tmp_path):
    other = write_gen1_zero(tmp_path)
    rmtree(other / "image_scheduler")
    DDIMScheduler(prediction_type="v_prediction").save_pretrained(other / "image_scheduler")
    with pytest.raises(WeightsError, match="image_scheduler is of v_prediction and scheduler of epsilon"):
        opened(other)
