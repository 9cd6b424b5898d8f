"""Changes of predicted clean latents, and walks of some frames."""

from fractions import Fraction

import pytest
import torch
from torch.testing import assert_close

from recast.denoising import DenoiseInputs
from recast.diffusion.excerpt import at_frames, excerpt, in_turn
from recast.diffusion.samplers import ddim
from recast.diffusion.x0_hooks import (
    changed,
    encode_compensated,
    interval,
    match_statistics,
    through_pixels,
)
from recast.errors import RequestError
from recast.types import Clip, Condition

CONDITION = Condition(torch.zeros(1, 1), torch.zeros(1, 1))
SIGMAS = [8.0, 4.0, 2.0, 1.0, 0.0]


def rng():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("start", "end", "steps"),
    [(0, 1, {8, 4, 2, 1}), (0, 0.5, {8, 4}), (0.5, 0.75, {2}), (0.5, 0.5, set()), (1, 1, set())],
)
def test_a_change_is_in_force_at_the_steps_of_its_share_of_the_walk(start, end, steps):
    seen = set()
    denoise = changed(
        lambda x, sigma, _: x.new_full(x.shape, sigma), lambda clean: clean + 100, interval(SIGMAS, start, end)
    )

    def noted(x, sigma, condition):
        clean = denoise(x, sigma, condition)
        if clean.min() > 50:
            seen.add(sigma)
        return clean

    ddim(noted, torch.zeros(1, 1, 2, 2), SIGMAS, CONDITION)
    assert seen == steps


def test_a_share_that_ends_before_it_starts_is_refused():
    with pytest.raises(RequestError, match=r"starts at 0\.8 and ends at 0\.5"):
        interval(SIGMAS, 0.8, 0.5)


def test_matched_statistics_are_the_references_and_matching_again_changes_nothing():
    latents, reference = torch.randn(3, 4, 6, 8, generator=rng()), 5 + 3 * torch.randn(1, 4, 6, 8, generator=rng())
    matched = match_statistics(latents, reference)
    assert_close(matched.mean((-2, -1)), reference.mean((-2, -1)).expand(3, 4), atol=1e-4, rtol=1e-4)
    assert_close(matched.std((-2, -1)), reference.std((-2, -1)).expand(3, 4), atol=1e-3, rtol=1e-3)
    assert_close(match_statistics(matched, reference), matched, atol=1e-4, rtol=1e-4)
    assert_close(match_statistics(latents, latents), latents)


def test_compensation_squares_what_a_round_trip_loses():
    """A coder that keeps .9 of everything loses .1, and compensated .1 squared."""
    pixels = torch.randn(2, 3, 4, 4, generator=rng())
    assert_close(encode_compensated(pixels, lambda p: 0.9 * p, lambda z: z), 0.99 * pixels)


def test_pixels_that_do_not_change_leave_latents_as_they_are_in_any_coder():
    latents = torch.randn(2, 3, 4, 4, generator=rng())
    coder = (lambda pixels: pixels.tanh(), lambda z: z.round())
    assert torch.equal(through_pixels(lambda pixels: pixels, *coder)(latents), latents)
    exact = through_pixels(lambda pixels: 2 * pixels, lambda pixels: pixels / 8, lambda z: 8 * z)
    assert_close(exact(latents), 2 * latents)


def test_a_hook_of_all_frames_sees_them_all_and_answers_for_some():
    rest, noise, seen = torch.zeros(4, 1, 2, 2), torch.ones(4, 1, 2, 2), []

    def doubled(x, _sigma, /):
        seen.append(x)
        return 2 * x

    picks = torch.tensor([2, 0])
    x = torch.tensor([7.0, 5.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    assert torch.equal(at_frames(doubled, picks, rest, noise)(x, 3.0), 2 * x)
    assert seen[0][:, 0, 0, 0].tolist() == [5, 3, 7, 3]


def test_hooks_in_turn_go_on_from_each_other():
    both = in_turn(lambda x, _sigma, /: x + 1, lambda x, sigma, /: x * sigma)
    assert both(torch.ones(1, 1, 1, 1), 3.0).item() == 6


def test_an_excerpt_has_the_picked_frames_and_what_they_are_told():
    clip = Clip(torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1).expand(5, 3, 2, 2), Fraction(8), first=10)
    tokens = torch.arange(5.0).view(5, 1, 1)
    condition = Condition(tokens, tokens[0], frames=10 + torch.arange(5))
    part = excerpt(
        DenoiseInputs(clip, condition, ddim, source=condition), torch.tensor([1, 4]), torch.zeros(5, 1, 1, 1)
    )
    assert part.clip.frames[:, 0, 0, 0].tolist() == [1, 4]
    assert part.condition.frames.tolist() == part.source.frames.tolist() == [11, 14]
    assert part.clip.first == 11
