"""Folders of Wan that are not as published are refused, and what is wrong is named."""

import json

import pytest
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from safetensors.torch import load_file, save_file

from pipelines import opened
from recast.errors import WeightsError
from recast.model.folder import quiet
from wan_folder import write_wan


def test_a_scheduler_that_is_no_flow_is_refused(tmp_path):
    path = write_wan(tmp_path)
    UniPCMultistepScheduler().save_pretrained(path / "scheduler")
    with pytest.raises(WeightsError, match=r"scheduler is of epsilon .* predict flow_prediction"):
        opened(path)


def test_weights_that_are_missing_or_left_over_are_named(tmp_path):
    path = write_wan(tmp_path)
    file = path / "transformer" / "diffusion_pytorch_model.safetensors"
    held = load_file(file)
    bias = held.pop("proj_out.bias")
    save_file(held, file)
    with pytest.raises(WeightsError, match=r"transformer lacks 1 weights .* proj_out\.bias"):
        opened(path)
    save_file(held | {"proj_out.bias": bias, "proj_out.other": bias.clone()}, file)
    with pytest.raises(WeightsError, match=r"transformer has besides 1 weights .* proj_out\.other"):
        opened(path)


def test_a_network_that_is_told_a_first_frame_is_refused(tmp_path):
    path = write_wan(tmp_path)
    config = json.loads((path / "transformer" / "config.json").read_text()) | {"in_channels": 9}
    with quiet():
        WanTransformer3DModel.from_config(config).save_pretrained(path / "transformer")
    with pytest.raises(WeightsError, match="reads 9 channels and gives 4"):
        opened(path)
