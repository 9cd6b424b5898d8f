"""Gen-1's equation 8: which questions are asked, of which content, and how the answers are joined."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from recast.backbones.tiny import tiny
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.methods.gen1 import Gen1
from recast.networks.hooks import SiteKind
from recast.types import Condition

X = torch.zeros(3, 4, 2, 2, dtype=torch.float64)
TOLD = Condition(cond=torch.ones(1, 2), uncond=torch.zeros(1, 2))
VALUES = {(False, False): 2.0, (True, False): 3.0, (True, True): 7.0}
"""What a network answers, by (temporal layers on, told the wanted content)."""

scales = st.floats(-2, 12)


def answering(condition):
    """A network that answers by what it was asked, and the list of what it was asked."""
    asked = []

    def ask(x, _sigma, _condition, branches):
        keys = [(branch.temporal, branch.tokens is condition.cond) for branch in branches]
        asked.extend(keys)
        return [torch.full_like(x, VALUES[key]) for key in keys]

    return ask, asked


def answer(scale, temporal_scale, sigma=1.0, **interval):
    ask, asked = answering(TOLD)
    return guided(ask, scale, temporal_scale, **interval)(X, sigma, TOLD)[0, 0, 0, 0].item(), asked


@given(scales, scales)
def test_it_is_equation_8(scale, temporal_scale):
    still, free, wanted = VALUES.values()
    expected = still + temporal_scale * (free - still) + scale * (wanted - free)
    assert answer(scale, temporal_scale)[0] == pytest.approx(expected, abs=1e-9)


@given(scales)
def test_with_temporal_scale_1_it_is_classifier_free_guidance(scale):
    assert answer(scale, 1.0)[0] == pytest.approx(3 + scale * (7 - 3), abs=1e-9)


@pytest.mark.parametrize(
    ("scale", "temporal_scale", "asked"),
    [
        (0.0, 0.0, [(False, False)]),
        (1.0, 1.0, [(True, True)]),
        (0.0, 1.0, [(True, False)]),
        (4.0, 1.0, [(True, False), (True, True)]),
        (1.5, 1.5, [(False, False), (True, True)]),
        (0.0, 0.5, [(False, False), (True, False)]),
        (4.0, 0.5, [(False, False), (True, False), (True, True)]),
    ],
)
def test_what_has_no_weight_is_never_asked(scale, temporal_scale, asked):
    assert answer(scale, temporal_scale)[1] == asked


def test_a_lone_question_is_answered_as_it_is():
    assert answer(1.0, 1.0)[0] == VALUES[True, True]
    assert answer(0.0, 0.0)[0] == VALUES[False, False]


@given(scales, scales, st.floats(-5, 5))
def test_equal_answers_stay_as_they_are(scale, temporal_scale, value):
    same = guided(lambda x, _s, _c, branches: [torch.full_like(x, value)] * len(branches), scale, temporal_scale)
    assert_close(same(X, 1.0, TOLD), torch.full_like(X, value), atol=1e-9, rtol=0)


@given(scales, scales, scales)
def test_where_images_and_videos_agree_temporal_scale_does_nothing(scale, one, other):
    def ask(x, _sigma, condition, branches):
        return [torch.full_like(x, 5.0 if branch.tokens is condition.cond else 1.0) for branch in branches]

    assert_close(guided(ask, scale, one)(X, 1.0, TOLD), guided(ask, scale, other)(X, 1.0, TOLD), atol=1e-9, rtol=0)


@pytest.mark.parametrize(("sigma", "scale"), [(0.4, 1.0), (0.5, 6.0), (2.0, 6.0), (2.1, 1.0)])
def test_outside_its_interval_the_content_is_told_without_guidance(sigma, scale):
    assert answer(6.0, 1.2, sigma, within=(0.5, 2.0)) == answer(scale, 1.2, sigma)


@pytest.fixture(scope="module")
def backbone():
    return tiny(3)


@pytest.fixture(scope="module")
def latents():
    generator = torch.Generator().manual_seed(0)
    x, planes = torch.randn(5, 4, 4, 4, generator=generator), torch.randn(5, 8, 4, 4, generator=generator)
    return x, Condition(torch.randn(2, 16, generator=generator), torch.zeros(2, 16), planes)


def test_each_branch_reads_its_own_content_in_every_frame(backbone, latents):
    x, condition = latents
    seen = []
    hook = backbone.net.unet.register_forward_pre_hook(
        lambda _net, inputs, keywords: seen.append(
            (inputs[0], keywords["encoder_hidden_states"], backbone.net.temporal_context.layout)
        ),
        with_kwargs=True,
    )
    try:
        guided(backbone.denoise_branches, 4.0, 0.5)(x, 2.0, condition)
    finally:
        hook.remove()
    [(images, tokens, layout)] = seen
    assert torch.equal(tokens[:10], torch.zeros(10, 2, 16))
    assert torch.equal(tokens[10:], condition.cond.expand(5, 2, 16))
    assert torch.equal(images[:5], images[5:10])
    assert torch.equal(images[:5], images[10:])
    assert torch.equal(images[:5, 4:], condition.structure_channels)
    assert layout.frames == 5
    assert layout.videos.tolist() == [1, 2]


@pytest.mark.parametrize("temporal_scale", [0.5, 1.0, 2.0])
def test_branches_together_answer_as_they_do_alone(backbone, latents, temporal_scale):
    x, condition = latents
    together = guided(backbone.denoise_branches, 4.0, temporal_scale)(x, 2.0, condition)
    alone = guided(tiny(3, together=False).denoise_branches, 4.0, temporal_scale)(x, 2.0, condition)
    assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_it_is_the_sum_of_three_calls_of_the_network(backbone, latents):
    x, condition = latents

    def ask(tokens, video):
        channels = torch.cat([x / (1 + 2.0**2) ** 0.5, condition.structure_channels], dim=1)[None]
        timestep = torch.tensor([backbone.schedule.sigma_to_timestep(2.0)])
        velocity = backbone.net(channels, timestep, tokens[None], video=video)[0]
        return x / (1 + 2.0**2) - 2.0 / (1 + 2.0**2) ** 0.5 * velocity

    still, free = ask(condition.uncond, False), ask(condition.uncond, True)
    expected = still + 0.5 * (free - still) + 4.0 * (ask(condition.cond, True) - free)
    assert_close(guided(backbone.denoise_branches, 4.0, 0.5)(x, 2.0, condition), expected, atol=1e-4, rtol=1e-4)


@given(scales, scales, scales, scales)
def test_perturbed_attention_and_motion_free_guidance_are_added_to_equation_8(scale, temporal_scale, weight, motion):
    """In GenTron's form, without the image branch, uncond + (lambda - 1) (uncond - motion-free)."""
    values = {(True, False): 3.0, (True, True): 7.0, "perturbed": 5.0, "alone": 2.5, (False, False): 2.0}

    def ask(x, _sigma, _condition, branches):
        names = [
            "perturbed" if b.perturbed else "alone" if b.frames_alone else (b.temporal, b.tokens is TOLD.cond)
            for b in branches
        ]
        return [torch.full_like(x, values[name]) for name in names]

    knobs = Gen1(perturbed_attention=abs(weight), motion_guidance=abs(motion))
    made = guided(ask, scale, temporal_scale, more=knobs.more_terms((0.5, 2.0)))
    plain = 2 + temporal_scale * (3 - 2) + scale * (7 - 3) + (abs(motion) - 1) * (3 - 2.5)
    assert made(X, 1.0, TOLD)[0, 0, 0, 0].item() == pytest.approx(plain + abs(weight) * (7 - 5), abs=1e-6)
    assert made(X, 3.0, TOLD)[0, 0, 0, 0].item() == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize(
    ("branch", "kind", "place"),
    [({"perturbed": True}, SiteKind.SELF, "mid_block"), ({"frames_alone": True}, SiteKind.TEMPORAL, "")],
)
def test_a_weakened_branch_has_maps_that_are_the_identity_and_leaves_others_alone(
    backbone, latents, branch, kind, place
):
    x, condition = latents

    def identity(call, attend):
        if call.kind is not kind or not call.site.startswith(place):
            return attend(call)
        maps = torch.eye(call.q.shape[1]).expand(len(call.q), call.heads, -1, -1)
        return call.weighted(maps)

    whole, weak = Branch(condition.cond), Branch(condition.cond, **branch)
    [plain] = backbone.denoise_branches(x, 2.0, condition, [whole])
    with backbone.hooked(identity):
        [expected] = backbone.denoise_branches(x, 2.0, condition, [whole])
    beside, made = backbone.denoise_branches(x, 2.0, condition, [whole, weak])
    assert_close(made, expected, atol=1e-5, rtol=1e-5)
    assert_close(beside, plain, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(made, plain, atol=1e-4)


def test_a_weakened_branch_is_answered_without_other_hooks(backbone, latents):
    """Keys of other frames, put in from outside, do not change what is the identity."""
    x, condition = latents
    seen = []

    def longer(call, attend):
        if call.kind is SiteKind.SELF and call.site.startswith("mid_block"):
            seen.append(call.branch)
        return attend(call)

    with backbone.hooked(longer):
        backbone.denoise_branches(x, 2.0, condition, [Branch(condition.cond, perturbed=True), Branch(condition.cond)])
    assert set(seen) == {1}
