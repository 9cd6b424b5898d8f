"""FlowEdit: what the difference of two denoisers must come to."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from linear_backbone import Linear, clip_inputs, pushed
from recast.backbones.tiny import tiny
from recast.diffusion.samplers import SAMPLERS
from recast.errors import RequestError
from recast.methods.flowedit import FlowEdit


def test_equal_conditions_give_the_source_bit_for_bit():
    backbone = tiny(0)
    inputs = clip_inputs(backbone, cfg_scale=2.0)
    inputs = replace(inputs, source=inputs.condition)
    edited = FlowEdit(source_guidance=2.0, noises=2)(inputs, backbone)
    assert torch.equal(edited, backbone.encode(inputs.clip.frames))


@settings(max_examples=8)
@given(gain=st.floats(-0.5, 0.9), strength=st.sampled_from([0.4, 0.6, 1.0]))
def test_a_linear_denoiser_gives_its_closed_form(gain, strength):
    backbone = Linear(gain)
    inputs = clip_inputs(backbone)
    edited = FlowEdit(strength=strength)(inputs, backbone)
    # delta' = r delta + (1 - r)(gain delta + pushed): the distance from its fixed point shrinks by one factor a step.
    sigmas = backbone.sigmas(5)[5 - round(strength * 5) :]
    factor = 1.0
    for sigma, following in pairwise(sigmas):
        factor *= following / sigma + (1 - following / sigma) * gain
    expected = backbone.encode(inputs.clip.frames) + pushed(inputs) / (1 - gain) * (1 - factor)
    assert_close(edited, expected, atol=2e-3, rtol=1e-4)


def test_without_residual_and_detail_it_is_what_the_target_sees():
    """At the last step the edit is D(target) + residual (source - D(source)): with residual 0, D(target) alone."""
    backbone = Linear(0.0)
    inputs = clip_inputs(backbone)
    edited = FlowEdit(residual=0.0)(inputs, backbone)
    assert_close(edited, torch.full_like(edited, inputs.condition.cond.flatten()[0].item()), atol=1e-4, rtol=1e-4)


def test_a_tail_of_the_whole_walk_is_sdedit_from_there():
    backbone = tiny(0)
    inputs = clip_inputs(backbone)
    source = backbone.encode(inputs.clip.frames)
    sigmas = backbone.sigmas(5)[2:]
    from recast.diffusion.guidance import guided

    target = guided(backbone.denoise_branches, 1.0)
    expected = SAMPLERS["ddim"](target, source + sigmas[0] * inputs.noise(source), sigmas, inputs.condition)
    assert_close(FlowEdit(strength=0.6, tail=0.6)(inputs, backbone), expected)


def test_it_needs_to_know_what_the_clip_shows():
    backbone = tiny(0)
    with pytest.raises(RequestError, match="--source-prompt"):
        FlowEdit()(clip_inputs(backbone, source=None), backbone)
