"""Editors over a substrate: what the network is asked for, and that all frames follow it."""

from copy import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from method_inputs import inputs_of
from recast.backbones.tiny import tiny
from recast.conditions.flow import ClipFlow
from recast.methods.codef import CoDeF
from recast.methods.keyframed import PROPAGATIONS
from recast.methods.videdit import VidEdit
from recast.substrates.carriers import SubstrateCarrier
from recast.substrates.found import fit_of
from recast.substrates.keys import between_keys
from recast.types import Kind, Structure
from substrate_clips import two_layer_clip

FRAMES = 5


@pytest.fixture(scope="module")
def backbone():
    return tiny(0)


def watched(backbone):
    """The same backbone, and the numbers of the frames that it was asked for."""
    asked, watching = set(), copy(backbone)

    def denoise_branches(x, sigma, condition, branches):
        asked.update(condition.frames.tolist())
        return backbone.denoise_branches(x, sigma, condition, branches)

    object.__setattr__(watching, "denoise_branches", denoise_branches)
    return watching, asked


def test_codef_asks_for_the_middle_frame_with_its_structure_and_the_others_follow_it(backbone):
    inputs, middle = inputs_of(backbone, FRAMES), FRAMES // 2
    watching, asked = watched(backbone)
    edited = CoDeF()(inputs, watching)
    assert asked == {middle}
    channels = inputs.condition.structure_channels
    others = torch.arange(FRAMES)[:, None, None, None] != middle
    elsewhere = replace(inputs.condition, structure_channels=torch.where(others, channels.flip(-1), channels))
    assert torch.equal(CoDeF()(replace(inputs, condition=elsewhere), backbone), edited)
    there = replace(inputs.condition, structure_channels=channels.flip(-1))
    assert not torch.allclose(CoDeF()(replace(inputs, condition=there), backbone)[middle], edited[middle], atol=1e-3)
    still = replace(inputs.clip, frames=inputs.clip.frames[[middle] * FRAMES])
    # The small model's coder does not give pixels back; so what is carried is compared with itself.
    followers = CoDeF(fit_iterations=0)(replace(inputs, clip=still), backbone)[[0, 1, 3, 4]]
    assert_close(followers, followers[:1].expand_as(followers), atol=1e-3, rtol=1e-3)
    assert torch.equal(CoDeF(strength=0.0)(inputs, backbone), backbone.encode(inputs.clip.frames))


def test_videdit_edits_the_foreground_alone_and_is_codef_where_there_is_none(backbone):
    noise = inputs_of(backbone, FRAMES)
    assert torch.equal(VidEdit(fit_iterations=0)(noise, backbone), CoDeF(fit_iterations=0)(noise, backbone))
    frames, discs = two_layer_clip(FRAMES)
    maps = torch.rand(FRAMES, 1, *frames.shape[-2:], generator=torch.Generator().manual_seed(1))
    condition = replace(
        noise.condition, structure_channels=backbone.structure_channels(Structure(Kind.DEPTH, maps, detail=1.5))
    )
    inputs = replace(noise, clip=replace(noise.clip, frames=frames), condition=condition)
    edited, source = VidEdit(fit_iterations=0)(inputs, backbone), backbone.encode(frames)
    middle = FRAMES // 2
    inside = F.adaptive_avg_pool2d(discs[[middle]], edited.shape[-2:])[0, 0]
    away = (edited - source)[middle].abs().mean(0)
    assert away[inside == 1].mean() > 0.1
    assert away[(F.max_pool2d(inside[None], 5, 1, 2)[0]) == 0].max() == 0


def test_keyframes_go_over_a_substrate_as_its_carrier_takes_them():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 8, 10, generator=generator)
    wide = torch.nn.functional.interpolate(coarse, (40, 60), mode="bicubic").clamp(0, 1)
    frames = torch.cat([(255 * wide[..., step : step + 48]).byte() for step in range(0, 2 * FRAMES, 2)])
    edited = torch.cat([1 - wide[..., :48], 1 - wide[..., 2 * FRAMES - 2 : 2 * FRAMES + 46]])
    keys = [0, FRAMES - 1]
    made = PROPAGATIONS["canonical"](edited, keys, frames, ClipFlow.of(frames))
    assert torch.equal(made[keys], edited)
    true = 1 - frames.float() / 255
    assert (made - true).abs()[..., 4:-4].mean() < 0.02
    carrier = SubstrateCarrier(fit_of(frames, "canonical", passes=0).run())
    assert (between_keys(edited, keys, carrier, FRAMES) - true).abs()[..., 4:-4].mean() < 0.03
