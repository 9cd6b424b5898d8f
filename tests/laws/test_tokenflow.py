"""TokenFlow: what joint editing and the carrying of tokens must come to."""

import re
from dataclasses import replace
from fractions import Fraction
from math import hypot

import pytest
import torch
from torch.testing import assert_close

from recast.backbones.families import BACKBONES
from recast.backbones.tiny import tiny, write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.denoising import DenoiseInputs
from recast.diffusion.guidance import guided
from recast.diffusion.inversion import ddim_inversion, reconstruction_psnr
from recast.diffusion.samplers import SAMPLERS, ddim
from recast.diffusion.schedule import finish
from recast.errors import Cancelled, RecastWarning, RequestError
from recast.methods.inverted import LEAST_PSNR, inversion_psnr, inverted
from recast.methods.tokenflow import PropagatedAttention, TokenFlow
from recast.model.folder import ModelFolder, quiet
from recast.networks.attention_recipes import ExtendedAttention
from recast.networks.hooks import AttentionCall, SiteKind
from recast.networks.recorded_attention import RecordAttention
from recast.types import Clip, Condition, Kind, Structure

FRAMES, SIZE = 6, (32, 40)
# The tiny network's random weights are hard to invert, which edits warn of.
pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")


@pytest.fixture(scope="module")
def backbone():
    return tiny(0)


def clip_inputs(backbone, *, still=False, same=False, **settings):
    """still: all frames are the first. same: the wanted content is the clip's own."""
    rng = torch.Generator().manual_seed(1)
    picks = torch.zeros(FRAMES, dtype=torch.long) if still else torch.arange(FRAMES)
    clip = Clip(torch.randint(0, 256, (FRAMES, 3, *SIZE), generator=rng, dtype=torch.uint8)[picks], Fraction(8), 20)
    maps = torch.rand(FRAMES, 1, *SIZE, generator=rng)[picks]
    channels = backbone.structure_channels(Structure(Kind.DEPTH, maps))
    cond, own = (backbone.embedding_tokens(torch.randn(12, generator=rng)) for _ in range(2))
    source = Condition(own, backbone.null_tokens(), channels, 20 + torch.arange(FRAMES))
    usual = {"steps": 5, "seed": 3, "cfg_scale": 1.0, "source": source}
    return DenoiseInputs(clip, source if same else replace(source, cond=cond), SAMPLERS["ddim"], **usual | settings)


def there_and_back(backbone, inputs, refinements):
    denoise, sigmas = guided(backbone.denoise_branches, 1.0), backbone.sigmas(inputs.steps)
    source = backbone.encode(inputs.clip.frames) * hypot(1, sigmas[-1])
    up = ddim_inversion(denoise, source, sigmas, inputs.source, refinements=refinements)
    return finish(ddim(denoise, up.trajectory[0], sigmas, inputs.source), sigmas[-1])


def test_the_clips_own_content_gives_nearly_the_source(backbone):
    """The tiny network's temporal layers see keyframes as neighbours, so it is nearer without tokens being carried."""
    inputs = clip_inputs(backbone, still=True, same=True, steps=10)
    source = backbone.encode(inputs.clip.frames)
    most = reconstruction_psnr(source, there_and_back(backbone, inputs, 6))
    for interval in (1, 3):
        edited = TokenFlow(interval=interval, refinements=6)(inputs, backbone)
        assert 20 < reconstruction_psnr(source, edited) < most


@pytest.mark.parametrize("interval", [1, 2, 6])
def test_a_still_clip_of_its_own_content_is_inverted_and_walked_back_by_an_image_network(tmp_path, interval):
    """Equal frames: more of the same keys, and the same answers carried, change nothing."""
    folder = ModelFolder.found(write_stable_diffusion(tmp_path, prediction="v_prediction"))
    with quiet():
        images = BACKBONES["stable_diffusion"](folder)
    tokens = images.encode_content([ContentInput(Medium.WORDS, "a dog", 1.0)])
    own = Condition(tokens, images.null_tokens())
    inputs = replace(clip_inputs(tiny(0), still=True, same=True), condition=own, source=own)
    edited = TokenFlow(interval=interval, refinements=2)(inputs, images)
    assert_close(edited, there_and_back(images, inputs, 2), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("cfg_scale", [1.0, 3.0])
def test_with_all_frames_as_keyframes_it_is_joint_editing(backbone, cfg_scale):
    inputs = clip_inputs(backbone, cfg_scale=cfg_scale)
    sigmas = backbone.sigmas(5)
    denoise = guided(backbone.denoise_branches, cfg_scale)
    inverted = ddim_inversion(
        guided(backbone.denoise_branches, 1.0), backbone.encode(inputs.clip.frames), sigmas, inputs.source
    )
    with backbone.hooked(ExtendedAttention()):
        expected = ddim(denoise, inverted.trajectory[0], sigmas, inputs.condition)
    assert_close(TokenFlow(interval=1, refinements=0)(inputs, backbone), expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(ddim(denoise, inverted.trajectory[0], sigmas, inputs.condition), expected, atol=1e-3)


def test_windows_of_keyframes_are_no_larger_than_the_networks(backbone):
    edited = TokenFlow(interval=1, refinements=0)(clip_inputs(backbone, window=3), backbone)
    assert edited.shape == (FRAMES, 4, 4, 5)
    assert not torch.allclose(edited, TokenFlow(interval=1, refinements=0)(clip_inputs(backbone), backbone), atol=1e-3)


def call_of(hidden, frames):
    return AttentionCall("site", SiteKind.SELF, (1, hidden.shape[1]), 1, *[hidden] * 4, 1.0, 2.0, 0, frames)


def test_tokens_are_carried_along_the_sources_motion_and_weighted_by_distance():
    """A source whose places move by one a frame: the edit's tokens move with them."""
    places = torch.eye(5)
    moving = torch.stack([places.roll(frame, 0) for frame in range(5)])
    seen, edited = (RecordAttention(parts=("answer",)) for _ in range(2))
    seen(call_of(moving, (0, 1, 2, 3, 4)), lambda call: call.hidden)
    keys = torch.stack([torch.arange(25.0).view(5, 5).roll(1, 0), 100 + torch.arange(25.0).view(5, 5).roll(4, 0)])
    edited(call_of(keys, (1, 4)), lambda call: call.hidden)
    carried = PropagatedAttention(seen, edited, (1, 4))(call_of(moving, (0, 1, 2, 3, 4)), lambda call: call.hidden)
    for frame, share in enumerate([0, 0, 1 / 3, 2 / 3, 1]):
        assert_close(carried[frame], torch.arange(25.0).view(5, 5).roll(frame, 0) + 100 * share)


def noted(inputs, name):
    """The inputs with a hook of that name that notes the levels it is called at."""
    levels = []
    return replace(inputs, **{name: lambda x, sigma, /: levels.append(sigma) or x}), levels


def test_the_way_up_is_told_apart_from_the_way_down_and_may_be_stopped(backbone):
    inputs, lowered = noted(clip_inputs(backbone), "step_hook")
    inputs, raised = noted(inputs, "inversion_hook")
    TokenFlow()(inputs, backbone)
    sigmas = backbone.sigmas(5)
    assert (raised, lowered) == (sigmas[-2::-1], sigmas[1:])

    def stop(_x, _sigma, /):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        TokenFlow()(replace(inputs, inversion_hook=stop), backbone)


def test_frames_are_numbered_by_the_clip_where_nobody_says_them(backbone):
    inputs = clip_inputs(backbone, window=3)
    bare = replace(inputs, condition=replace(inputs.condition, frames=None), source=replace(inputs.source, frames=None))
    assert torch.equal(bare.condition.frames, inputs.condition.frames)
    assert torch.equal(TokenFlow()(bare, backbone), TokenFlow()(inputs, backbone))


def test_a_poor_inversion_is_warned_of_with_its_number_and_a_good_one_is_not(backbone, recwarn):
    inputs, sigmas = clip_inputs(backbone), backbone.sigmas(5)
    denoise = guided(backbone.denoise_branches, 1.0)
    found = re.compile(r"at (-?\d+) dB .* where 25 keeps it; try --set refinements=3 or more --steps")
    with pytest.warns(RecastWarning, match=found.pattern) as caught:
        poor = inverted(inputs, backbone, denoise, sigmas)
    assert int(found.search(str(caught[0].message))[1]) == round(inversion_psnr(poor, backbone)) < LEAST_PSNR
    recwarn.clear()
    # The best denoiser of Gaussian data of variance 100, which one refinement inverts.
    good = inverted(inputs, backbone, lambda x, sigma, _: x * 100 / (100 + sigma**2), sigmas, refinements=1)
    assert inversion_psnr(good, backbone) > LEAST_PSNR
    assert not recwarn


def test_it_needs_to_know_what_the_clip_shows(backbone):
    with pytest.raises(RequestError, match="--source-prompt"):
        TokenFlow()(clip_inputs(backbone, source=None), backbone)
