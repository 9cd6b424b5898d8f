"""A network's folder gives the network back, or says what is wrong with it."""

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from recast.backbones.tiny import roughen, tiny_unet
from recast.errors import WeightsError
from recast.networks.spacetime import inflate
from recast.networks.storage import loaded, save


@pytest.fixture
def rough():
    torch.manual_seed(0)
    net = inflate(tiny_unet(), extra_channels=8, max_frames=8).eval()
    roughen(net)
    return net


@pytest.fixture
def asked():
    return torch.randn(2, 5, 12, 4, 6), torch.tensor([50, 900]), torch.randn(2, 2, 16)


def test_a_saved_network_comes_back(rough, asked, tmp_path):
    save(rough, tmp_path)
    again = loaded(tmp_path)
    assert torch.equal(again(*asked), rough(*asked))
    assert again.max_frames == 8
    assert not any(module.training for module in again.modules())


def test_diffusers_reads_the_image_network_in_it(rough, asked, tmp_path):
    save(rough, tmp_path)
    unet = UNet2DConditionModel.from_pretrained(tmp_path / "unet")
    x, timestep, tokens = asked
    answer = unet(x[:, 0], timestep, encoder_hidden_states=tokens).sample
    assert torch.equal(answer[:, None], rough(x[:, :1], timestep, tokens, video=False))


def test_half_precision_halves_the_files_and_loads_as_any(rough, asked, tmp_path):
    save(rough, tmp_path / "whole")
    save(rough, tmp_path / "half", torch.float16)
    whole, half = (tmp_path / name / "temporal" / "model.safetensors" for name in ("whole", "half"))
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    assert_close(loaded(tmp_path / "half")(*asked), rough(*asked), atol=0.02, rtol=0.02)
    assert loaded(tmp_path / "half", torch.bfloat16).unet.dtype == torch.bfloat16


def _without_temporal(folder):
    (folder / "temporal" / "model.safetensors").unlink()


def _with_a_pickle(folder):
    (folder / "temporal" / "model.safetensors").rename(folder / "temporal" / "model.bin")


def _changed(change):
    def spoiled(folder):
        path = folder / "temporal" / "model.safetensors"
        weights = load_file(path)
        change(weights)
        save_file(weights, path)

    return spoiled


NAME = "mid_block.attentions.0.temporal.position_embedding"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_temporal, "no safetensors"),
        (_with_a_pickle, "convert it to safetensors"),
        (lambda folder: (folder / "temporal" / "config.json").unlink(), "max_frames"),
        (lambda folder: (folder / "temporal" / "config.json").write_text('{"max_frames": 4}'), "of two networks"),
        (lambda folder: (folder / "unet" / "config.json").unlink(), "unet has no config.json"),
        (_changed(lambda weights: weights[NAME].fill_(torch.nan)), "NaN"),
        (_changed(lambda weights: weights.pop(NAME)), f"lacks 1 weights, such as {NAME}"),
        (_changed(lambda weights: weights.update(other=torch.zeros(1))), "unknown 1 weights, such as other"),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path, spoil, message):
    save(inflate(tiny_unet(), max_frames=8), tmp_path)
    spoil(tmp_path)
    with pytest.raises(WeightsError, match=message):
        loaded(tmp_path)
