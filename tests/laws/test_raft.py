"""A network for optical flow: what holds of it whatever its weights are, and what files it takes."""

import re

import pytest
import torch
from safetensors.torch import save_file

from recast.conditions.flow import ClipFlow
from recast.conditions.raft import LEAST_PX, RAFTFlow
from recast.errors import WeightsError
from recast.networks.raft import RADIUS, RAFT, correlations, looked_up, own_places, upsampled

REACH = 2 * RADIUS + 1


@pytest.fixture(scope="module")
def network() -> RAFT:
    torch.manual_seed(0)
    return RAFT().eval()


@pytest.fixture(scope="module")
def frames() -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 64, 72), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def in_torchvisions_names(name: str) -> str:
    """The name that torchvision's raft_large has for a weight of the paper's code."""
    for pattern, by in (
        (r"^(fnet|cnet)\.conv1\.", r"\1.convnormrelu.0."),
        (r"^(fnet|cnet)\.norm1\.", r"\1.convnormrelu.1."),
        (r"^(fnet|cnet)\.conv2\.", r"\1.conv."),
        (r"(layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0."),
        (r"(layer\d\.\d)\.norm(\d)\.", r"\1.convnormrelu\2.1."),
        (r"\.encoder\.convc(\d)\.", r".motion_encoder.convcorr\1.0."),
        (r"\.encoder\.convf(\d)\.", r".motion_encoder.convflow\1.0."),
        (r"\.encoder\.conv\.", r".motion_encoder.conv.0."),
        (r"\.gru\.conv([zrq])(\d)\.", r".recurrent_block.convgru\2.conv\1."),
        (r"^update_block\.mask\.0\.", "mask_predictor.convrelu.0."),
        (r"^update_block\.mask\.2\.", "mask_predictor.conv."),
        (r"^fnet\.", "feature_encoder."),
        (r"^cnet\.", "context_encoder."),
    ):
        name = re.sub(pattern, by, name)
    return name


def test_both_published_layouts_are_one_network(network, frames, tmp_path):
    weights = network.state_dict()
    twice = {name.replace("downsample.1", "norm3"): weights[name].clone() for name in weights if "downsample.1" in name}
    save_file({f"module.{name}": each for name, each in (weights | twice).items()}, tmp_path / "paper.safetensors")
    save_file({in_torchvisions_names(name): each for name, each in weights.items()}, tmp_path / "other.safetensors")
    of_paper, other = (RAFTFlow.opened(tmp_path / f"{name}.safetensors") for name in ("paper", "other"))
    assert "feature_encoder.convnormrelu.0.weight" in map(in_torchvisions_names, weights)
    assert torch.equal(of_paper(frames[:1], frames[1:]), other(frames[:1], frames[1:]))


def test_flow_is_of_the_frames_size_pair_by_pair_and_of_small_frames_scaled(network, frames):
    flow = RAFTFlow(network)
    clip = ClipFlow.of(frames, flow)
    assert clip.forward.shape == clip.backward.shape == (1, 2, 64, 72)
    twice = flow(torch.cat([frames[:1], frames[1:]]), torch.cat([frames[1:], frames[:1]]))
    assert torch.equal(twice, torch.cat([clip.forward, clip.backward]))
    assert flow(frames[:0], frames[:0]).shape == (0, 2, 64, 72)
    assert min(frames.shape[-2:]) < LEAST_PX


def test_a_shift_of_features_is_found_where_it_went():
    """Features that no two places have in common: the one peak of the finest correlations lies at the shift."""
    right, down = 3, -2
    features = torch.eye(16 * 16).reshape(1, 256, 16, 16)
    moved = features.roll((down, right), dims=(2, 3))
    found = looked_up(correlations(features, moved), own_places(features))
    finest = found[:, : REACH * REACH].reshape(REACH, REACH, 16, 16)[:, :, 6:10, 6:10]
    assert finest[right + RADIUS, down + RADIUS].min() == pytest.approx(1 / 16)
    finest = finest.clone()
    finest[right + RADIUS, down + RADIUS] = 0
    assert finest.abs().max() < 1e-6


def test_coarse_correlations_are_means_of_the_fine_ones():
    features = torch.randn(1, 4, 16, 24, generator=torch.Generator().manual_seed(0))
    pyramid = correlations(features, features)
    means = pyramid[0].reshape(-1, 1, 2, 8, 3, 8).mean(dim=(3, 5))
    assert torch.allclose(pyramid[3], means, atol=1e-5)


def test_one_motion_of_all_places_is_that_of_all_pixels_inside():
    flow = torch.tensor([1.5, -0.25]).reshape(1, 2, 1, 1).expand(1, 2, 6, 7)
    pixels = upsampled(flow, torch.randn(1, 9 * 64, 6, 7, generator=torch.Generator().manual_seed(0)))
    inside = pixels[..., 8:-8, 8:-8]
    assert pixels.shape == (1, 2, 48, 56)
    assert torch.allclose(inside, 8 * flow[..., :1, :1].expand_as(inside), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.popitem(), "1 weights missing"),
        (lambda weights: weights.update(more=torch.zeros(1)), "1 too many"),
        (lambda weights: weights.update({"fnet.conv1.bias": torch.zeros(3)}), "1 of another shape"),
    ],
)
def test_weights_of_another_network_are_refused(network, tmp_path, change, message):
    weights = {name: each.clone() for name, each in network.state_dict().items()}
    change(weights)
    save_file(weights, tmp_path / "raft.safetensors")
    with pytest.raises(WeightsError, match=message):
        RAFTFlow.opened(tmp_path / "raft.safetensors")


@pytest.mark.parametrize(("name", "message"), [("raft.pth", "can run code"), ("raft.safetensors", "no whole")])
def test_what_is_no_whole_safetensors_file_is_refused(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(WeightsError, match=message):
        RAFTFlow.opened(tmp_path / name)
