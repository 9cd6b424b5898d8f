"""What every backbone keeps to, made in memory or opened from a folder."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from backbone_folders import FOLDERS, MULTIPLES, conditioned, contents_of
from recast.backbones.backbone import Backbone
from recast.backbones.families import BACKBONES, family_of
from recast.backbones.space_time.several import ConditionedSpaceTime
from recast.backbones.tiny import tiny
from recast.backbones.video_transformer import VideoTransformerBackbone
from recast.denoising import Branch
from recast.diffusion.schedule import check_decreasing
from recast.errors import BackboneError
from recast.methods.needs import Need, lacking
from recast.model.folder import ModelFolder, quiet
from recast.networks.hooks import SiteKind
from recast.networks.recorded_attention import RecordAttention, ReplayAttention
from recast.types import Kind, Structure, latent_count


def opened(folder, **settings):
    with quiet():
        return BACKBONES[family_of(folder)](folder, **settings)


@pytest.fixture(scope="module", params=FOLDERS)
def folder(request, tmp_path_factory):
    return ModelFolder.found(FOLDERS[request.param](tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def backbone(folder):
    return opened(folder)


@pytest.fixture(scope="module")
def frames():
    return torch.randint(0, 256, (3, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def contents(backbone, tmp_path_factory):
    return contents_of(backbone, tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def condition(backbone, contents):
    return conditioned(backbone, contents[0])


def test_it_is_a_backbone_and_says_what_it_is(backbone, folder):
    assert isinstance(backbone, Backbone)
    assert isinstance(tiny(), Backbone)
    known = {"gen1": {Kind.DEPTH, Kind.EDGES}}.get(family_of(folder), set())
    several = {Kind(name) for name in folder.metadata.structures} if family_of(folder) == "space_time" else known
    assert backbone.structure_kinds in (known, {Kind.DEPTH}, several)
    assert (backbone.pixel_multiple, backbone.temporal_stride) == MULTIPLES.get(family_of(folder), (8, 1))
    assert (backbone.short_side, backbone.trained_side) == (32, 32)
    assert backbone.max_frames >= 16


def test_levels_fall_to_zero(backbone):
    check_decreasing(backbone.sigmas(9), to_zero=backbone.schedule.final_sigma == 0)
    assert len(backbone.sigmas(9)) == 10


def test_frames_are_encoded_and_decoded(backbone, folder, frames):
    """One by one; where frames share latents, the first one has its own, and the last latent is filled up."""
    latents, stride = backbone.encode(frames), backbone.temporal_stride
    assert latents.shape == (latent_count(3, stride), 4, 4, 6)
    if family_of(folder) != "cogvideox":  # its norms are over all frames of a part
        assert_close(latents[:1], backbone.encode(frames[:1]), rtol=0, atol=0 if stride == 1 else 1e-6)
    pixels = backbone.decode(latents)
    assert pixels.shape == (1 + stride * (len(latents) - 1), *frames.shape[1:])
    assert pixels.dtype == torch.uint8
    if stride == 1:
        assert torch.equal(latents[1:2], backbone.encode(frames[1:2]))
        # One decoder sees frames beside each other.
        assert torch.equal(pixels[2:], backbone.decode(latents[2:])) is not (family_of(folder) == "svd")


def test_pixels_are_clamped_and_rounded(backbone):
    pixels = backbone.decode(torch.full((1, 4, 4, 4), 1e4))
    assert pixels.min() >= 0
    assert pixels.max() <= 255


def test_no_content_has_the_shape_of_content(backbone, contents):
    assert backbone.null_tokens().shape == backbone.encode_content(contents[0]).shape
    assert not torch.equal(backbone.null_tokens(), backbone.encode_content(contents[0]))


def test_the_same_content_is_the_same_tokens(backbone, contents):
    one, other = contents
    first = backbone.encode_content(one, seed=1)
    assert torch.equal(backbone.encode_content(one, seed=1), first)
    assert_close(backbone.encode_content(one * 2, seed=1), first)
    assert not torch.equal(backbone.encode_content(other, seed=1), first)


def test_one_answer_a_branch(backbone, frames, condition):
    x = backbone.encode(frames)
    branches = [Branch(condition.uncond, temporal=False), Branch(condition.cond), Branch(condition.cond)]
    answers = backbone.denoise_branches(x, 0.5, condition, branches)
    assert [answer.shape for answer in answers] == [x.shape] * 3
    assert_close(answers[1], answers[2])
    assert not torch.allclose(answers[0], answers[1], atol=1e-4)


def test_contents_of_different_lengths_are_asked_apart(backbone, folder, frames, condition):
    x, short, long = backbone.encode(frames), Branch(condition.cond[:-1]), Branch(condition.cond)
    if family_of(folder) == "cogvideox":
        pytest.skip("it reads a prompt's places, all of them")
    assert_close(
        backbone.denoise_branches(x, 0.5, condition, [short, long]),
        [*backbone.denoise_branches(x, 0.5, condition, [short]), *backbone.denoise_branches(x, 0.5, condition, [long])],
    )


def test_a_single_frame_is_an_image(backbone, frames, condition):
    x, one = backbone.encode(frames[:1]), condition.at(torch.tensor([0]))
    branches = [Branch(one.cond), Branch(one.cond, temporal=False)]
    video, image = (backbone.denoise_branches(x, 0.5, one, [branch])[0] for branch in branches)
    assert torch.equal(video, image)


def test_at_little_noise_the_answer_is_what_it_is_given(backbone, frames, condition):
    x = backbone.encode(frames)
    [answer] = backbone.denoise_branches(x, 1e-4, condition, [Branch(condition.cond)])
    assert_close(answer, x, atol=1e-2, rtol=1e-2)


def test_answers_let_gradients_through(backbone, frames, condition):
    x = backbone.encode(frames).requires_grad_()
    [answer] = backbone.denoise_branches(x, 0.5, condition, [Branch(condition.cond)])
    answer.sum().backward()
    assert x.grad.abs().max() > 0


def test_structure_that_is_missing_or_too_much_is_refused(backbone, frames, condition):
    given = condition.structure_channels
    if isinstance(backbone, ConditionedSpaceTime):  # any subset of what it reads will do
        given = None
    wrong = replace(condition, structure_channels=torch.zeros(3, 2, 4, 6) if given is None else None)
    with pytest.raises(BackboneError, match=r"needs \d+( or \d+)? structure \w+ and was given"):
        backbone.denoise_branches(backbone.encode(frames), 0.5, wrong, [Branch(condition.cond)])


def test_structures_that_it_was_not_trained_with_are_refused(backbone):
    for kind in set(Kind) - backbone.structure_kinds:
        with pytest.raises(BackboneError, match=f"cannot be conditioned on {kind}; it was trained with"):
            backbone.structure_channels(Structure(kind, torch.zeros(1, kind.channels, 32, 48)))


def test_half_precision_stays_near(backbone, folder, frames, condition, contents):
    half = opened(folder, dtype=torch.bfloat16)
    latents = half.encode(frames)
    assert latents.dtype == torch.float32
    assert half.null_tokens().dtype == half.encode_content(contents[0]).dtype == torch.float32
    branch = [Branch(condition.cond)]
    [answer], [expected] = (b.denoise_branches(latents, 0.5, condition, branch) for b in (half, backbone))
    assert answer.dtype == torch.float32
    assert_close(answer, expected, atol=0.1, rtol=0.1)


def test_branches_together_are_branches_one_after_the_other(backbone, frames, condition):
    x, branches = backbone.encode(frames), [Branch(condition.uncond, temporal=False), Branch(condition.cond)]
    apart = replace(backbone, together=False)
    assert_close(
        apart.denoise_branches(x, 2.0, condition, branches),
        backbone.denoise_branches(x, 2.0, condition, branches),
        atol=1e-5,
        rtol=1e-5,
    )


@pytest.fixture(scope="module")
def hookable(backbone):
    """The backbone where hooks can be put on its attention; a test of what hooks do has nothing to say of others."""
    if lacking([Need.HOOKS], backbone):
        pytest.skip("hooks are refused")
    return backbone


def test_a_network_that_hooks_cannot_answer_for_refuses_them(backbone):
    assert bool(lacking([Need.HOOKS], backbone)) is isinstance(backbone, VideoTransformerBackbone)
    with backbone.hooked():
        pass


def test_hooks_are_called_for_each_branch_and_leave_no_trace(hookable, frames, condition):
    backbone = hookable
    x, branches = backbone.encode(frames), [Branch(condition.uncond), Branch(condition.cond)]
    plain, called = backbone.denoise_branches(x, 2.0, condition, branches), set()

    def hook(call, attend):
        called.add((call.kind, call.branch, call.sigma, call.frames))
        return attend(call)

    with backbone.hooked(hook):
        assert_close(backbone.denoise_branches(x, 2.0, condition, branches), plain, rtol=0, atol=0)
    assert {call[1:] for call in called} == {(0, 2.0, (0, 1, 2)), (1, 2.0, (0, 1, 2))}
    assert {SiteKind.SELF, SiteKind.CROSS} <= {call[0] for call in called}
    called.clear()
    backbone.denoise_branches(x, 2.0, condition, branches)
    assert not called


def test_replayed_attention_gives_the_same(hookable, frames, condition):
    backbone = hookable
    x, branches, record = backbone.encode(frames), [Branch(condition.uncond), Branch(condition.cond)], RecordAttention()
    with backbone.hooked(record):
        first = backbone.denoise_branches(x, 2.0, condition, branches)
    with backbone.hooked(ReplayAttention(record=record)):
        assert_close(backbone.denoise_branches(x, 2.0, condition, branches), first, rtol=0, atol=0)


def test_equal_prompts_for_each_frame_give_the_bits_of_one_prompt(backbone, frames, condition):
    x, one = backbone.encode(frames), Branch(condition.cond)
    if not hasattr(backbone, "unet"):
        with pytest.raises(BackboneError, match="one prompt for a whole clip"):
            backbone.denoise_branches(x, 1.0, condition, [Branch(condition.cond.expand(len(x), -1, -1))])
        one = replace(one, temporal=False)
    each = replace(one, tokens=condition.cond.expand(len(x), -1, -1))
    assert all(map(torch.equal, *(backbone.denoise_branches(x, 1.0, condition, [b]) for b in (one, each))))
    # Also beside a branch whose tokens are those of all frames, as in guidance.
    null = replace(one, tokens=condition.uncond)
    assert all(map(torch.equal, *(backbone.denoise_branches(x, 1.0, condition, [b, null]) for b in (one, each))))


def test_a_prompt_for_each_frame_reaches_its_frame_alone_where_frames_are_images(backbone, frames, condition):
    x = backbone.encode(frames)
    tokens = condition.cond.expand(len(x), -1, -1).clone()
    plain = backbone.denoise_branches(x, 1.0, condition, [Branch(tokens, temporal=False)])[0]
    tokens[1] = -tokens[1]
    other = backbone.denoise_branches(x, 1.0, condition, [Branch(tokens, temporal=False)])[0]
    assert torch.equal(plain[0], other[0])
    assert not torch.allclose(plain[1], other[1], atol=1e-3)
