"""FlowAlign, InfEdit and UniEdit-Flow: closed forms, and the limits in which they are FlowEdit or a plain walk."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.testing import assert_close

from linear_backbone import Linear, clip_inputs, pushed
from recast.backbones.tiny import tiny
from recast.diffusion.guidance import guided
from recast.diffusion.inversion import ddim_inversion, predictor_inversion
from recast.diffusion.samplers import SAMPLERS
from recast.errors import RequestError
from recast.methods.flowalign import FlowAlign
from recast.methods.flowedit import FlowEdit
from recast.methods.infedit import InfEdit
from recast.methods.uniedit import UniEditFlow, difference_mask

METHODS = {"flowalign": FlowAlign, "infedit": InfEdit, "uniedit": UniEditFlow}
# The tiny network's random weights are hard to invert, which methods that invert warn of.
pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")


@pytest.fixture(scope="module")
def backbone():
    return tiny(0)


@pytest.mark.parametrize("method", [FlowAlign(), FlowAlign(terminal=1.0), InfEdit(source_guidance=2.0)])
def test_equal_conditions_give_the_source_bit_for_bit(backbone, method):
    inputs = clip_inputs(backbone, cfg_scale=2.0)
    inputs = replace(inputs, source=inputs.condition)
    assert torch.equal(method(inputs, backbone), backbone.encode(inputs.clip.frames))


def test_uniedit_under_equal_conditions_is_the_inversions_reconstruction(backbone):
    inputs = clip_inputs(backbone)
    inputs = replace(inputs, source=inputs.condition)
    denoise, sigmas = guided(backbone.denoise_branches, 1.0), backbone.sigmas(5)[2:]
    up = predictor_inversion(denoise, backbone.encode(inputs.clip.frames), sigmas, inputs.source)
    back = SAMPLERS["ddim"](denoise, up.trajectory[0], sigmas, inputs.source)
    assert torch.equal(UniEditFlow(strength=0.6)(inputs, backbone), back)


@pytest.mark.parametrize(("gain", "steps"), [(-0.5, 3), (0.7, 6)])
def test_infedit_of_a_linear_denoiser_is_a_geometric_sum(gain, steps):
    """delta = gain delta + pushed, once a level."""
    backbone = Linear(gain)
    inputs = clip_inputs(backbone, steps=steps)
    expected = backbone.encode(inputs.clip.frames) + pushed(inputs) * sum(gain**power for power in range(steps))
    assert_close(InfEdit()(inputs, backbone), expected, atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize(("gain", "terminal"), [(-0.5, 0.25), (0.9, 0.6), (0.9, 1.0)])
def test_flowalign_of_a_linear_denoiser_has_a_closed_form(gain, terminal):
    """delta' = r delta + (1 - r) ((1 - zeta) gain delta + pushed)."""
    backbone, factor = Linear(gain), 1.0
    inputs, held = clip_inputs(backbone), (1 - terminal) * gain
    for sigma, sigma_next in pairwise(backbone.sigmas(5)):
        factor *= sigma_next / sigma + (1 - sigma_next / sigma) * held
    expected = backbone.encode(inputs.clip.frames) + pushed(inputs) / (1 - held) * (1 - factor)
    assert_close(FlowAlign(terminal=terminal)(inputs, backbone), expected, atol=3e-3, rtol=1e-4)


def test_one_step_of_infedit_is_flowedits_and_several_are_not(backbone):
    one, several = (clip_inputs(backbone, steps=steps, cfg_scale=3.0) for steps in (1, 4))
    assert torch.equal(InfEdit()(one, backbone), FlowEdit()(one, backbone))
    assert not torch.allclose(InfEdit()(several, backbone), FlowEdit()(several, backbone), atol=1e-2)


def test_flowalign_without_its_terminal_term_is_flowedit_guided_away_from_the_source(backbone):
    inputs = clip_inputs(backbone, cfg_scale=3.0)
    away = replace(inputs, condition=replace(inputs.condition, negative=inputs.source.cond))
    plain = FlowEdit()(away, backbone)
    assert torch.equal(FlowAlign(terminal=0.0)(inputs, backbone), plain)
    assert not torch.allclose(FlowEdit()(inputs, backbone), plain, atol=1e-2)


def test_the_terminal_term_keeps_the_edit_nearer_to_the_source(backbone):
    inputs = clip_inputs(backbone, steps=10)
    source = backbone.encode(inputs.clip.frames)
    moved = [(FlowAlign(terminal=zeta)(inputs, backbone) - source).norm().item() for zeta in (0.0, 0.5, 1.0)]
    assert moved == sorted(moved, reverse=True)


def test_uniedit_without_its_mask_is_a_guided_walk_from_the_inverted_clip(backbone):
    inputs = clip_inputs(backbone, cfg_scale=3.0)
    sigmas, wanted = backbone.sigmas(5)[2:], replace(inputs.condition, negative=inputs.source.cond)
    plain, target = (guided(backbone.denoise_branches, scale) for scale in (1.0, 3.0))
    up = predictor_inversion(plain, backbone.encode(inputs.clip.frames), sigmas, inputs.source)
    walked = SAMPLERS["ddim"](target, up.trajectory[0], sigmas, wanted)
    assert_close(UniEditFlow(strength=0.6, masked=0.0)(inputs, backbone), walked, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(UniEditFlow(strength=0.6)(inputs, backbone), walked, atol=1e-2)


def test_the_mask_is_the_difference_as_a_share_of_the_largest_in_its_frame():
    difference = torch.zeros(3, 2, 2, 2)
    difference[0, :, 0, 0], difference[0, 0, 1, 1], difference[1] = 4.0, -2.0, 7.0
    mask = difference_mask(difference)
    assert torch.equal(mask[0, 0], torch.tensor([[1.0, 0.0], [0.0, 0.25]]))
    assert torch.equal(mask[1:], torch.stack([torch.ones(1, 2, 2), torch.zeros(1, 2, 2)]))
    assert torch.equal(difference_mask(-3 * difference), mask)


def test_uni_inv_misses_less_than_ddim_by_one_order_of_the_steps_length():
    """Of data of variance 1: the smooth denoiser x / (1 + sigma^2), over levels from .2 to 2."""

    def smooth(x, sigma, _condition):
        return x / (1 + sigma**2)

    missed = {}
    x = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    condition = clip_inputs(tiny(0)).condition
    for steps in (20, 40):
        sigmas = torch.logspace(0.3, -0.7, steps + 1, dtype=torch.float64).tolist()
        for invert in (ddim_inversion, predictor_inversion):
            up = invert(smooth, x, sigmas, condition).trajectory[0]
            missed[invert, steps] = (SAMPLERS["ddim"](smooth, up, sigmas, condition) - x).norm().item()
    assert missed[predictor_inversion, 20] < 0.2 * missed[ddim_inversion, 20]
    assert missed[ddim_inversion, 20] / missed[ddim_inversion, 40] == pytest.approx(2, rel=0.1)
    assert missed[predictor_inversion, 20] / missed[predictor_inversion, 40] == pytest.approx(4, rel=0.1)


def test_uni_inv_asks_once_a_step_and_once_to_begin():
    asked = []

    def denoise(x, sigma, _condition):
        asked.append(sigma)
        return x / (1 + sigma**2)

    sigmas = [4.0, 2.0, 1.0, 0.0]
    predictor_inversion(denoise, torch.ones(1, 4, 2, 2), sigmas, clip_inputs(tiny(0)).condition)
    assert asked == [1.0, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_they_need_to_know_what_the_clip_shows(backbone, method):
    with pytest.raises(RequestError, match="--source-prompt"):
        method()(clip_inputs(backbone, source=None), backbone)
