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


def test_any_size_will_do_in_use_and_enlarging_goes_there_and_back():
    network = small()
    with torch.no_grad():
        assert network(torch.rand(1, 3, 21, 50)).predicted_depth.shape == (1, 21, 50)
        pictures = torch.rand(1, 3, 16, 24)
        plain = network(pictures).predicted_depth
        assert torch.equal(network.train()(pictures).predicted_depth, plain)
        network.config.enlarged = 2.0
        assert torch.equal(network(pictures).predicted_depth, plain)  # still training
        larger = F.interpolate(pictures, size=(32, 48), mode="bilinear", antialias=True)
        wanted = F.interpolate(network(larger).predicted_depth[:, None], size=(16, 24), mode="bilinear", antialias=True)
        assert_close(network.eval()(pictures).predicted_depth, wanted[:, 0])


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
