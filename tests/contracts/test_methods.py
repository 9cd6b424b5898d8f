"""What every method in the table keeps to."""

from copy import deepcopy
from dataclasses import fields, replace
from typing import get_type_hints

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch.testing import assert_close

from method_inputs import ABLE, FRAMES, inputs_of
from recast.backbones.tiny import tiny
from recast.denoising import Branch
from recast.diffusion.blend import blend_source
from recast.diffusion.joins import JOINS
from recast.diffusion.samplers import SAMPLERS
from recast.errors import Cancelled, RequestError
from recast.methods import METHODS, Method

INVERTED = {
    "edit-a-video",
    "fatezero",
    "flatten",
    "gen-l-video",
    "ground-a-video",
    "infusion",
    "make-a-protagonist",
    "pix2video",
    "pnp",
    "tune-a-video",
    "uniedit-flow",
    "vid2vid-zero",
    "video-p2p",
    "videoswap",
}
DRAW_NOTHING = {ABLE[name] for name in INVERTED}
"""Methods that walk from the inverted clip and draw nothing on the way."""
# The tiny network's random weights are hard to invert, which methods that invert warn of.
pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")


@pytest.fixture(scope="module")
def twin():
    """A backbone of the same weights, which only the test that compares it before and after an edit uses."""
    return tiny(0)


def knobs(method):
    return {field.name for field in fields(method)}


@pytest.fixture(scope="module", params=ABLE.values(), ids=ABLE)
def method(request):
    return request.param


def test_it_is_a_method_and_its_knobs_are_described(method):
    made = method()
    assert isinstance(made, Method)
    assert made == method()
    assert knobs(method) <= set(get_type_hints(method))


@pytest.mark.parametrize(("frames", "sampler", "steps"), [(1, "ddim", 2), (2, "dpm++2m", 2), (5, "heun", 2)])
def test_there_is_one_finite_latent_a_frame(method, backbone, frames, sampler, steps):
    """One frame, a part of a window, and windows with one frame left over; each sampler walks in its own way."""
    latents = method()(inputs_of(backbone, frames, sampler=SAMPLERS[sampler], steps=steps), backbone)
    assert latents.shape == (frames, 4, 4, 5)
    assert latents.isfinite().all()


def test_another_seed_gives_another_answer(method, backbone, edited):
    other = method()(inputs_of(backbone, seed=8), backbone)
    assert torch.allclose(other, edited(method()), atol=1e-3) is (method in DRAW_NOTHING)


def test_the_same_seed_gives_the_same_answer_and_nothing_that_is_given_nor_the_global_stream_is_changed(
    method, edited, twin
):
    expected, inputs = edited(method()), inputs_of(twin)
    before, weights = deepcopy(inputs.condition), deepcopy(twin.net.state_dict())
    stream = torch.get_rng_state()
    x = twin.encode(inputs.clip.frames)
    asked = [Branch(inputs.condition.cond), Branch(inputs.condition.uncond, temporal=False)]
    answers = twin.denoise_branches(x, 1.0, inputs.condition, asked)
    assert torch.equal(method()(inputs, twin), expected)
    assert all(map(torch.equal, answers, twin.denoise_branches(x, 1.0, inputs.condition, asked)))
    assert_close(twin.net.state_dict(), weights, atol=0, rtol=0)
    assert twin.net.temporal_context.layout is None
    assert torch.equal(inputs.condition.structure_channels, before.structure_channels)
    assert torch.equal(inputs.condition.cond, before.cond)
    assert torch.equal(torch.get_rng_state(), stream)


def test_strength_0_gives_the_source_back(method, backbone, edited):
    assert torch.equal(edited(method(strength=0.0)), backbone.encode(inputs_of(backbone).clip.frames))


def test_a_little_strength_stays_near_the_source_and_much_does_not(method, backbone):
    inputs = inputs_of(backbone, frames=2, steps=10, cfg_scale=1.0)
    source = backbone.encode(inputs.clip.frames)
    near = method(strength=0.1)(inputs, backbone)
    far = method()(replace(inputs, steps=3), backbone)
    near, far = ((latents - source).norm().item() for latents in (near, far))
    assert 3 * near < 2 * far


def test_content_and_temporal_guidance_matter(method, backbone, edited):
    inputs, plain = inputs_of(backbone), edited(method())
    other = replace(inputs, condition=replace(inputs.condition, cond=-inputs.condition.cond))
    assert not torch.allclose(method()(other, backbone), plain, atol=1e-3)
    if "temporal_guidance" in knobs(method):
        assert not torch.allclose(edited(method(temporal_guidance=0.0)), plain, atol=1e-3)


def test_what_a_mask_keeps_is_the_source(method, backbone):
    inputs = inputs_of(backbone)
    source = backbone.encode(inputs.clip.frames)
    keep = torch.zeros(FRAMES, 1, 4, 5)
    keep[..., :2] = 1
    latents = method()(replace(inputs, step_hook=blend_source(source, inputs.noise(source), keep)), backbone)
    assert torch.equal(latents[..., :2], source[..., :2])
    assert not torch.allclose(latents[..., 2:], source[..., 2:], atol=1e-2)


def test_it_stops_where_an_edit_says_so(method, backbone):
    def stop(_x, _sigma, /):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        method()(inputs_of(backbone, step_hook=stop), backbone)


def test_those_that_follow_motion_ask_for_flow_and_heed_it(method, backbone, edited):
    asked = []

    def shifting(frames, others, /):
        """16 px to the right from what is darker; the way back is the opposite."""
        asked.append(len(frames))
        brighter = others.float().mean(dim=(1, 2, 3)) - frames.float().mean(dim=(1, 2, 3))
        right = 16 * brighter.sign().reshape(-1, 1, 1, 1).expand(-1, 1, *frames.shape[-2:])
        return torch.cat([right, torch.zeros_like(right)], dim=1)

    named = {"protagonist": "0,0,0.5,0.5", "points": "0.1,0.5"}
    boxed = {name: value for name, value in named.items() if name in knobs(method)}
    other = method(**boxed)(inputs_of(backbone, flow=shifting), backbone)
    assert bool(asked) is method.follows_flow
    if not knobs(method) & {"boxes", "protagonist", "points"}:  # what goes along with boxes has laws of its own
        assert torch.equal(other, edited(method(**boxed))) is not method.follows_flow


def test_strength_outside_its_range_is_refused(method, backbone):
    with pytest.raises(RequestError, match=r"strength is 1\.2"):
        method(strength=1.2)(inputs_of(backbone), backbone)


def test_gen1_follows_the_structure_and_sdedit_is_not_told_it(backbone, edited):
    inputs = inputs_of(backbone)
    other = replace(
        inputs, condition=replace(inputs.condition, structure_channels=inputs.condition.structure_channels.flip(-1))
    )
    sdedit, gen1 = METHODS["sdedit"](), METHODS["gen1"]()
    assert torch.equal(edited(sdedit), sdedit(other, backbone))
    assert not torch.allclose(edited(gen1), gen1(other, backbone), atol=1e-3)


def test_guidance_can_be_limited_to_a_part_of_the_walk(method, edited):
    unguided = edited(method(), cfg_scale=1.0)
    assert_close(edited(method(guided_from=1.0, guided_until=1.0)), unguided)
    assert not torch.allclose(edited(method(guided_from=0.5)), unguided, atol=1e-3)


@pytest.mark.parametrize("steps", [1, 3, 4, 25])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.3, 0.5, 0.6, 1.0])
def test_guidance_until_a_share_and_from_it_on_make_up_the_walk(backbone, steps, share):
    """Step k of n is guided from <= k / n < until; with content guidance alone, a guided step asks for two branches."""

    def guided_steps(**interval):
        asked = []

        def answers(x, _sigma, _condition, branches):
            asked.append(len(branches))
            return [x for _ in branches]

        inputs = inputs_of(backbone, steps=steps)
        denoise = METHODS["gen1"](**interval).guided_branches(inputs, backbone, answers, 2.0)
        for sigma in backbone.sigmas(steps)[:-1]:
            denoise(torch.zeros(1, 4, 4, 5), sigma, inputs.condition)
        return [k for k, branches in enumerate(asked) if branches == 2]

    before, after = guided_steps(guided_until=share), guided_steps(guided_from=share)
    assert before == [k for k in range(steps) if k < share * steps]
    assert before + after == guided_steps() == list(range(steps))


def test_guidance_is_joined_as_it_is_said(method, edited):
    """One join that changes the edit and one that, with this option, is plain: what each does by itself, test_joins."""
    plain = edited(method())
    assert_close(edited(method(guidance="apg", apg_eta=1.0)), plain, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(edited(method(guidance="cfg-zero")), plain, atol=1e-2)


@pytest.mark.parametrize("join", sorted(JOINS.keys() - {"plain"}))
def test_every_join_changes_an_edit(join, edited):
    gen1 = METHODS["gen1"]
    assert not torch.allclose(edited(gen1(guidance=join)), edited(gen1()), atol=1e-2)


@pytest.mark.parametrize("name", ["flowedit", "gen1", "sdedit"])
def test_momentum_begins_anew_with_each_edit(name, backbone):
    """One method, two edits: what the first one remembered is not in the second."""
    inputs, method = inputs_of(backbone, steps=4), METHODS[name](guidance="apg", apg_momentum=-0.5)
    first = method(inputs, backbone)
    assert torch.equal(method(inputs, backbone), first)
    assert not torch.allclose(METHODS[name](guidance="apg")(inputs, backbone), first, atol=1e-3)


def test_an_ensemble_is_averaged_or_refused(method, backbone, edited):
    inputs = inputs_of(backbone, ensemble=2)
    if method.ensembles:
        assert not torch.allclose(method()(inputs, backbone), edited(method()), atol=1e-3)
    else:
        with pytest.raises(RequestError, match="the ensemble is 2 and must be 1"):
            method()(inputs, backbone)


def test_gen1_shows_the_network_its_own_noise_first(backbone):
    inputs, seen = inputs_of(backbone, cfg_scale=1.0, steps=1), []
    hook = backbone.net.unet.register_forward_pre_hook(lambda _unet, inputs: seen.append(inputs[0][:, :4]))
    try:
        METHODS["gen1"]()(inputs, backbone)
    finally:
        hook.remove()
    noise = inputs.noise(torch.zeros(FRAMES, 4, 4, 5))
    assert_close(seen[0], noise[:4], atol=1e-5, rtol=1e-5)  # the first window of four


@pytest.mark.parametrize(
    ("knob", "value"), [("strength", 1.5), ("temporal_guidance", -1), ("temporal_guidance", float("nan"))]
)
def test_knobs_know_their_range(method, knob, value):
    if knob not in knobs(method):
        pytest.skip("it has no such knob")
    with pytest.raises(ValidationError, match=knob):
        TypeAdapter(method).validate_python({knob: value})
    assert TypeAdapter(method).validate_python({knob: 1}) == method(**{knob: 1.0})
