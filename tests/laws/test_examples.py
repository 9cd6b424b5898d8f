"""Laws of what the generator is trained on."""

import torch
from torch.testing import assert_close

from recast.data.examples import Example, moments


def example(given):
    return Example(given, torch.zeros(1, 2, 4, *given.shape[-2:]), (0.0,), torch.zeros(2, 12))


def test_latents_of_which_only_the_mode_is_known_are_never_drawn():
    latents = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    kept = example(moments(latents.half()))
    assert torch.equal(kept.latents(), latents.half().float())
    assert_close(kept.latents(noise), kept.latents(), rtol=0, atol=2e-6)


def test_drawn_latents_have_the_moments():
    given = torch.cat([torch.full((2, 4, 100, 100), 3.0), torch.full((2, 4, 100, 100), -2.0)], dim=1)
    drawn = example(given).latents(torch.randn(2, 4, 100, 100, generator=torch.Generator().manual_seed(0)))
    assert_close(drawn.mean().item(), 3.0, rtol=0, atol=0.01)
    assert_close(drawn.var().log().item(), -2.0, rtol=0, atol=0.02)
