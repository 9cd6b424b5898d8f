"""The small depth estimator: any size that halves, and a folder like every other one's."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close
from transformers import AutoModelForDepthEstimation

from recast.structure.depth_unet import DepthUNet, DepthUNetConfig


def small() -> DepthUNet:
    torch.manual_seed(0)
    return DepthUNet(DepthUNetConfig(widths=(8, 8, 16))).eval()


@pytest.mark.parametrize("size", [(8, 8), (32, 56), (64, 8)])
def test_maps_have_the_size_of_the_pictures(size: tuple[int, int]):
    with torch.no_grad():
        depth = small()(torch.rand(2, 3, *size)).predicted_depth
    assert depth.shape == (2, *size)
    assert 0 <= depth.min() <= depth.max() <= 1


def test_any_size_will_do_in_use():
    with torch.no_grad():
        assert small()(torch.rand(1, 3, 21, 50)).predicted_depth.shape == (1, 21, 50)


def test_the_answer_is_the_mean_over_scales_and_mirrors():
    network, pictures = small(), torch.rand(1, 3, 16, 24)

    def seen(shown: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        larger = F.interpolate(shown, size=size, mode="bilinear", antialias=True)
        maps = network(larger).predicted_depth[:, None]
        return F.interpolate(maps, size=(16, 24), mode="bilinear", antialias=True)[:, 0]

    with torch.no_grad():
        plain = network(pictures).predicted_depth
        sizes = [(16, 24), (32, 48)]
        each = [seen(pictures, s) for s in sizes] + [seen(pictures.flip(-1), s).flip(-1) for s in sizes]
        network.config.scales = [1.0, 2.0]
        assert_close(network(pictures).predicted_depth, torch.stack(each).mean(0))
        mirrored = network(pictures.flip(-1)).predicted_depth.flip(-1)
        assert_close(mirrored, network(pictures).predicted_depth)
        assert torch.equal(network.train()(pictures).predicted_depth, plain)


def test_it_comes_back_from_its_folder(tmp_path: Path):
    network, pictures = small(), torch.rand(1, 3, 16, 16)
    network.save_pretrained(tmp_path)
    again = AutoModelForDepthEstimation.from_pretrained(tmp_path, local_files_only=True)
    with torch.no_grad():
        assert torch.equal(network(pictures).predicted_depth, again(pictures).predicted_depth)


def test_every_weight_gets_a_gradient():
    network = small().train()
    network(torch.rand(2, 3, 16, 16)).predicted_depth.square().mean().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in network.parameters())
