"""Editors that treat each frame as an image: what each comes to, on a tiny 2-depth, and what tells it from its kin."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.testing import assert_close

from editor_inputs import FRAMES, cut, image_walk, images, inputs_of, opened_depth
from linear_backbone import clip_inputs
from recast.backbones.tiny import tiny
from recast.diffusion.grids import grid_order, gridded, tiled, untiled
from recast.diffusion.inversion import reconstruction_psnr
from recast.diffusion.noise import noise_draw, shared_noise
from recast.diffusion.samplers import ddim
from recast.diffusion.schedule import finish
from recast.errors import RequestError
from recast.methods.pix2video import Pix2Video
from recast.methods.pnp import PlugAndPlay
from recast.methods.rave import RAVE
from recast.methods.text2video_zero import Text2VideoZero
from recast.methods.walks import SourceHooks, beside_source
from recast.networks.attention_recipes import ReferenceAttention, anchored, first_and_previous

# The tiny network's random weights are hard to invert, which methods that invert warn of.
pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return opened_depth(tmp_path_factory.mktemp("model"))


def test_plug_and_play_edits_each_frame_by_itself(backbone):
    inputs = inputs_of(backbone, steps=3)
    whole = PlugAndPlay()(inputs, backbone)
    alone = torch.cat([PlugAndPlay()(cut(inputs, frame, frame + 1), backbone) for frame in range(FRAMES)])
    assert_close(whole, alone, **CLOSE)


def test_plug_and_play_without_injection_is_inversion_and_with_it_nearer_to_the_source(backbone):
    inputs = inputs_of(backbone, steps=3)
    plain = PlugAndPlay(features_until=0.0, attention_until=0.0)(inputs, backbone)
    assert_close(plain, image_walk(backbone, inputs), **CLOSE)
    assert not torch.allclose(plain, PlugAndPlay(attention_until=0.0)(inputs, backbone), atol=1e-3)
    assert not torch.allclose(plain, PlugAndPlay(features_until=0.0)(inputs, backbone), atol=1e-3)


def test_plug_and_play_of_the_same_words_is_the_reconstruction(backbone):
    inputs, knobs = inputs_of(backbone, steps=8, cfg_scale=1.0, same=True), {"strength": 0.5, "refinements": 8}
    source = backbone.encode(inputs.clip.frames)
    same = reconstruction_psnr(source, PlugAndPlay(**knobs)(inputs, backbone))
    other = reconstruction_psnr(source, PlugAndPlay(**knobs)(inputs_of(backbone, steps=8), backbone))
    assert same > max(30, other + 6)


def test_with_negative_prompt_inversion_what_shall_not_change_comes_back_at_any_guidance(backbone):
    walk = partial(PlugAndPlay, features_until=0.0, attention_until=0.0)
    unguided, guided = (inputs_of(backbone, steps=3, cfg_scale=scale, same=True) for scale in (1.0, 6.0))
    expected = walk()(unguided, backbone)
    assert_close(walk(negative_prompt_inversion=True)(guided, backbone), expected, **CLOSE)
    assert not torch.allclose(walk()(guided, backbone), expected, atol=1e-2)
    negative = replace(guided, condition=replace(guided.condition, negative=-guided.condition.cond))
    with pytest.raises(RequestError, match="leave the negative prompt out"):
        walk(negative_prompt_inversion=True)(negative, backbone)


def test_rave_with_one_cell_is_the_image_model(backbone):
    inputs = inputs_of(backbone, steps=3)
    assert_close(RAVE(side=1)(inputs, backbone), image_walk(backbone, inputs), **CLOSE)
    assert not torch.allclose(RAVE(side=2)(inputs, backbone), image_walk(backbone, inputs), atol=1e-3)


def test_rave_with_one_grid_is_the_image_model_on_that_grid(backbone):
    inputs = inputs_of(backbone, frames=4)
    x, plain = backbone.encode(inputs.clip.frames), images(backbone, 3.0)
    picks = grid_order(4, 2, 2.0, 9)[0]
    planes = tiled(inputs.condition.structure_channels[picks], 2)
    expected = plain(tiled(x[picks], 2), 2.0, replace(inputs.condition, structure_channels=planes, frames=None))
    assert_close(gridded(plain, 2, 9)(x, 2.0, inputs.condition)[picks], untiled(expected, 2), **CLOSE)


def test_text2video_zero_makes_the_first_frame_as_an_image_and_the_others_by_it(backbone):
    inputs = inputs_of(backbone, steps=3)
    whole = Text2VideoZero()(inputs, backbone)
    assert_close(Text2VideoZero()(cut(inputs, 0, 1), backbone), whole[:1], **CLOSE)
    assert_close(Text2VideoZero()(replace(inputs, window=2), backbone), whole, **CLOSE)
    noise = shared_noise(noise_draw(inputs, whole), range(FRAMES))
    sigmas = backbone.sigmas(3)
    with backbone.hooked(ReferenceAttention(anchored(20))):
        start = (1 + sigmas[0] ** 2) ** 0.5 * noise
        expected = ddim(images(backbone, inputs.cfg_scale), start, sigmas, inputs.condition)
    assert_close(whole, finish(expected, sigmas[-1]), **CLOSE)


def test_text2video_zero_needs_something_of_the_source(backbone):
    bare = inputs_of(backbone)
    bare = replace(bare, condition=replace(bare.condition, structure_channels=None))
    with pytest.raises(RequestError, match=r"strength=0\.8"):
        Text2VideoZero()(bare, backbone)


def test_pix2video_never_looks_ahead_and_knows_no_windows(backbone):
    inputs = inputs_of(backbone, steps=3)
    whole = Pix2Video()(inputs, backbone)
    assert_close(Pix2Video()(cut(inputs, 0, 3), backbone), whole[:3], **CLOSE)
    assert_close(Pix2Video()(replace(inputs, window=2), backbone), whole, **CLOSE)
    assert not torch.allclose(Pix2Video()(cut(inputs, 2, FRAMES), backbone), whole[2:], atol=1e-3)


def test_pix2video_without_its_pull_is_sparse_causal_attention(backbone):
    inputs = inputs_of(backbone, steps=3)
    expected = image_walk(backbone, inputs, ReferenceAttention(first_and_previous(20)))
    assert_close(Pix2Video(pull=0.0)(inputs, backbone), expected, **CLOSE)
    assert_close(Pix2Video(pull_until=0.0)(inputs, backbone), expected, **CLOSE)


def test_pix2videos_gradients_may_recompute_activations():
    backbone, again = tiny(1), tiny(1)
    again.net.enable_gradient_checkpointing()
    again.net.train()
    assert_close(Pix2Video()(clip_inputs(again), again), Pix2Video()(clip_inputs(backbone), backbone), **CLOSE)


def test_pix2videos_pull_makes_frames_more_alike(backbone):
    inputs = inputs_of(backbone, steps=3)
    free, pulled = (Pix2Video(pull=pull, pull_until=1.0)(inputs, backbone) for pull in (0.0, 1000.0))
    assert pulled.diff(dim=0).square().mean() < free.diff(dim=0).square().mean()


def test_a_network_without_the_layers_is_refused(backbone):
    inputs, plain = inputs_of(backbone), images(backbone, 1.0)
    inverted = PlugAndPlay().inverted(inputs, backbone, plain)
    nothing = beside_source(backbone, plain, plain, inverted, lambda: SourceHooks((), (), ({},)))
    with pytest.raises(RequestError, match="lacks the layers"):
        inverted.walked(nothing)
