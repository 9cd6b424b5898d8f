"""Pixels that gradients pass through, and 8-bit frames, which are the same pixels rounded."""

import pytest
import torch
from torch.testing import assert_close

from recast.backbones.tiny import tiny
from recast.types import Kind, Structure

STEP = 1e-2


@pytest.fixture(scope="module")
def backbone():
    return tiny()


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def loss(pixels):
    """A smooth loss that no direction leaves unchanged, summed in double precision."""
    return (pixels.double() - 0.1).square().sum()


@pytest.mark.parametrize("way", ["encode_pixels", "decode_pixels"])
def test_gradients_are_finite_differences(backbone, way):
    through = getattr(backbone, way)
    x = {"encode_pixels": drawn(2, 3, 16, 24).clamp(-1, 1), "decode_pixels": drawn(2, 4, 2, 3)}[way].requires_grad_()
    loss(through(x)).backward()
    for seed in (1, 2, 3):
        direction = drawn(*x.shape, seed=seed)
        with torch.no_grad():
            ahead, behind = (loss(through(x + side * STEP * direction)) for side in (1, -1))
        assert_close((x.grad * direction).sum().double(), (ahead - behind) / (2 * STEP), rtol=1e-2, atol=1e-3)


def test_gradients_reach_maps_through_structure_channels(backbone):
    maps = torch.rand(2, 1, 16, 24, generator=torch.Generator().manual_seed(0)).requires_grad_()
    backbone.structure_channels(Structure(Kind.DEPTH, maps, detail=1.0)).square().sum().backward()
    assert (maps.grad.flatten(1).norm(dim=1) > 0).all()


def test_frames_are_the_pixels_rounded(backbone):
    frames = torch.randint(0, 256, (3, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    latents = backbone.encode(frames)
    assert torch.equal(latents, backbone.encode_pixels(frames / 127.5 - 1))
    pixels = backbone.decode_pixels(latents)
    assert_close(backbone.decode(latents).float(), ((pixels + 1) * 127.5).clamp(0, 255), rtol=0, atol=0.5)
