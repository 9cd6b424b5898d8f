"""How terms of guidance are joined: what each correction must come to, and that no correction leaves the old sum."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from recast.backbones.tiny import tiny
from recast.diffusion.ensemble import ensembled
from recast.diffusion.guidance import GuidanceTerm, cond, guided, guided_by, image_cond, image_uncond, negative, uncond
from recast.diffusion.joins import JOINS, apg, cfg_zero
from recast.diffusion.samplers import heun
from recast.diffusion.windows import windowed
from recast.errors import RequestError
from recast.types import Condition

TOKENS = {"cond": torch.ones(1, 2), "uncond": torch.zeros(1, 2), "negative": -torch.ones(1, 2)}
PLAIN = Condition(cond=TOKENS["cond"], uncond=TOKENS["uncond"], frames=torch.arange(3))
NEGATED = Condition(**TOKENS, frames=torch.arange(3))
X = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0))

weights = st.floats(-2, 12)


def network(asked=None):
    """Answers with random latents, the same for the same branch at the same level; `asked` gets the branches."""

    def denoise_branches(x, sigma, _condition, branches):
        answers = []
        for branch in branches:
            name = next(name for name, tokens in TOKENS.items() if branch.tokens is tokens)
            if asked is not None:
                asked.append(f"{'video' if branch.temporal else 'image'} {name}")
            seed = hash((round(sigma * 1000), name == "cond", name == "negative", branch.temporal)) % 2**31
            answers.append(torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)))
        return answers

    return denoise_branches


def prediction(name, sigma=1.0, *, video=True):
    branch = {"cond": cond, "uncond": uncond}[name] if video else {"cond": image_cond, "uncond": image_uncond}[name]
    [answer] = network()(X, sigma, PLAIN, [branch(PLAIN)])
    return answer


def dot(one, other):
    return torch.einsum("tcyx,tcyx->t", one, other)[:, None, None, None]


@given(weights, weights, st.sampled_from([0.5, 1.0, 3.0]))
def test_without_a_correction_it_is_the_weighted_sum_bit_for_bit(scale, temporal_scale, sigma):
    """The formula that stood in `guided` before terms had corrections: weights first, one product for each branch."""
    image, video, content = 1.0 - temporal_scale, temporal_scale - scale, 0.0 + scale
    if sigma > 2.0:  # outside the interval
        video, content = temporal_scale - 1.0, 1.0
    branches = ((image, "uncond", False), (video, "uncond", True), (content, "cond", True))
    expected = torch.zeros_like(X)
    for weight, name, temporal in branches:
        expected = expected + weight * prediction(name, sigma, video=temporal) if weight else expected
    answer = guided(network(), scale, temporal_scale, (0.0, 2.0), JOINS["plain"]())(X, sigma, PLAIN)
    assert torch.equal(answer, expected)


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_weight_1_is_the_conditional_prediction_and_costs_nothing_more(join):
    asked = []
    assert torch.equal(guided(network(asked), 1.0, correction=join())(X, 1.0, PLAIN), prediction("cond"))
    assert asked == ["video cond"]


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_outside_its_interval_a_term_costs_nothing(join):
    asked = []
    terms = (
        GuidanceTerm(1.5, uncond, image_uncond, within=(2.0, 3.0)),
        GuidanceTerm(6.0, cond, uncond, within=(0.5, 1.0), correction=join()),
    )
    denoise = guided_by(network(asked), image_uncond, terms)
    branches = []
    for sigma in (2.5, 1.5, 0.7):
        denoise(X, sigma, PLAIN)
        branches.append(list(asked))
        asked.clear()
    assert branches == [
        ["image uncond", "video uncond", "video cond"],
        ["video cond"],
        ["video uncond", "video cond"],
    ]


def test_a_correction_reads_branches_that_the_sum_does_not():
    plain, corrected = [], []
    guided(network(plain), 1.5, 1.5)(X, 1.0, PLAIN)
    guided(network(corrected), 1.5, 1.5, correction=apg())(X, 1.0, PLAIN)
    assert plain == ["image uncond", "video cond"]
    assert corrected == ["image uncond", "video uncond", "video cond"]


@given(weights, weights)
def test_apg_that_keeps_all_is_plain_guidance(scale, temporal_scale):
    kept = guided(network(), scale, temporal_scale, correction=apg(eta=1.0))(X, 1.0, PLAIN)
    assert_close(kept, guided(network(), scale, temporal_scale)(X, 1.0, PLAIN), atol=1e-6, rtol=1e-6)


@given(scale=st.floats(1.5, 12), eta=st.floats(0, 1))
def test_apg_keeps_a_share_of_what_is_parallel_and_all_that_is_orthogonal(scale, eta):
    towards, against = prediction("cond"), prediction("uncond")
    added = (guided(network(), scale, correction=apg(eta=eta))(X, 1.0, PLAIN) - towards) / (scale - 1)
    difference = towards - against
    parallel = dot(difference, towards) / dot(towards, towards) * towards
    assert_close(dot(added, towards), eta * dot(difference, towards), atol=1e-4, rtol=1e-4)
    assert_close(added - eta * parallel, difference - parallel, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("threshold", [0.5, 5.0, 1e6])
def test_apg_shortens_differences_that_are_longer_than_its_threshold(threshold):
    added = guided(network(), 2.0, correction=apg(eta=1.0, threshold=threshold))(X, 1.0, PLAIN) - prediction("cond")
    lengths = (prediction("cond") - prediction("uncond")).flatten(1).norm(dim=1)
    assert_close(added.flatten(1).norm(dim=1), lengths.clamp(max=threshold))


def constant(x, _sigma, condition, branches):
    """The same at every level: 3 under the wanted content, 1 without content."""
    return [torch.full_like(x, 3.0 if branch.tokens is condition.cond else 1.0) for branch in branches]


def momentum(beta=-0.5):
    return guided(constant, 2.0, correction=apg(eta=1.0, momentum=beta))


@pytest.mark.parametrize("beta", [-0.75, -0.5, 0.5])
def test_momentum_adds_up_a_geometric_series_and_a_new_walk_starts_anew(beta):
    denoise = momentum(beta)
    for _walk in range(2):
        for step, sigma in enumerate((8.0, 4.0, 2.0, 1.0), 1):
            expected = 3 + 2 * (1 - beta**step) / (1 - beta)
            assert_close(denoise(X, sigma, PLAIN), torch.full_like(X, expected))


def test_momentum_of_windows_ensembles_and_two_looks_is_that_of_one():
    """On a constant difference all frames have the one average, whatever asks how often at a level."""
    long = Condition(TOKENS["cond"], TOKENS["uncond"], frames=torch.arange(7))
    x = torch.zeros(7, 4, 2, 2)
    seen = []

    def kept(denoise, x, sigma, condition):
        seen.append((sigma, denoise(x, sigma, condition)))
        return seen[-1][1]

    denoise = ensembled(windowed(momentum(), 4, 2), 3, lambda like, _number: torch.ones_like(like))
    heun(partial(kept, denoise), x, [4.0, 2.0, 1.0, 0.0], long)
    assert [sigma for sigma, _ in seen] == [4.0, 2.0, 2.0, 1.0, 1.0]
    for sigma, clean in seen:
        steps = {4.0: 1, 2.0: 2, 1.0: 3}[sigma]
        assert_close(clean, torch.full_like(x, 3 + 2 * (1 - (-0.5) ** steps) / 1.5))


def test_momentum_has_to_know_the_frames():
    with pytest.raises(RequestError, match=r"set Condition\.frames"):
        momentum()(X, 1.0, Condition(TOKENS["cond"], TOKENS["uncond"]))


@given(scale=weights, sigma=st.floats(0.1, 80))
def test_cfg_zero_fits_the_unconditional_velocity_by_least_squares(scale, sigma):
    time = sigma / (1 + sigma)
    towards, against = ((X / (1 + sigma) - prediction(name, sigma)) / time for name in ("cond", "uncond"))
    fits = [
        torch.linalg.lstsq(a.reshape(-1, 1), b.reshape(-1, 1)).solution for a, b in zip(against, towards, strict=True)
    ]
    fitted = torch.stack(fits)[..., None] * against
    expected = X / (1 + sigma) - time * (fitted + scale * (towards - fitted))
    answer = guided(network(), scale, correction=cfg_zero())(X, sigma, PLAIN)
    assert_close(answer, expected, atol=1e-4, rtol=1e-3)


@given(scale=weights, one=st.floats(-0.5, 0.4), other=st.floats(-0.5, 0.4))
def test_cfg_zero_on_linear_denoisers_is_the_conditional_prediction(scale, one, other):
    """Predictions one x and other x have velocities along x, and the fitted unconditional one is the conditional."""
    sigma = 1.0  # velocities are 0 at a gain of 1 / (1 + sigma)

    def linear(x, _sigma, condition, branches):
        return [(one if branch.tokens is condition.cond else other) * x for branch in branches]

    assert_close(guided(linear, scale, correction=cfg_zero())(X, sigma, PLAIN), one * X, atol=1e-4, rtol=1e-4)


@given(weights, weights)
def test_a_negative_prompt_leaves_the_temporal_term_without_content(scale, temporal_scale):
    image, video, against, towards = network()(
        X, 1.0, NEGATED, [image_uncond(NEGATED), uncond(NEGATED), negative(NEGATED), cond(NEGATED)]
    )
    expected = against + scale * (towards - against) + (temporal_scale - 1) * (video - image)
    assert_close(guided(network(), scale, temporal_scale)(X, 1.0, NEGATED), expected, atol=1e-4, rtol=1e-4)


def test_a_negative_prompt_costs_no_branch_without_temporal_guidance():
    asked = []
    guided(network(asked), 4.0)(X, 1.0, NEGATED)
    assert asked == ["video negative", "video cond"]


def test_a_negative_prompt_of_no_content_is_none():
    same = Condition(TOKENS["cond"], TOKENS["uncond"], negative=TOKENS["uncond"])
    assert torch.equal(guided(network(), 4.0, 0.3)(X, 1.0, same), guided(network(), 4.0, 0.3)(X, 1.0, PLAIN))


def test_negative_prompts_differ_by_frame_in_windows():
    frames = torch.stack([TOKENS["negative"]] * 3)
    picked = Condition(**TOKENS | {"negative": frames + torch.arange(3.0)[:, None, None]}).at(torch.tensor([2, 0]))
    assert torch.equal(picked.negative[:, 0, 0], torch.tensor([1.0, -1.0]))


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_image_branches_edit_each_frame_on_its_own(join):
    """A baseline frame by frame: the wanted content without temporal layers is each frame edited as an image."""
    backbone = tiny(3)
    rng = torch.Generator().manual_seed(0)
    x, planes = torch.randn(3, 4, 4, 4, generator=rng), torch.randn(3, 8, 4, 4, generator=rng)
    condition = Condition(torch.randn(2, 16, generator=rng), torch.zeros(2, 16), planes)
    term = GuidanceTerm(4.0, image_cond, image_uncond, correction=join())
    together = guided_by(backbone.denoise_branches, image_uncond, [term])(x, 2.0, condition)
    alone = guided(backbone.denoise_branches, 4.0, correction=join())
    frames = [alone(x[i : i + 1], 2.0, condition.at(torch.tensor([i]))) for i in range(3)]
    assert_close(together, torch.cat(frames), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(together, alone(x, 2.0, condition), atol=1e-3)
