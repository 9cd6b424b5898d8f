"""Wan and VACE over published layouts are diffusers' own pipelines: arXiv:2503.20314, arXiv:2503.07598."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan_vace import WanVACETransformer3DModel
from diffusers.pipelines.wan.pipeline_wan import WanPipeline
from diffusers.pipelines.wan.pipeline_wan_vace import WanVACEPipeline
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from einops import rearrange
from PIL import Image
from torch.testing import assert_close

from pipelines import SCALE, STEPS, assert_same_walk, drawn, flow_walked, opened
from recast.backbones.video_control import VideoControl
from recast.denoising import Branch
from recast.diffusion.parameterization import Prediction, scale_input
from recast.diffusion.schedule import schedule
from recast.errors import BackboneError
from recast.model.folder import quiet
from recast.types import Kind, Structure
from wan_folder import PUBLISHED, write_wan
from wan_walks import (
    FRAMES,
    LATENTS,
    SIZE,
    WORDS,
    asked_wan,
    conditioned,
    in_place_of_words,
    pictures,
    pipeline,
    read,
    shown,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_wan(tmp_path_factory.mktemp("wan"), unipc=False)


@pytest.fixture(scope="module")
def vace_path(tmp_path_factory):
    return write_wan(tmp_path_factory.mktemp("vace"), vace=True, unipc=False)


@pytest.fixture(scope="module")
def vace(vace_path):
    return opened(vace_path)


def test_text_to_video_is_diffusers_own(path):
    backbone, noise = opened(path), drawn(*LATENTS, seed=0)
    condition = conditioned(backbone)
    expected = asked_wan(pipeline(WanPipeline, path, WanTransformer3DModel), noise, condition)
    assert_same_walk(flow_walked(backbone, noise, condition), expected, 1e-4)


@pytest.mark.parametrize("vace", [False, True])
def test_two_networks_are_diffusers_own_at_their_levels(tmp_path, vace):
    """Wan 2.2's: one walk through both, by words and by a control video."""
    path, noise, (depth, frames) = (
        write_wan(tmp_path, vace=vace, two=True, unipc=False),
        drawn(*LATENTS, seed=0),
        shown(),
    )
    backbone, kind = opened(path), WanVACETransformer3DModel if vace else WanTransformer3DModel
    condition, given = conditioned(backbone), {}
    if vace:
        video = VideoControl(frames, [Structure(Kind.DEPTH, depth)])
        condition, given = backbone.with_control_video(condition, video, STEPS), {"video": pictures(depth)}
    second = {"transformer_2": read(path / "transformer_2", kind), "boundary_ratio": 0.8}
    pipe = pipeline(WanVACEPipeline if vace else WanPipeline, path, kind, **second)
    expected = asked_wan(pipe, noise, condition, **given)
    made = flow_walked(backbone, noise, condition)
    assert_same_walk(made, expected, 1e-4)
    alone = flow_walked(replace(backbone, at_little_noise=None), noise, condition)
    same = [torch.equal(*pair) for pair in zip(alone, made, strict=True)]
    assert same == sorted(same, reverse=True)
    assert 0 < sum(same) < STEPS


def test_vace_by_depth_is_diffusers_own(vace, vace_path):
    noise, (depth, frames) = drawn(*LATENTS, seed=0), shown()
    video = VideoControl(frames, [Structure(Kind.DEPTH, depth)])
    condition = vace.with_control_video(conditioned(vace), video, STEPS)
    pipe = pipeline(WanVACEPipeline, vace_path, WanVACETransformer3DModel)
    expected = asked_wan(pipe, noise, condition, video=pictures(depth))
    assert_same_walk(flow_walked(vace, noise, condition), expected, 1e-4)
    planes = vace.structure_channels(Structure(Kind.DEPTH, depth))
    assert_same_walk(flow_walked(vace, noise, conditioned(vace, planes)), expected, 1e-4)


def test_vace_by_poses_is_diffusers_own(vace, vace_path):
    """Coloured sticks, as they are drawn."""
    noise, (_, frames) = drawn(*LATENTS, seed=0), shown()
    sticks = frames.flip(0) / 255
    seer = replace(vace, metadata=replace(vace.metadata, structures=("depth", "pose")))
    condition = seer.with_control_video(conditioned(seer), VideoControl(frames, [Structure(Kind.POSE, sticks)]), STEPS)
    pipe = pipeline(WanVACEPipeline, vace_path, WanVACETransformer3DModel)
    assert_same_walk(
        flow_walked(seer, noise, condition), asked_wan(pipe, noise, condition, video=pictures(sticks)), 1e-4
    )


def test_vace_keeps_what_a_mask_keeps_as_diffusers_does(vace, vace_path):
    noise, (depth, frames) = drawn(*LATENTS, seed=0), shown()
    edited = torch.zeros(FRAMES, 1, *SIZE)
    edited[:, :, 4:20, 8:36] = 1
    edited[3] = 0
    video = VideoControl(frames, [Structure(Kind.DEPTH, depth)], edited)
    condition = vace.with_control_video(conditioned(vace), video, STEPS)
    given = (1 - edited) * frames / 255 + edited * depth
    pipe = pipeline(WanVACEPipeline, vace_path, WanVACETransformer3DModel)
    expected = asked_wan(pipe, noise, condition, video=pictures(given), mask=pictures(edited))
    assert_same_walk(flow_walked(vace, noise, condition), expected, 1e-4)


def test_vace_sees_pictures_as_diffusers_does(vace, vace_path, tmp_path):
    """Also in its steps, where the pipeline's latents of pictures are put to what they are known to be."""
    noise, (depth, frames) = drawn(*LATENTS, seed=0), shown()
    sheets, rng = [tmp_path / f"{name}.png" for name in ("tall", "wide")], np.random.default_rng(3)
    drawings = [Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in ((40, 24), (16, 64))]
    for drawing, path in zip(drawings, sheets, strict=True):
        drawing.save(path)
    video = VideoControl(frames, [Structure(Kind.DEPTH, depth)], pictures=[str(path) for path in sheets], seed=5)
    condition = vace.with_control_video(conditioned(vace), video, STEPS)
    held, levels = condition.references, iter(vace.sigmas(STEPS)[1:])
    pipe, kept = pipeline(WanVACEPipeline, vace_path, WanVACETransformer3DModel), []

    def known(_pipe, _step, _timestep, tensors):
        sigma, latents = next(levels), tensors["latents"]
        kept.append(rearrange(latents[:, :, 2:], "1 c t y x -> t c y x").clone())
        mixed = scale_input(held.clean + sigma * held.noise, sigma, Prediction.FLOW)
        latents[:, :, :2] = rearrange(mixed, "r c y x -> 1 c r y x")
        return {"latents": latents}

    with quiet():
        pipe(
            latents=rearrange(torch.cat([held.noise, noise]), "t c y x -> 1 c t y x"),
            video=pictures(depth),
            reference_images=drawings,
            **{"height": SIZE[0], "width": SIZE[1], "num_frames": FRAMES, "guidance_scale": SCALE},
            **{"num_inference_steps": STEPS, "output_type": "latent", "callback_on_step_end": known},
            **in_place_of_words(condition),
        )
    assert_same_walk(flow_walked(vace, noise, condition), kept, 1e-4)
    plain = vace.with_control_video(conditioned(vace), replace(video, pictures=()), STEPS)
    assert not torch.allclose(flow_walked(vace, noise, plain)[-1], kept[-1], atol=1e-3)


def test_structure_acts_with_its_weight_and_in_its_range(vace):
    (depth, _), x = shown(), drawn(*LATENTS, seed=0)
    structure = Structure(Kind.DEPTH, depth)

    def answer(weight, within, sigma):
        asked = replace(structure, weight=weight, within=within)
        condition = vace.with_structures(conditioned(vace), [asked], STEPS)
        return vace.denoise_branches(x, sigma, condition, [Branch(condition.cond)])[0]

    early, late = vace.sigmas(STEPS)[0], vace.sigmas(STEPS)[4]
    whole, none = answer(1.0, (0.0, 1.0), late), answer(0.0, (0.0, 1.0), late)
    assert not torch.allclose(whole, none, atol=1e-4)
    assert torch.equal(answer(1.0, (0.0, 0.5), late), none)
    assert torch.equal(answer(1.0, (0.0, 0.5), early), answer(1.0, (0.0, 1.0), early))
    with pytest.raises(BackboneError, match="reads one structure and was given 2"):
        vace.with_structures(conditioned(vace), [structure, structure], STEPS)


def test_the_second_network_has_the_levels_below_the_boundary(tmp_path):
    backbone, x = opened(write_wan(tmp_path, two=True)), drawn(*LATENTS, seed=0)
    condition = conditioned(backbone)
    first, second = (
        replace(backbone, network=network, at_little_noise=None)
        for network in (backbone.network, backbone.at_little_noise)
    )
    for timestep, own in ((801, first), (799, second)):
        sigma = timestep / (1000 - timestep)
        made, expected = (b.denoise_branches(x, sigma, condition, [Branch(condition.cond)])[0] for b in (backbone, own))
        assert torch.equal(made, expected)


@pytest.mark.parametrize("steps", [1, 4, 25])
def test_levels_are_those_of_the_published_scheduler(steps):
    theirs = UniPCMultistepScheduler(**PUBLISHED)
    theirs.set_timesteps(steps)
    ours = torch.tensor(schedule(theirs.config).timestep_sigmas(steps))
    mixed = ours[:-1] / (1 + ours[:-1])
    assert_close(mixed, theirs.sigmas[:-1], atol=2e-6, rtol=0)


def test_decoding_latent_by_latent_is_decoding_at_once(vace):
    latents = drawn(*LATENTS, seed=0)
    middle, spread = torch.tensor([0.1, -0.1, 0.2, 0.0]), torch.tensor([0.9, 1.1, 1.2, 0.8])
    scaled = latents * rearrange(spread, "c -> c 1 1") + rearrange(middle, "c -> c 1 1")
    whole = vace.autoencoder.network.decode(rearrange(scaled, "t c y x -> 1 c t y x")).sample
    assert_close(vace.decode_pixels(latents).clamp(-1, 1), rearrange(whole, "1 c t h w -> t c h w"))


def test_words_are_encoded_alone_and_padding_is_zero(vace):
    read = vace.prompt.tokenizer("a red ball", return_tensors="pt")
    expected = vace.prompt.network(**read).last_hidden_state[0]
    tokens = vace.encode_content(WORDS)
    assert_close(tokens[: len(expected)], expected)
    assert not tokens[len(expected) :].any()
