"""Clips without a source: what each family's own network and the sampler make of noise, and what refuses to."""

from dataclasses import replace
from itertools import pairwise
from math import hypot

import pytest
import torch
from torch.testing import assert_close

import recast
from animatediff_folder import write_animatediff
from ltx_folder import write_ltx
from recast.backbones.tiny import write_stable_diffusion
from recast.backbones.video_control import VideoControl, VideoControlBackbone
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.diffusion.samplers import ddim
from recast.diffusion.schedule import finish
from recast.errors import BackboneError, RequestError
from recast.methods import GENERATORS
from recast.methods.without_source import check_without_source
from recast.types import Condition, Kind, Structure, latent_count
from tiny_folder import written
from wan_folder import write_wan

FOLDERS = {
    "animatediff": write_animatediff,
    "animatediff, depth": lambda path: write_animatediff(path, depth=True),
    "ltx": write_ltx,
    "stable_diffusion": write_stable_diffusion,
    "wan": write_wan,
    "vace": lambda path: write_wan(path, vace=True),
}
REFUSING = {
    "always given the structure": {
        "gen1": written,
        "2-depth": lambda path: write_stable_diffusion(path, depth=True),
    },
    "reads the clip to edit": {
        "instructed": lambda path: write_stable_diffusion(path, picture=True),
        "lucy": lambda path: write_wan(path, lucy=True),
    },
}
ASKED = {"prompt": "a dog in snow", "steps": 2, "cfg": 2.0, "size": (64, 32), "frames": 5, "seed": 3}


@pytest.fixture(scope="module", params=FOLDERS)
def editor(request, tmp_path_factory):
    return recast.load(FOLDERS[request.param](tmp_path_factory.mktemp("model")))


def test_a_seed_repeats_bit_for_bit_and_another_seed_or_prompt_does_not(editor):
    first, again, other, words = (
        editor.generate(**ASKED | more).frames for more in ({}, {}, {"seed": 4}, {"prompt": "a street at night"})
    )
    assert first.shape == (5, 3, 32, 64)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, words)


def test_it_is_the_network_called_by_hand_with_the_sampler(editor):
    backbone = editor.model.backbone
    stride, sigmas = backbone.temporal_stride, backbone.sigmas(2)
    cond, uncond = backbone.encode_content(contents("a dog in snow")), backbone.null_tokens()
    shape = backbone.encode(torch.zeros(1, 3, 32, 64, dtype=torch.uint8)).shape[1:]
    own = [torch.Generator().manual_seed(3 * 1_000_003 + stride * i) for i in range(latent_count(5, stride))]
    noise = torch.stack([torch.randn(shape, generator=rng) for rng in own])
    condition = bare(editor, Condition(cond, uncond, frames=stride * torch.arange(len(noise))))

    def denoise(x, sigma, given):
        with_words, without = backbone.denoise_branches(x, sigma, given, [Branch(cond), Branch(uncond)])
        return without + 2.0 * (with_words - without)

    latents = finish(ddim(denoise, hypot(1, sigmas[0]) * noise, sigmas, condition), sigmas[-1])
    made = editor.generate(**ASKED).frames
    assert_close(made.float(), backbone.decode(latents)[:5].float(), atol=1.0, rtol=0)


@pytest.mark.parametrize(
    ("write", "size", "shape"),
    [
        (write_stable_diffusion, None, (1, 32, 32)),
        (write_stable_diffusion, 64, (1, 64, 64)),
        (write_wan, None, (9, 32, 64)),
        (write_wan, 48, (9, 48, 80)),
    ],
)
def test_size_and_length_are_the_models_own_where_nobody_says_them(tmp_path, write, size, shape):
    made = recast.load(write(tmp_path)).generate(prompt="a dog", steps=1, size=size)
    frames, rows, columns = shape
    assert made.frames.shape == (frames, 3, rows, columns)


def diffusion_by_hand(backbone, x, sigma, tokens):
    """Stable Diffusion's UNet predicts the noise of latents of unit variance."""
    time = torch.tensor(backbone.schedule.sigma_to_timestep(sigma))
    noise = backbone.unet(x / hypot(1, sigma), time, tokens.expand(len(x), -1, -1), return_dict=False)[0]
    return x - sigma * noise


def flow_by_hand(backbone, x, sigma, tokens):
    """Wan's transformer predicts the velocity from clean latents to noise, of a mixture with a share `time` of it."""
    time, mixed = sigma / (1 + sigma), x / (1 + sigma)
    video = mixed.transpose(0, 1)[None]
    velocity = backbone.network(video, torch.tensor([1000 * time]), tokens[None], return_dict=False)[0]
    return mixed - time * velocity[0].transpose(0, 1)


@pytest.mark.parametrize(("write", "by_hand"), [(write_stable_diffusion, diffusion_by_hand), (write_wan, flow_by_hand)])
def test_it_is_the_folders_own_module_called_by_hand_in_straight_steps(tmp_path, write, by_hand):
    editor = recast.load(write(tmp_path))
    backbone = editor.model.backbone
    stride, sigmas = backbone.temporal_stride, backbone.sigmas(2)
    shape = backbone.encode(torch.zeros(1, 3, 32, 64, dtype=torch.uint8)).shape[1:]
    own = [torch.Generator().manual_seed(3 * 1_000_003 + stride * i) for i in range(latent_count(5, stride))]
    x = hypot(1, sigmas[0]) * torch.stack([torch.randn(shape, generator=rng) for rng in own])
    cond, uncond = backbone.prompt("a dog in snow"), backbone.prompt("")
    with torch.no_grad():
        for sigma, below in pairwise(sigmas):
            with_words, without = (by_hand(backbone, x, sigma, tokens) for tokens in (cond, uncond))
            clean = without + 2.0 * (with_words - without)
            x = clean + below / sigma * (x - clean)
    made = editor.generate(**ASKED).frames
    assert_close(made.float(), backbone.decode(finish(x, sigmas[-1]))[:5].float(), atol=1.0, rtol=0)


def contents(words):
    return [ContentInput(Medium.WORDS, words)]


def bare(editor, condition):
    """VACE reads a grey control video, and a ControlNet of no weight acts nowhere."""
    backbone = editor.model.backbone
    if isinstance(backbone, VideoControlBackbone):
        return backbone.with_control_video(condition, VideoControl(torch.zeros(5, 3, 32, 64, dtype=torch.uint8)), 2)
    if not backbone.structure_kinds:
        return condition
    return backbone.with_structures(condition, [Structure(Kind.DEPTH, torch.rand(5, 1, 32, 64), weight=0.0)], 2)


def test_a_controlnet_without_structure_adds_nothing(tmp_path):
    plain, controlled = (recast.load(write_animatediff(tmp_path / str(depth), depth=depth)) for depth in (False, True))
    assert torch.equal(plain.generate(**ASKED).frames, controlled.generate(**ASKED).frames)


@pytest.mark.parametrize(
    ("reason", "family"), [(reason, name) for reason, folders in REFUSING.items() for name in folders]
)
def test_a_network_that_needs_a_source_is_refused_in_one_line(tmp_path, reason, family):
    editor = recast.load(REFUSING[reason][family](tmp_path))
    with pytest.raises(BackboneError, match=reason) as refusal:
        editor.generate(**ASKED)
    assert "\n" not in str(refusal.value)


def test_pocket_is_given_a_flat_structure_only_where_that_is_said(tmp_path):
    editor = recast.load(written(tmp_path))
    flat = editor.generate(**ASKED | {"prompt": "a red ball", "flat_structure": True}).frames
    assert flat.shape == (5, 3, 32, 64)
    check_without_source(editor.model.backbone, flat=True)


def test_a_network_trained_without_structure_too_needs_no_flat_one(tmp_path):
    """And none is no flat one: its channels are 0, which no structure's are."""
    plain = recast.load(written(tmp_path))
    backbone = plain.model.backbone
    able = replace(backbone, metadata=replace(backbone.metadata, structure_optional=True))
    check_without_source(able, flat=False)
    depth = Structure(Kind.DEPTH, torch.full((3, 1, 32, 64), 0.5), detail=7, weight=0.0)
    condition = Condition(able.null_tokens(), able.null_tokens())
    assert not able.with_structures(condition, [depth], 4).structure_channels.any()
    given = able.with_structures(condition, [replace(depth, weight=1.0)], 4).structure_channels
    assert torch.equal(given, backbone.structure_channels(depth))
    with pytest.raises(BackboneError, match=r"weight 0\.5"):
        able.with_structures(condition, [replace(depth, weight=0.5)], 4)
    editor = replace(plain, model=replace(plain.model, backbone=able))
    asked = ASKED | {"prompt": "a red ball"}
    bare, flat = (editor.generate(**asked).frames, plain.generate(**asked, flat_structure=True).frames)
    assert not torch.equal(bare, flat)


def test_prompts_change_over_a_clip_where_a_network_reads_one_for_each_frame(tmp_path):
    editor, asked = recast.load(write_stable_diffusion(tmp_path)), {n: v for n, v in ASKED.items() if n != "prompt"}
    changing = editor.generate(**asked, schedules={"prompt": {0: "a dog in snow", 4: "a street"}}).frames
    still = editor.generate(**ASKED).frames
    assert torch.equal(changing[0], still[0])
    assert not torch.equal(changing[4], still[4])


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({"mask": "mask.png"}, "mask is of a source"),
        ({"source_prompt": "a dog"}, "source prompt is of a source"),
        ({"method": "flowedit"}, "flowedit edits a clip"),
        ({"duration": 2}, "frames and duration are both given"),
        ({"noise": "pink"}, "pink"),
        ({"long": "loop"}, "loop"),
        ({"size": (65, 32)}, "multiples"),
    ],
)
def test_what_cannot_be_is_said(tmp_path, more, wrong):
    editor = recast.load(write_stable_diffusion(tmp_path))
    with pytest.raises(RequestError, match=wrong):
        editor.generate(**ASKED | more)


def test_an_edit_does_not_take_the_way_without_a_source(tmp_path):
    editor = recast.load(write_stable_diffusion(tmp_path))
    clip = editor.generate(**ASKED).clip
    with pytest.raises(RequestError, match="recast generate"):
        editor(clip, prompt="a dog", method=next(iter(GENERATORS)))
