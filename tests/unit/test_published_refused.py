"""Odd files in a LoRA's place are refused with what is odd about them; none is a fault of recast."""

import json

import pytest
import torch
from safetensors.torch import save_file

from pipelines import opened
from recast.backbones.tiny import write_stable_diffusion
from recast.errors import WeightsError
from recast.tuning.published import HEADER, with_published

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
PRODUCT = {f"unet.{LAYER}.lora_A.weight": torch.zeros(2, 16), f"unet.{LAYER}.lora_B.weight": torch.zeros(16, 2)}
KOHYA = f"lora_unet_{LAYER.replace('.', '_')}"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_stable_diffusion(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize(
    ("tensors", "noted", "wrong"),
    [
        (PRODUCT, "{bad", "in its header is damaged"),
        (PRODUCT, "[]", "in its header is damaged"),
        (PRODUCT, json.dumps({"unet.lora_alpha": 4}), "an alpha and no rank"),
        (PRODUCT, json.dumps({"unet.lora_alpha": 4, "unet.r": 0}), "an alpha and no rank"),
        (PRODUCT, json.dumps({"unet.lora_alpha": "four", "unet.r": 2}), "an alpha and no rank"),
        (dict(list(PRODUCT.items())[:1]), "{}", "the file lacks 'up'"),
        (
            {
                f"{KOHYA}.lora_down.weight": torch.zeros(2, 16),
                f"{KOHYA}.lora_up.weight": torch.zeros(16, 2),
                f"{KOHYA}.alpha": torch.zeros(3),
            },
            "{}",
            "does not fit the layer",
        ),
        ({"emb_params": torch.tensor(1.0)}, "{}", r"emb_params of shape \(\) is no learned embedding"),
        ({"emb_params": torch.zeros(0, 16)}, "{}", r"emb_params of shape \(0, 16\) is no learned embedding"),
        ({}, "{}", "it holds no tensors"),
    ],
)
def test_odd_files_are_told(path, tmp_path, tensors, noted, wrong):
    save_file(tensors, tmp_path / "a.safetensors", metadata={HEADER: noted})
    with pytest.raises(WeightsError, match=wrong):
        with_published(opened(path), [(str(tmp_path / "a.safetensors"), 1.0)])
