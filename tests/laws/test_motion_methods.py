"""MeDM, Rerender, VideoControlNet and MagicProp: what tells each of them from a look-alike."""

from dataclasses import dataclass, fields, replace
from fractions import Fraction
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from einops import repeat
from torch.testing import assert_close

from recast.backbones.gen1 import Gen1Backbone
from recast.backbones.tiny import tiny
from recast.denoising import DenoiseInputs
from recast.diffusion.samplers import ddim
from recast.errors import BackboneError, RequestError
from recast.methods.gen1 import Gen1
from recast.methods.keyframed import PROPAGATIONS, anchored
from recast.methods.magicprop import MagicProp
from recast.methods.medm import MeDM
from recast.methods.rerender import Rerender, fused_pixels
from recast.methods.videocontrolnet import VideoControlNet
from recast.types import Clip, Condition, Kind, Structure

FRAMES, SIZE = 3, (32, 40)


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearCoder(Gen1Backbone):
    """The tiny backbone with an autoencoder that loses nothing of three channels, and knows no fourth."""

    def encode_pixels(self, pixels):
        return F.pad(F.avg_pool2d(pixels, 8), (0, 0, 0, 0, 0, 1))

    def decode_pixels(self, latents):
        return repeat(latents[:, :3], "t c y x -> t c (y a) (x b)", a=8, b=8)


@pytest.fixture(scope="module")
def backbone():
    made = tiny(0)
    return LinearCoder(**{each.name: getattr(made, each.name) for each in fields(made)})


def inputs_of(backbone, *, still=True, **settings):
    """Structure differs from frame to frame even where the clip is still, so that the network's answers differ."""
    rng = torch.Generator().manual_seed(2)
    pictures = torch.randint(0, 256, (FRAMES, 3, *SIZE), generator=rng, dtype=torch.uint8)
    clip = Clip(pictures[:1].expand_as(pictures).clone() if still else pictures, Fraction(8), first=4)
    channels = backbone.structure_channels(Structure(Kind.DEPTH, torch.rand(FRAMES, 1, *SIZE, generator=rng)))
    cond = backbone.embedding_tokens(torch.randn(12, generator=rng))
    condition = Condition(cond, backbone.null_tokens(), channels, 4 + torch.arange(FRAMES))
    return DenoiseInputs(clip, condition, **{"sampler": ddim, "steps": 4, "cfg_scale": 1.5, "seed": 3} | settings)


def spread(latents):
    return (latents - latents[:1]).abs().max().item()


def first_prediction(denoise, x, sigmas, condition, *, step_hook):  # noqa: ARG001 -- a sampler of no steps
    with torch.no_grad():
        return denoise(x, sigmas[0], condition)


def test_medm_of_a_still_clip_predicts_the_mean_of_all_frames(backbone):
    inputs = inputs_of(backbone, sampler=first_prediction)
    apart, together, half = (MeDM(pull=pull)(inputs, backbone) for pull in (0.0, 1.0, 0.5))
    assert_close(together[:, :3], apart[:, :3].mean(0, keepdim=True).expand(FRAMES, -1, -1, -1), atol=1e-4, rtol=1e-4)
    assert spread(apart[:, :3]) > 1e-2
    assert_close(half, (apart + together) / 2, atol=1e-4, rtol=1e-4)


def test_medm_without_pull_or_share_of_the_walk_is_gen1_from_the_noised_source(backbone):
    inputs = inputs_of(backbone, still=False)
    expected = Gen1(strength=0.75)(inputs, backbone)
    assert_close(MeDM(strength=0.75, pull=0.0)(inputs, backbone), expected)
    assert_close(MeDM(strength=0.75, smooth_from=0.5, smooth_until=0.5)(inputs, backbone), expected)
    assert_close(
        MeDM(strength=0.25)(inputs, backbone), Gen1(strength=0.25)(inputs, backbone)
    )  # its one step is the last
    assert not torch.allclose(MeDM(strength=0.75)(inputs_of(backbone), backbone), expected, atol=1e-3)


@pytest.mark.parametrize("method", [MeDM(smooth_from=0.8, smooth_until=0.5), Rerender(fuse_from=0.8, fuse_until=0.5)])
def test_shares_of_the_walk_that_end_before_they_start_are_refused(backbone, method):
    with pytest.raises(RequestError, match=r"starts at 0\.8 and ends at 0\.5"):
        method(inputs_of(backbone), backbone)


def test_rerender_of_a_still_clip_held_to_its_shape_repeats_the_first_frame(backbone):
    """Identity flow and a full mask, at every step; attention to the first frame alone does not."""
    alone = {"keyframe_every": 1, "fusion": 0.0, "colour_from": 1.0}
    inputs = inputs_of(backbone)
    held, free = (Rerender(warp_until=until, **alone)(inputs, backbone) for until in (1.0, 0.0))
    assert_close(held, held[:1].expand_as(held), atol=1e-3, rtol=1e-3)
    assert spread(free) > 0.05


def test_ways_between_keyframes_are_known_and_keep_the_keyframes(backbone):
    keys, inputs = [0, FRAMES - 1], inputs_of(backbone, still=False)
    ways = [name for name in PROPAGATIONS if name != "atlas"]  # nothing of noise is a foreground
    made = [Rerender(keyframe_every=4, between=name)(inputs, backbone) for name in ways]
    for one, other in combinations(made, 2):
        assert torch.equal(one[keys], other[keys])
        assert not torch.allclose(one, other, atol=1e-3)
    with pytest.raises(RequestError, match="magic"):
        Rerender(between="magic")


def test_rerender_with_fusion_to_the_end_gives_the_fused_pictures(backbone):
    """Where the walk ends in x0 = wanted, a still clip is its first keyframe again, in what the coder keeps."""
    inputs, usual = inputs_of(backbone), {"keyframe_every": 1, "warp_until": 0.0, "colour_from": 1.0}
    edited = Rerender(fuse_from=0.0, fuse_until=1.0, fusion=1.0, **usual)(inputs, backbone)
    plain = Rerender(fusion=0.0, **usual)(inputs, backbone)
    assert_close(edited[:, :3], plain[:1, :3].expand(FRAMES, -1, -1, -1), atol=1e-3, rtol=1e-3)


def test_rerender_ends_with_the_colours_of_the_first_keyframe(backbone):
    edited = Rerender(keyframe_every=1, fusion=0.0, warp_until=0.0, colour_from=0.8)(inputs_of(backbone), backbone)
    assert_close(edited.mean((-2, -1)), edited[:1].mean((-2, -1)).expand(FRAMES, 4), atol=1e-4, rtol=1e-4)
    assert spread(edited) > 0.05


def test_pictures_are_fused_from_the_one_before_then_the_first_then_their_own():
    own = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 3, 16, 16).contiguous()
    still = torch.zeros(3, 2, 16, 16)
    nowhere, everywhere = torch.zeros(3, 1, 16, 16), torch.ones(3, 1, 16, 16)
    assert torch.equal(fused_pixels(own, (still, nowhere), (still, nowhere)), own)
    late = everywhere.clone()
    late[1] = 0  # the second is its own, and the third the second
    assert_close(fused_pixels(own, (still, nowhere), (still, late))[:, 0, 0, 0], torch.tensor([0.0, 1.0, 1.0]))
    assert_close(fused_pixels(own, (still, everywhere), (still, nowhere)), torch.zeros_like(own), atol=1e-4, rtol=0)


def test_anchored_passes_are_one_pass_for_what_looks_at_the_first_and_previous_frame():
    def looks(x, sigma, _condition):
        return sigma * x + 2 * x[:1] + x[torch.tensor([0, *range(len(x) - 1)])]

    x, condition = torch.randn(9, 4, 2, 2), Condition(torch.zeros(1, 1), torch.zeros(1, 1))
    for size in (3, 4, 8, 9):
        assert_close(anchored(looks, size)(x, 2.0, condition), looks(x, 2.0, condition))
    with pytest.raises(RequestError, match="9 keyframes and a window of 2"):
        anchored(looks, 2)(x, 2.0, condition)


@pytest.mark.parametrize(("every", "between"), [(1, "flow"), (2, "flow"), (2, "patches")])
def test_videocontrolnet_of_a_still_clip_repeats_the_first_frame_which_is_an_image(backbone, every, between):
    """All is visible, so nothing is made anew: the coder's three channels are the first frame's."""
    inputs = inputs_of(backbone)
    edited = VideoControlNet(keyframe_every=every, between=between)(inputs, backbone)
    assert_close(edited[:, :3], edited[:1, :3].expand(FRAMES, -1, -1, -1), atol=1e-3, rtol=1e-3)
    picture = replace(
        inputs, clip=Clip(inputs.clip.frames[:1], Fraction(8), 4), condition=inputs.condition.at(torch.tensor([0]))
    )
    assert_close(edited[:1], MagicProp(strength=1.0)(picture, backbone), atol=1e-5, rtol=1e-5)


def test_magicprop_without_propagation_only_carries_the_change_along_flow(backbone):
    """Of a still clip that is the first frame again, in all channels; a walk makes frames differ."""
    carried, walked = (MagicProp(propagation=share)(inputs_of(backbone), backbone) for share in (0.0, 0.5))
    assert_close(carried, carried[:1].expand_as(carried), atol=1e-3, rtol=1e-3)
    assert_close(walked[:1], carried[:1])
    assert spread(walked) > 0.05


def test_magicprop_passes_the_first_frame_on_to_all_others(backbone):
    moved = inputs_of(backbone, still=False)
    other = Clip(moved.clip.frames.clone(), Fraction(8), 4)
    other.frames[0] = 255 - other.frames[0]
    one, two = (MagicProp()(replace(moved, clip=clip), backbone) for clip in (moved.clip, other))
    assert not torch.allclose(one[-1], two[-1], atol=1e-3)


def test_a_mask_holds_where_nothing_walks(backbone):
    """Frames that are only carried are shown to the step hook too."""
    inputs = inputs_of(backbone)
    source = backbone.encode(inputs.clip.frames)

    def keep_left(x, sigma, /):
        kept = source + sigma * inputs.noise(source)
        return torch.cat([kept[..., :2], x[..., 2:]], dim=-1)

    for method in (MagicProp(propagation=0.0), VideoControlNet(keyframe_every=2), Rerender(keyframe_every=2)):
        edited = method(replace(inputs, step_hook=keep_left), backbone)
        assert torch.equal(edited[..., :2], source[..., :2])
        assert not torch.allclose(edited[1, ..., 2:], source[1, ..., 2:], atol=1e-2)


@pytest.mark.parametrize("method", [MagicProp(), MeDM(), Rerender(), VideoControlNet()], ids=repr)
def test_latents_of_several_frames_are_refused(backbone, method):
    class Compressed(LinearCoder):
        temporal_stride = 4

    compressed = Compressed(**{each.name: getattr(backbone, each.name) for each in fields(backbone)})
    with pytest.raises(BackboneError, match="4 frames of this model share a latent"):
        method(inputs_of(backbone), compressed)
