"""Gen-1's baselines: what each of them must keep, and what it must lose, to be that baseline."""

from copy import copy
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from method_inputs import inputs_of
from recast.backbones.tiny import tiny
from recast.conditions.flow import ClipFlow
from recast.conditions.propagation import carried_onward, colour_mapped
from recast.methods.deforum import Deforum
from recast.methods.depth_frames import DepthFrames
from recast.methods.sdedit_frames import SDEditFrames
from recast.methods.sdedit_propagated import SDEditPropagated

FRAMES = 3


@pytest.fixture(scope="module")
def backbone():
    return tiny(0)


def watched(backbone):
    """The same backbone, and the branches that it was asked for."""
    asked, watching = [], copy(backbone)

    def denoise_branches(x, sigma, condition, branches):
        asked.extend(branches)
        return backbone.denoise_branches(x, sigma, condition, branches)

    object.__setattr__(watching, "denoise_branches", denoise_branches)
    return watching, asked


def still(inputs):
    """All frames as the first one, its structure too."""
    first = torch.zeros(len(inputs.clip), dtype=torch.long)
    condition = replace(inputs.condition, structure_channels=inputs.condition.structure_channels[first])
    return replace(inputs, clip=replace(inputs.clip, frames=inputs.clip.frames[first]), condition=condition)


@pytest.mark.parametrize("method", [DepthFrames(), SDEditFrames(), SDEditPropagated(), Deforum()], ids=repr)
def test_no_layer_looks_from_frame_to_frame(method, backbone):
    watching, asked = watched(backbone)
    method(inputs_of(backbone, FRAMES), watching)
    assert asked
    assert not any(branch.temporal for branch in asked)


@pytest.mark.parametrize("method", [DepthFrames(), SDEditFrames()], ids=repr)
def test_a_frame_of_an_image_baseline_is_the_same_alone(method, backbone):
    inputs = inputs_of(backbone, FRAMES)
    last = torch.tensor([FRAMES - 1])
    alone = replace(
        inputs,
        clip=replace(inputs.clip, frames=inputs.clip.frames[last], first=FRAMES - 1),
        condition=inputs.condition.at(last),
        source=None,
    )
    assert_close(method(alone, backbone), method(inputs, backbone)[last], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", [DepthFrames(), SDEditFrames()], ids=repr)
def test_frames_that_are_alike_are_edited_alike(method, backbone):
    latents = method(still(inputs_of(backbone, FRAMES)), backbone)
    assert_close(latents, latents[:1].expand_as(latents), atol=1e-4, rtol=1e-4)


def test_structure_is_read_by_depth_frames_alone(backbone):
    inputs = inputs_of(backbone, FRAMES)
    turned = replace(inputs.condition, structure_channels=inputs.condition.structure_channels.flip(-1))
    for method, reads in ((DepthFrames(), True), (SDEditFrames(), False), (SDEditPropagated(), False)):
        same = torch.equal(method(replace(inputs, condition=turned), backbone), method(inputs, backbone))
        assert same is not reads, method


def test_only_the_first_frame_is_asked_of_the_network_and_the_others_follow_it(backbone):
    inputs = inputs_of(backbone, FRAMES)
    watching, asked = watched(backbone)
    SDEditPropagated(strength=1.0)(inputs, watching)
    assert len(asked) == 2 * inputs.steps
    frozen = SDEditPropagated(strength=1.0)(still(inputs), backbone)
    assert_close(backbone.decode_pixels(frozen[1:2]), backbone.decode_pixels(frozen[2:]), atol=1e-5, rtol=1e-5)


def test_deforum_without_propagation_only_carries_its_first_frame(backbone):
    inputs = still(inputs_of(backbone, FRAMES))
    carried = Deforum(propagation=0.0)(inputs, backbone)
    assert_close(carried[:1], DepthFrames()(inputs, backbone)[:1], atol=1e-4, rtol=1e-4)
    before = backbone.encode_pixels(backbone.decode_pixels(carried[:1]))
    assert_close(carried[1:2], before, atol=1e-4, rtol=1e-4)


def test_deforum_passes_on_what_it_made(backbone):
    """Another first frame changes the last one too, though frames share no layer."""
    inputs = still(inputs_of(backbone, FRAMES))
    first = inputs.condition.structure_channels.clone()
    first[:1] = first[:1].flip(-1)
    other = replace(inputs, condition=replace(inputs.condition, structure_channels=first))
    assert not torch.allclose(Deforum()(inputs, backbone)[-1], Deforum()(other, backbone)[-1], atol=1e-4)
    assert torch.equal(DepthFrames()(inputs, backbone)[-1], DepthFrames()(other, backbone)[-1])


def test_a_picture_stays_in_a_clip_that_stands_still_and_moves_with_one_that_shifts():
    rng = torch.Generator().manual_seed(1)
    picture = torch.rand(1, 3, 24, 32, generator=rng)
    zero = torch.zeros(2, 2, 24, 32)
    carried, seen = carried_onward(picture, ClipFlow(zero, zero))
    assert_close(carried, picture.expand(3, -1, -1, -1))
    assert seen.all()
    right = zero.clone()
    right[:, 0] = 2.0
    carried, seen = carried_onward(picture, ClipFlow(right, -right))
    assert_close(carried[2, :, :, 4:], picture[0, :, :, :-4], atol=1e-5, rtol=1e-5)
    assert seen[2, 0, :, 4:].all()
    assert not seen[2, 0, :, :4].any()


def test_an_affine_map_of_colours_is_found():
    rng = torch.Generator().manual_seed(4)
    before, others = torch.rand(1, 3, 16, 16, generator=rng), torch.rand(2, 3, 8, 8, generator=rng)
    turn, shift = torch.rand(3, 3, generator=rng), torch.rand(3, 1, 1, generator=rng)

    def mapped(frames):
        return torch.einsum("dc,tchw->tdhw", turn, frames) + shift

    assert_close(colour_mapped(others, before, mapped(before)), mapped(others), atol=1e-3, rtol=1e-3)
    assert_close(colour_mapped(others, before, before), others)
    flat = torch.full((1, 3, 4, 4), 0.3)
    assert_close(colour_mapped(flat, flat, flat + 0.2), flat + 0.2, atol=1e-3, rtol=1e-3)
