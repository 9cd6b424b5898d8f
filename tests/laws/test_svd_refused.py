"""Folders of Stable Video Diffusion that are not as published are refused, and what is wrong is named."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines import opened
from recast.errors import WeightsError
from svd_folder import write_svd


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_svd(tmp_path_factory.mktemp("model"))


def linked(path, other, apart):
    """Every part of a folder in another, and an empty one in place of `apart`."""
    for part in path.iterdir():
        (other / part.name).mkdir() if part.name == apart else (other / part.name).symlink_to(part)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"timestep_type": "discrete"}, "timestep_type is 'discrete', not 'continuous'"),
        ({"sigma_max": None}, "sigma_min and sigma_max are 0.002 and None"),
    ],
)
def test_another_scheduler_is_refused(path, tmp_path, change, reason):
    linked(path, tmp_path, "scheduler")
    config = json.loads((path / "scheduler" / "scheduler_config.json").read_text())
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps(config | change))
    with pytest.raises(WeightsError, match=reason):
        opened(tmp_path)


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_missing_and_unexpected_keys_are_named(path, tmp_path, part):
    linked(path, tmp_path, part)
    (tmp_path / part / "config.json").write_bytes((path / part / "config.json").read_bytes())
    name = "diffusion_pytorch_model.safetensors"
    weights = load_file(path / part / name)
    gone = min(weights)
    rest = {key: value for key, value in weights.items() if key != gone}
    save_file(rest, tmp_path / part / name)
    with pytest.raises(WeightsError, match=f"{part} lacks 1 weights of its network, such as {gone}"):
        opened(tmp_path)
    save_file(weights | {"more.weight": torch.ones(2)}, tmp_path / part / name)
    with pytest.raises(WeightsError, match=f"{part} has besides 1 weights of its network, such as more.weight"):
        opened(tmp_path)


def test_a_network_of_other_channels_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="reads 4 channels and gives 4; svd opens 8 to 4"):
        opened(write_svd(tmp_path, in_channels=4))
