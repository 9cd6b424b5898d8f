"""Editors whose frames see each other: what each comes to where frames, words or windows are simple."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from editor_inputs import FRAMES, image_walk, images, inputs_of, opened_depth
from recast.conditions.propagation import midpoint
from recast.diffusion.inversion import reconstruction_psnr
from recast.diffusion.noise import noise_draw, shared_noise
from recast.diffusion.samplers import ddim
from recast.diffusion.schedule import finish
from recast.errors import BackboneError, RequestError
from recast.methods.controlvideo import ControlVideo, key_frames
from recast.methods.fatezero import FateZero
from recast.methods.flatten import FLATTEN
from recast.methods.pnp import PlugAndPlay
from recast.methods.vidtome import VidToMe
from recast.networks.attention_recipes import ExtendedAttention, ReferenceAttention, first_and_previous

# The tiny network's random weights are hard to invert, which methods that invert warn of.
pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return opened_depth(tmp_path_factory.mktemp("model"))


def test_vidtome_of_equal_frames_wholly_merged_is_plug_and_play(backbone):
    inputs = inputs_of(backbone, still=True, steps=3)
    merged = VidToMe(merged=1.0, merged_globally=1.0, chunk=2)(inputs, backbone)
    assert_close(merged, PlugAndPlay()(inputs, backbone), **CLOSE)
    moving = inputs_of(backbone, steps=3)
    assert not torch.allclose(VidToMe()(moving, backbone), PlugAndPlay()(moving, backbone), atol=1e-3)


def test_flatten_of_a_clip_without_motion_is_plug_and_play(backbone):
    """Its flow is zero and its frames are equal: attention to all of them, and at one place, is each frame's own."""
    inputs, knobs = inputs_of(backbone, still=True, steps=3), {"features_until": 0.8, "attention_until": 0.8}
    assert_close(FLATTEN()(inputs, backbone), PlugAndPlay(**knobs)(inputs, backbone), **CLOSE)


def test_flatten_attends_along_trajectories_after_all_frames(backbone):
    inputs = inputs_of(backbone, steps=3)
    along = FLATTEN(injected_until=0.0)(inputs, backbone)
    assert not torch.allclose(along, image_walk(backbone, inputs, ExtendedAttention()), atol=1e-3)
    assert torch.equal(FLATTEN(injected_until=0.0)(inputs, backbone), along)


def test_controlvideo_is_joint_editing_from_one_noise(backbone):
    inputs = inputs_of(backbone, steps=3)
    sigmas = backbone.sigmas(3)
    noise = shared_noise(noise_draw(inputs, backbone.encode(inputs.clip.frames)), range(FRAMES))
    with backbone.hooked(ExtendedAttention()):
        start = (1 + sigmas[0] ** 2) ** 0.5 * noise
        expected = ddim(images(backbone, inputs.cfg_scale), start, sigmas, inputs.condition)
    plain = ControlVideo(smooth_at=0.0)(inputs, backbone)
    assert_close(plain, finish(expected, sigmas[-1]), **CLOSE)
    assert not torch.allclose(ControlVideo()(inputs, backbone), plain, atol=1e-3)


def test_controlvideos_key_frames_depend_on_no_others(backbone):
    inputs = inputs_of(backbone, steps=2, window=3)
    assert key_frames(FRAMES, 3) == [0, 2, 4]
    keys = torch.tensor([0, 2, 4])
    clip = replace(inputs.clip, frames=inputs.clip.frames[keys])
    alone = replace(inputs, clip=clip, condition=inputs.condition.at(keys), source=None)
    whole = ControlVideo(smooth_at=0.0)(inputs, backbone)
    assert_close(whole[keys], ControlVideo(smooth_at=0.0)(alone, backbone), **CLOSE)
    assert not torch.allclose(whole[1], ControlVideo(smooth_at=0.0)(replace(inputs, window=5), backbone)[1], atol=1e-3)


@pytest.mark.parametrize(("count", "window"), [(5, 2), (9, 4), (16, 4), (33, 8), (200, 8)])
def test_there_are_no_more_key_frames_than_a_window_and_they_span_the_clip(count, window):
    keys = key_frames(count, window)
    assert keys[0] == 0
    assert keys[-1] == count - 1
    assert len(keys) <= window
    assert keys == sorted(set(keys))


def test_what_changes_evenly_is_its_own_midpoint():
    frames = (torch.arange(5, dtype=torch.uint8) * 20).view(5, 1, 1, 1).expand(-1, 3, 4, 4)
    assert torch.equal(midpoint(frames[[0, 2]], frames[[2, 4]]), frames[[1, 3]].float())


def test_fatezero_with_equal_prompts_is_the_inversions_reconstruction(backbone):
    inputs, knobs = inputs_of(backbone, steps=8, cfg_scale=1.0, same=True), {"strength": 0.5, "refinements": 8}
    source = backbone.encode(inputs.clip.frames)
    same = reconstruction_psnr(source, FateZero(**knobs)(inputs, backbone))
    other = reconstruction_psnr(source, FateZero(**knobs)(inputs_of(backbone, steps=8), backbone))
    assert same > max(30, other + 6)


def test_fatezero_without_maps_is_sparse_causal_attention_and_each_kind_of_map_matters(backbone):
    inputs = inputs_of(backbone, steps=3)
    neither = FateZero(cross_until=0.0, self_until=0.0)(inputs, backbone)
    cross, itself = FateZero(self_until=0.0)(inputs, backbone), FateZero(cross_until=0.0)(inputs, backbone)
    assert not torch.allclose(neither, cross, atol=1e-3)
    assert not torch.allclose(neither, itself, atol=1e-3)
    assert_close(neither, causal_walk(backbone, inputs), **CLOSE)


def causal_walk(backbone, inputs):
    """`image_walk` with the hook in the inversion too."""
    hook = ReferenceAttention(first_and_previous(20))
    with backbone.hooked(hook):
        return image_walk(backbone, inputs)


def test_fatezero_knows_words_where_the_model_is_told_a_prompt(backbone):
    inputs = inputs_of(backbone, steps=2)
    plain = FateZero()(inputs, backbone)
    kept = {"blend_word": "dog", "blend_threshold": 0.999, "keep_background": True}
    for knobs in ({"blend_word": "dog"}, kept, {"reweight_word": "red", "reweight": 10.0}):
        assert not torch.allclose(FateZero(**knobs)(inputs, backbone), plain, atol=1e-4)
    moved = (FateZero(**kept)(inputs, backbone) - backbone.encode(inputs.clip.frames)).abs().amax(1)
    assert 0 < (moved < 1e-5).float().mean() < 1  # outside of the mask it is the source
    with pytest.raises(RequestError, match="no word 'cat'; it has a, dog"):
        FateZero(blend_word="cat")(inputs, backbone)
    with pytest.raises(RequestError, match="2 words of the source and 3"):
        FateZero(align="replace")(inputs, backbone)
    with pytest.raises(RequestError, match="say both"):
        FateZero(reweight=10.0)


def test_fatezero_without_words_is_token_by_token_and_refuses_prompts_of_two_lengths(backbone):
    inputs = inputs_of(backbone, steps=2)
    bare = replace(inputs, source=replace(inputs.source, words=None))
    assert not torch.allclose(FateZero()(bare, backbone), FateZero()(inputs, backbone), atol=1e-4)
    with pytest.raises(RequestError, match="no map is a word's"):
        FateZero(blend_word="dog")(bare, backbone)
    tokens = {"cond": inputs.source.cond[:70], "uncond": inputs.source.uncond[:70]}
    with pytest.raises(BackboneError, match="70 tokens of the source and 77"):
        FateZero()(replace(bare, source=replace(bare.source, **tokens)), backbone)
