"""Make-Your-Video, InstructVid2Vid, CCEdit, Follow-Your-Pose: what tells each from a look-alike."""

from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import recast
from pipelines import opened
from recast.backbones.video_control import VideoControl
from recast.conditions.content import ContentInput, Medium
from recast.denoising import DenoiseInputs
from recast.diffusion.samplers import ddim
from recast.engine.config import BatchShard, TrainConfig
from recast.engine.loop import fit
from recast.errors import BackboneError, RequestError
from recast.methods.instruct_vid2vid import InstructVid2Vid
from recast.networks.conditioned import DEPTH, FRAME, POSE
from recast.types import Clip, Condition, Kind, Structure
from small_presets import initial_network, small, video_data
from space_time_clips import FRAMES, LATENTS, SIDE, conditioned, drawn, predicted
from space_time_folder import write_space_time


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """Opens the tiny folder of a system, once."""
    return cache(lambda what: opened(write_space_time(tmp_path_factory.mktemp("model"), what)))


# Make-Your-Video


@pytest.mark.parametrize("what", ["causal", "depth"])
def test_no_later_frame_changes_an_earlier_one_where_layers_are_causal(backbones, what):
    """In the other network, whose layers are the same but for that, it does."""
    backbone = backbones(what)
    torch.manual_seed(0)
    condition, x = conditioned(backbone, ["depth"]), drawn(*LATENTS)
    later = x.clone()
    later[3:] += 1
    moved = (predicted(backbone, condition, later) - predicted(backbone, condition, x)).abs().amax((1, 2, 3))
    assert (moved[3:] > 1e-3).all()
    assert (moved[:3] == 0).all() == (what == "causal")
    assert (moved[:3] > 0).all() == (what != "causal")


def test_a_longer_clip_begins_as_the_shorter_one(backbones):
    """What makes a causal network fit to go on with a clip."""
    backbone = backbones("causal")
    torch.manual_seed(0)
    condition, x = conditioned(backbone, ["depth"]), drawn(*LATENTS)
    part = predicted(backbone, condition.at(torch.arange(3)), x[:3])
    assert_close(predicted(backbone, condition, x)[:3], part, rtol=0, atol=2e-6)


def test_maps_of_causal_attention_take_nothing_of_later_frames(backbones):
    backbone, seen = backbones("causal"), []
    torch.manual_seed(0)

    def hook(call, attend):
        if call.kind == "temporal":
            seen.append(call.probabilities())
            assert_close(call.weighted(seen[-1]), attend(call), rtol=0, atol=1e-6)
        return attend(call)

    with backbone.hooked(hook):
        predicted(backbone, conditioned(backbone, ["depth"]))
    assert seen
    assert all((each.triu(1) == 0).all() and each.tril().sum(-1).allclose(torch.ones(())) for each in seen)


@pytest.mark.parametrize("name", ["make-your-video-clips", "follow-your-pose-poses", "follow-your-pose-clips"])
def test_image_weights_stay_bit_equal(name, tmp_path):
    """Stage two of Follow-Your-Pose leaves its encoder of poses too; stage one its layers over time."""
    stage, inputs = small(name)
    network = initial_network(stage, inputs)
    before = {key: weight.clone() for key, weight in network.state_dict().items()}
    fit(network, stage.loss(inputs), TrainConfig(steps=2, precision="fp32", warmup=0), tmp_path)
    changed = {key for key, weight in network.state_dict().items() if not torch.equal(weight, before[key])}
    of_poses = {key for key in before if key.startswith("parts.")}
    over_time = {key for key in before if ".temporal." in key and key not in of_poses}
    assert changed
    assert changed <= (of_poses if name.endswith("poses") else over_time)


# InstructVid2Vid


def test_the_clip_to_edit_and_the_instruction_matter(tmp_path):
    editor = recast.load(write_space_time(tmp_path / "model", "clip"))
    frames = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def edited(shown=frames, prompt="make it snow", **knobs):
        return editor(Clip(shown, Fraction(10)), prompt=prompt, steps=2, **knobs).frames.float()

    first = edited()
    assert not torch.equal(edited(prompt="make it red", cfg=9.0), edited(cfg=9.0))
    assert not torch.equal(edited(255 - frames), first)
    # Without guidance towards the clip, its words alone are left and the clip changes nothing.
    alone = {"picture_guidance": 0.0, "cfg": 0.0}
    assert torch.equal(edited(255 - frames, **alone), edited(**alone))
    assert torch.equal(edited(prompt="make it red", **alone), edited(**alone))


def test_with_the_empty_instruction_guidance_by_words_does_nothing(backbones):
    """And guidance towards the clip is left: what is walked by is the branch with the clip, no words in it."""
    backbone = backbones("clip")
    frames = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    words, nothing = backbone.encode_content([ContentInput(Medium.WORDS, "snow")]), backbone.null_tokens()

    def made(cond, cfg_scale, picture_guidance=1.5):
        inputs = DenoiseInputs(Clip(frames, Fraction(10)), Condition(cond, nothing), ddim, steps=3, cfg_scale=cfg_scale)
        return InstructVid2Vid(picture_guidance=picture_guidance)(inputs, backbone)

    assert_close(made(nothing, 7.5), made(nothing, 1.0), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(made(words, 7.5), made(nothing, 7.5), atol=1e-2)
    assert not torch.allclose(made(nothing, 7.5, 3.0), made(nothing, 7.5), atol=1e-2)


def test_its_frames_see_each_other_and_by_instruct_pix2pix_they_do_not(tmp_path):
    editor = recast.load(write_space_time(tmp_path / "model", "clip"))
    frames = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    other = frames.clone()
    other[2] = 255 - other[2]
    for method, together in (("instruct-vid2vid", True), ("instruct-pix2pix", False)):
        one, another = (
            editor(Clip(each, Fraction(10)), prompt="snow", method=method, steps=2).frames for each in (frames, other)
        )
        assert torch.equal(one[0], another[0]) != together


def test_the_loss_of_neighbouring_frames_is_of_their_difference():
    """An error that is the same in all frames adds nothing to it."""
    stage, inputs = small("instruct-vid2vid-clips")
    network = initial_network(stage, inputs)
    plain, weighed = (replace(stage, temporal_weight=weight).loss(inputs) for weight in (0.0, 2.0))
    one, other = (loss(network, BatchShard(0)) for loss in (plain, weighed))
    assert torch.equal(one.rows, other.rows)
    assert other.mean > one.mean
    single = replace(stage, temporal_weight=2.0, batches=replace(stage.batches, frames=1)).loss(inputs)
    images = replace(stage, batches=replace(stage.batches, frames=1)).loss(inputs)
    assert torch.equal(single(network, BatchShard(0)).mean, images(network, BatchShard(0)).mean)


# CCEdit


def test_the_edited_frame_acts_where_it_is_and_through_time_alone(backbones, tmp_path):
    backbone, file = backbones("edited frame"), tmp_path / "edited.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(file)
    frames = torch.randint(0, 256, (FRAMES, 3, SIDE, SIDE), dtype=torch.uint8)
    depth = Structure(Kind.DEPTH, torch.rand(FRAMES, 1, SIDE, SIDE))
    numbers = torch.arange(7, 7 + FRAMES)
    bare = conditioned(backbone, frames=numbers)
    with_frame = backbone.with_control_video(bare, VideoControl(frames, [depth], pictures=[str(file)], first=7), 8)
    without = backbone.with_control_video(bare, VideoControl(frames, [depth], first=7), 8)
    assert with_frame.first.number == 7 + FRAMES // 2
    moved = predicted(backbone, with_frame, temporal=False) - predicted(backbone, without, temporal=False)
    there = moved.abs().amax((1, 2, 3)) > 1e-4
    assert there.tolist() == [False, False, True, False, False]
    spread = predicted(backbone, with_frame) - predicted(backbone, without)
    assert (spread.abs().amax((1, 2, 3)) > 1e-6).all()
    # In a window without the frame it does nothing.
    early = torch.tensor([0, 1])
    assert torch.equal(
        predicted(backbone, with_frame.at(early), drawn(2, *LATENTS[1:])),
        predicted(backbone, without.at(early), drawn(2, *LATENTS[1:])),
    )
    with pytest.raises(RequestError, match="one frame is shown, the centre one, and 2 were given"):
        backbone.with_control_video(bare, VideoControl(frames, [depth], pictures=[str(file)] * 2), 8)


def test_a_new_appearance_branch_changes_nothing():
    stage, inputs = small("ccedit-clips")
    network, data = initial_network(stage, inputs), video_data()
    noisy, depth = drawn(2, 3, 4, 8, 8), drawn(2, 3, 1, 8, 8, seed=1)
    words = data.text(data.ids[0][0, :2]).last_hidden_state
    shared = {"empty": words[0], "kept": {DEPTH: torch.ones(2), FRAME: torch.ones(2)}}
    level = torch.tensor([10.0, 900.0])
    with torch.no_grad():
        shown = network(noisy, level, words, conditions={DEPTH: depth, FRAME: drawn(2, 4, 8, 8, seed=2)}, **shared)
        alone = network(noisy, level, words, conditions={DEPTH: depth}, **shared)
    assert_close(shown, alone, rtol=0, atol=2e-6)


# Follow-Your-Pose


def test_poses_change_the_clip_by_their_weight_and_may_be_left_out(backbones):
    backbone = backbones("poses")
    torch.manual_seed(1)
    condition = conditioned(backbone, ["pose"])
    free = replace(condition, controls=())
    silent = replace(condition, controls=(replace(condition.controls[0], weight=0.0),))
    assert torch.equal(predicted(backbone, silent), predicted(backbone, free))
    assert not torch.allclose(predicted(backbone, condition), predicted(backbone, free), atol=1e-4)
    with pytest.raises(BackboneError, match="cannot be conditioned on depth; it was trained with pose"):
        conditioned(backbone, ["depth"])


def test_a_new_encoder_of_poses_changes_nothing():
    stage, inputs = small("follow-your-pose-poses")
    network, data = initial_network(stage, inputs), video_data()
    noisy, words = drawn(2, 1, 4, 8, 8), data.text(data.ids[0][0, :2]).last_hidden_state
    level, kept = torch.tensor([10.0, 900.0]), {POSE: torch.ones(2)}
    with torch.no_grad():
        posed = network(noisy, level, words, empty=words[0], conditions={POSE: torch.rand(2, 1, 3, 64, 64)}, kept=kept)
        alone = network(noisy, level, words, empty=words[0], conditions={}, kept={})
    assert torch.equal(posed, alone)
