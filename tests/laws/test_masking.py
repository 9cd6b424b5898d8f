"""What a mask keeps is the source's, exactly, and everything else is not touched."""

import pytest
import torch
from torch.testing import assert_close

from recast.diffusion.blend import blend_source
from recast.diffusion.samplers import SAMPLERS
from recast.types import Condition

SOURCE, NOISE, X = torch.randn(3, 2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
NOTHING = Condition(torch.zeros(1, 1), torch.zeros(1, 1))
SIGMAS = [5.0, 2.0, 0.5, 0.0]


@pytest.fixture
def left():
    mask = torch.zeros(2, 1, 6, 6)
    mask[..., :3] = 1
    return mask


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_the_source_is_kept_exactly(sampler, left):
    edited = sampler(
        lambda x, _sigma, _condition: x * 0.1, X, SIGMAS, NOTHING, step_hook=blend_source(SOURCE, NOISE, left)
    )
    assert torch.equal(edited[..., :3], SOURCE[..., :3])
    assert not torch.isclose(edited[..., 3:], SOURCE[..., 3:]).any()


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_where_pixels_do_not_meet_the_rest_is_as_without_a_mask(sampler, left):
    plain = sampler(lambda x, _sigma, _condition: x * 0.1, X, SIGMAS, NOTHING)
    edited = sampler(
        lambda x, _sigma, _condition: x * 0.1, X, SIGMAS, NOTHING, step_hook=blend_source(SOURCE, NOISE, left)
    )
    assert torch.equal(edited[..., 3:], plain[..., 3:])


def test_at_every_level_the_source_has_the_same_noise(left):
    kept = blend_source(SOURCE, NOISE, left)
    for sigma in SIGMAS:
        assert torch.equal(kept(X, sigma)[..., :3], (SOURCE + sigma * NOISE)[..., :3])
        assert torch.equal(kept(X, sigma), kept(X, sigma))


def test_keeping_nothing_and_keeping_all():
    none, whole = torch.zeros(2, 1, 6, 6), torch.ones(2, 1, 6, 6)
    assert torch.equal(blend_source(SOURCE, NOISE, none)(X, 1.0), X)
    assert torch.equal(blend_source(SOURCE, NOISE, whole)(X, 0.0), SOURCE)


def test_a_soft_mask_mixes():
    assert_close(blend_source(SOURCE, NOISE, torch.full((2, 1, 6, 6), 0.25))(X, 0.0), 0.25 * SOURCE + 0.75 * X)
