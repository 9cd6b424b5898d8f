"""DMT moves latents until features change over time as the source's, and counts nothing else: arXiv:2311.17009."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from torch.testing import assert_close

import recast
from modelscope_folder import write_modelscope
from pipelines import drawn
from recast.backbones.tiny import write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.denoising import DenoiseInputs
from recast.diffusion.samplers import SAMPLERS
from recast.errors import RequestError
from recast.methods.dmt import DMT, SITES, MotionGuide, fine
from recast.methods.walks import in_windows
from recast.networks.motion_features import MeanFeatures, motion_loss
from recast.types import Clip, Condition

CLIP = Clip(
    torch.randint(0, 256, (4, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)), Fraction(8)
)
pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    return recast.load(write_modelscope(tmp_path_factory.mktemp("model")))


def inputs_of(backbone):
    cond, source = (backbone.encode_content([ContentInput(Medium.WORDS, words)]) for words in ("snow", "a dog"))
    condition = Condition(cond, backbone.null_tokens(), frames=torch.arange(len(CLIP)))
    own = replace(condition, cond=source)
    return DenoiseInputs(CLIP, condition, SAMPLERS["ddim"], steps=3, window=4, source=own)


def test_what_all_frames_share_and_how_far_they_move_does_not_count():
    source = {"a": drawn(5, 8, seed=0), "b": drawn(5, 3, seed=1)}
    other = {site: 0.3 * means + drawn(1, means.shape[1], seed=2) for site, means in source.items()}
    assert_close(motion_loss(other, source), torch.tensor(0.0), atol=1e-5, rtol=0)
    assert_close(motion_loss({site: -means for site, means in source.items()}, source), torch.tensor(4.0))
    still = {site: 0 * means for site, means in source.items()}
    assert_close(motion_loss(still, source), torch.tensor(2.0))


def test_two_frames_and_one_site_are_one_cosine():
    source, other = {"a": drawn(2, 8, seed=0)}, {"a": drawn(2, 8, seed=1)}
    (one, two), (three, four) = source["a"], other["a"]
    cosine = torch.dot(two - one, four - three) / (two - one).norm() / (four - three).norm()
    assert_close(motion_loss(other, source), 1 - cosine)


@pytest.mark.parametrize("factor", [2, 4])
def test_fine_parts_are_those_that_larger_latents_cannot_hold(factor):
    x = drawn(3, 4, 16, 24, seed=0)
    assert_close(fine(torch.ones_like(x), factor), torch.zeros_like(x), atol=1e-6, rtol=0)
    assert torch.equal(fine(x, 1), torch.zeros_like(x))
    checks = (torch.arange(24) % 2 * 2.0 - 1).expand_as(x)
    assert_close(fine(checks, factor)[..., 4:-4], checks[..., 4:-4], atol=0.2, rtol=0)
    ramp = torch.linspace(-1, 1, 24).expand_as(x)
    assert fine(ramp, factor).abs().max() < 0.2


def test_unmoved_from_the_inverted_clip_it_is_the_walk_back_under_new_words(editor):
    backbone = editor.model.backbone
    inputs, knobs = inputs_of(backbone), DMT(coarse=1)
    look, edit = (knobs.guided_branches(inputs, backbone, backbone.denoise_branches, scale) for scale in (1.0, 4.0))
    walked = knobs.inverted(inputs, backbone, look).walked(edit)
    inputs = replace(inputs, cfg_scale=4.0)
    assert torch.equal(replace(knobs, iterations=0)(inputs, backbone), walked)
    assert torch.equal(replace(knobs, moved_until=0)(inputs, backbone), walked)
    assert not torch.allclose(knobs(inputs, backbone), walked, atol=1e-3)
    assert not torch.allclose(replace(knobs, coarse=4, iterations=0)(inputs, backbone), walked, atol=1e-2)
    assert torch.equal(replace(knobs, strength=0)(inputs, backbone), backbone.encode(CLIP.frames))


def test_moved_latents_have_less_loss_and_leave_no_trace(editor):
    backbone = editor.model.backbone
    inputs = inputs_of(backbone)
    knobs = DMT(rate=0.02)
    look = knobs.guided_branches(inputs, backbone, backbone.denoise_branches, 1.0)
    inverted = knobs.inverted(inputs, backbone, look)
    guide, sigma = MotionGuide(knobs, backbone, look, inverted), inverted.inversion.sigmas[0]
    source = guide.means(inverted.inversion.at(sigma), sigma, of_source=True)
    x = inverted.inversion.trajectory[0] + sigma * drawn(*inverted.inversion.trajectory[0].shape, seed=5)
    with torch.no_grad():
        before = motion_loss(guide.means(x, sigma), source)
        moved = guide(x, sigma)
        after = motion_loss(guide.means(moved, sigma), source)
    assert after < before - 0.01
    assert not moved.requires_grad
    assert torch.equal(guide(x, inverted.inversion.sigmas[-2]), x)
    assert guide(x[:1], sigma) is not None
    assert all(weight.grad is None for weight in backbone.unet.parameters())


def test_features_are_after_the_layers_over_time(editor):
    """Another frame changes them: they are not of images."""
    backbone, kept = editor.model.backbone, []
    inputs = inputs_of(backbone)
    look = DMT().guided_branches(inputs, backbone, backbone.denoise_branches, 1.0)
    x = drawn(4, 4, 4, 6, seed=0)
    for clip in (x, torch.cat([x[:-1], -x[-1:]])):
        features = MeanFeatures(SITES)
        with backbone.hooked(features), torch.no_grad():
            look(clip, 2.0, replace(inputs.condition, frames=torch.arange(4)))
        kept.append(features.means)
    assert set(kept[0]) == {"up_blocks.1.resnets.1", "up_blocks.1.attentions.1"}
    for site, means in kept[0].items():
        assert not torch.allclose(means[0], kept[1][site][0], atol=1e-4)


def test_windows_are_compared_with_each_other(editor):
    """In windows of two frames all pairs of four count: the means are those of each window."""
    backbone = editor.model.backbone
    inputs = replace(inputs_of(backbone), window=2)
    knobs = DMT()
    whole = knobs.guided_branches(inputs, backbone, backbone.denoise_branches, 1.0)
    features = MeanFeatures(SITES)
    with backbone.hooked(features), torch.no_grad():
        in_windows(inputs, backbone, whole)(drawn(4, 4, 4, 6, seed=0), 2.0, inputs.condition)
    assert {len(means) for means in features.means.values()} == {4}
    with torch.no_grad():
        assert torch.isfinite(knobs(inputs, backbone)).all()


def test_what_it_cannot_do_is_said(editor):
    with pytest.raises(RequestError, match="averages no answers"):
        editor(CLIP, prompt="a", source_prompt="b", method="dmt", steps=2, ensemble=2)


def test_a_network_without_layers_over_time_can_be_asked_too(tmp_path):
    made = recast.load(write_stable_diffusion(tmp_path))(CLIP, prompt="a", source_prompt="b", method="dmt", steps=2)
    assert made.frames.shape == CLIP.frames.shape
