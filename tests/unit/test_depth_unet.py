"""The small depth estimator: any size that halves, and a folder like every other one's."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close
from transformers import AutoModelForDepthEstimation

from recast.networks.depth_unet import DepthUNet, DepthUNetConfig
from recast.training.objectives.depth import DepthConfig


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


@pytest.mark.parametrize("seeing", ["pictures", "clips"])
def test_it_comes_back_from_its_folder(tmp_path: Path, seeing: str):
    network, pictures = {"pictures": small, "clips": seeing_motion}[seeing](), torch.rand(3, 3, 16, 16)
    network.save_pretrained(tmp_path)
    again = AutoModelForDepthEstimation.from_pretrained(tmp_path, local_files_only=True)
    with torch.no_grad():
        assert torch.equal(network(pictures).predicted_depth, again(pictures).predicted_depth)


def seeing_motion(mixing: float = 0.3) -> DepthUNet:
    """One that mixes frames, each channel in its own way."""
    torch.manual_seed(1)
    network = DepthUNet(DepthUNetConfig(widths=(8, 8, 16), over_time=True)).eval()
    for block in [*network.down, *network.up]:
        block.mixing.data += mixing * torch.randn_like(block.mixing)
    return network


def test_weights_learned_from_pictures_are_a_start_for_clips():
    network, pictures = small(), torch.rand(4, 3, 16, 24)
    grown = DepthConfig(over_time=True).grown(small())
    with torch.no_grad():
        assert grown.config.over_time
        assert_close(grown.eval()(pictures).predicted_depth, network(pictures).predicted_depth)


def test_a_picture_is_a_clip_that_stands_still():
    network, picture = seeing_motion(), torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        still = network(picture.repeat(4, 1, 1, 1)).predicted_depth
        assert_close(still, network(picture).predicted_depth.repeat(4, 1, 1))


def test_an_answer_depends_on_frames_within_its_reach_alone():
    network, frames = seeing_motion(mixing=1.0), torch.rand(9, 3, 16, 16)
    other = torch.cat([torch.rand(1, 3, 16, 16), frames[1:]])
    with torch.no_grad():
        off = (network(frames).predicted_depth - network(other).predicted_depth).abs().amax(dim=(1, 2))
    assert network.config.reach == 5
    assert (off[:6] > 0).all()
    assert (off[6:] == 0).all()


def test_clips_side_by_side_do_not_mix():
    network, clips = seeing_motion(), torch.rand(2, 3, 3, 16, 16)
    with torch.no_grad():
        both = network(clips).predicted_depth
        assert both.shape == (2, 3, 16, 16)
        assert_close(both, torch.stack([network(clip).predicted_depth for clip in clips]))
        backwards = network(clips.flip(1)).predicted_depth.flip(1)
    assert (both - backwards).abs().max() > 1e-3  # it tells before from after


@pytest.mark.parametrize("network", [small(), seeing_motion()])
def test_every_weight_gets_a_gradient(network: DepthUNet):
    network.train()(torch.rand(2, 3, 16, 16)).predicted_depth.square().mean().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in network.parameters())
