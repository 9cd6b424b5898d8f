"""Structure loses detail step by step, and the network is told how much."""

from dataclasses import replace
from itertools import combinations, pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from recast.backbones.tiny import tiny
from recast.conditions.detail import detail_channels, softened
from recast.errors import BackboneError
from recast.types import Kind, Structure


@pytest.fixture(scope="module")
def maps():
    """A box on a slope, at the size of the paper's clips."""
    slope = torch.linspace(0, 0.4, 448).expand(2, 1, 256, 448).clone()
    slope[:, :, 80:180, 150:260] = 1.0
    return slope


def test_all_detail_is_the_map_itself(maps):
    assert torch.equal(softened(maps, 0), maps)


def test_detail_only_gets_less(maps):
    edges = [softened(maps, level / 2).diff(dim=-1).abs().amax().item() for level in range(15)]
    lost = [(softened(maps, level / 2) - maps).norm().item() for level in range(15)]
    assert all(sharper > softer for sharper, softer in pairwise(edges))
    assert all(less < more for less, more in pairwise(lost))


@given(level=st.floats(0, 7), value=st.floats(0, 1), height=st.integers(1, 40), width=st.integers(1, 40))
def test_a_constant_map_stays_constant(level, value, height, width):
    flat = torch.full((1, 1, height, width), value)
    assert_close(softened(flat, level), flat, atol=1e-5, rtol=0)


@given(level=st.integers(0, 6), share=st.floats(0, 1))
def test_between_two_levels_the_maps_are_mixed(level, share):
    noise = torch.rand(1, 1, 64, 48, generator=torch.Generator().manual_seed(0))
    expected = softened(noise, level) * (1 - share) + softened(noise, level + 1) * share
    assert_close(softened(noise, level + share), expected, atol=2e-3, rtol=0)


def test_maps_too_small_for_a_level_keep_their_last_two_pixels():
    noise = torch.rand(1, 1, 32, 32)
    assert torch.equal(softened(noise, 7), softened(noise, 4))
    assert softened(noise, 7).std() > 0


@pytest.mark.parametrize("level", [0, 0.5, 3, 6.25, 7])
def test_at_the_trained_size_nothing_is_resized(maps, level):
    assert torch.equal(softened(maps, level, side=256), softened(maps, level))


@given(side=st.integers(8, 64), height=st.integers(8, 64), width=st.integers(8, 64))
def test_all_detail_is_the_map_itself_at_any_size(side, height, width):
    noise = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(1))
    assert torch.equal(softened(noise, 0, side), noise)


@pytest.mark.parametrize("side", [64, 128, 192, 384])
@pytest.mark.parametrize("level", [1, 2.5, 4, 6])
def test_at_another_size_it_is_the_map_of_training(maps, side, level):
    trained = F.interpolate(maps, (side, round(448 * side / 256)), mode="area")
    expected = F.interpolate(softened(trained, level), maps.shape[-2:], mode="bilinear")
    assert_close(softened(maps, level, side), expected, atol=0.06, rtol=0)
    assert (softened(maps, level) - expected).abs().max() > 0.07


@given(level=st.floats(0, 7), step=st.floats(0, 0.1), side=st.sampled_from([16, 40, 100]))
def test_softening_is_continuous_at_any_size(level, step, side):
    noise = torch.rand(1, 1, 40, 56, generator=torch.Generator().manual_seed(2))
    further = softened(noise, min(level + step, 7), side)
    assert (further - softened(noise, level, side)).abs().max() <= step + 1e-5


def test_below_256_px_the_largest_levels_are_one(maps):
    assert torch.equal(softened(maps, 7, side=128), softened(maps, 6, side=128))
    assert not torch.allclose(softened(maps, 7), softened(maps, 6), atol=0.05)


def test_a_backbone_softens_at_the_size_that_it_was_trained_at():
    backbone = tiny(0)
    smaller = replace(backbone, metadata=replace(backbone.metadata, trained_side=16))
    depth = torch.rand(2, 1, 32, 40, generator=torch.Generator().manual_seed(3))
    channels = smaller.structure_channels(Structure(Kind.DEPTH, depth, detail=2))
    expected = smaller.structure_channels(Structure(Kind.DEPTH, softened(depth, 2, side=16)))
    assert torch.equal(channels[:, :4], expected[:, :4])
    assert not torch.allclose(channels, backbone.structure_channels(Structure(Kind.DEPTH, depth, detail=2)), atol=1e-3)


def test_each_frame_is_softened_alone():
    noise = torch.rand(3, 1, 32, 40)
    assert_close(softened(noise, 2.5)[1:2], softened(noise[1:2], 2.5))


def test_levels_are_told_apart():
    vectors = [detail_channels(level, (1, 1)).flatten() for level in range(8)]
    assert min((one - other).norm().item() for one, other in combinations(vectors, 2)) > 0.9


@given(level=st.floats(0, 7))
def test_detail_channels_are_constant_and_continuous(level):
    planes = detail_channels(level, (3, 5))
    assert torch.equal(planes, planes[:, :1, :1].expand(4, 3, 5))
    assert (detail_channels(min(level + 0.01, 7), (3, 5)) - planes).abs().max() < 0.011


def test_a_structure_becomes_latents_and_detail_channels():
    backbone = tiny(0)
    depth = torch.rand(3, 1, 32, 40)
    channels = backbone.structure_channels(Structure(Kind.DEPTH, depth, detail=2))
    assert channels.shape == (3, 8, 4, 5)
    assert torch.equal(channels[:, 4:], detail_channels(2, (4, 5)).expand(3, 4, 4, 5))
    grey = (softened(depth, 2) * 255).round().to(torch.uint8).expand(3, 3, 32, 40)
    assert_close(channels[:, :4], backbone.encode(grey), atol=0.02, rtol=0.05)


def test_a_kind_that_was_not_trained_is_refused():
    backbone = tiny(0)
    depth_only = replace(backbone, metadata=replace(backbone.metadata, structures=("depth",)))
    with pytest.raises(BackboneError, match="cannot be conditioned on edges; it was trained with depth"):
        depth_only.structure_channels(Structure(Kind.EDGES, torch.zeros(1, 1, 32, 32)))
