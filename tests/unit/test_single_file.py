"""A checkpoint in one file, in the layout of Stable Diffusion 1's first release, becomes the folder it was made of."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from animatediff_folder import write_gen1_zero
from pipelines import opened
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run

LAYERS = {
    "conv_in": "input_blocks.0.0",
    "down_blocks.0.resnets.0": "input_blocks.1.0",
    "down_blocks.0.attentions.0": "input_blocks.1.1",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "down_blocks.1.resnets.0": "input_blocks.3.0",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0",
    "up_blocks.0.resnets.1": "output_blocks.1.0",
    "up_blocks.0.upsamplers.0": "output_blocks.1.1",
    "up_blocks.1.resnets.0": "output_blocks.2.0",
    "up_blocks.1.attentions.0": "output_blocks.2.1",
    "up_blocks.1.resnets.1": "output_blocks.3.0",
    "up_blocks.1.attentions.1": "output_blocks.3.1",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
}
"""Layers of the tiny UNet, and what the first release called them."""
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE = [
    (r"(encoder)\.down_blocks\.(\d)\.resnets\.", r"\1.down.\2.block."),
    (r"(encoder)\.down_blocks\.(\d)\.downsamplers\.0", r"\1.down.\2.downsample"),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
    (r"mid_block\.attentions\.0\.to_([qkv])", r"mid.attn_1.\1"),
    (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
    ("conv_norm_out", "norm_out"),
    ("conv_shortcut", "nin_shortcut"),
]


def unet_names(weights):
    """The UNet's weights by the first release's names."""
    made = {}
    for name, weight in weights.items():
        layer = max((layer for layer in LAYERS if name.startswith(f"{layer}.")), key=len)
        inner = name.removeprefix(f"{layer}.")
        for ours, theirs in RESNET.items() if ".resnets." in f"{layer}." else ():
            inner = re.sub(rf"^{ours}\.", f"{theirs}.", inner)
        made[f"model.diffusion_model.{LAYERS[layer]}.{inner}"] = weight
    return made


def vae_names(weights):
    """The autoencoder's weights by the first release's names; its attention was made of convolutions."""
    made = {}
    for name, weight in weights.items():
        up = re.match(r"decoder\.up_blocks\.(\d)\.(?:resnets\.(\d)|upsamplers\.0\.conv)", name)
        theirs = name
        if up:
            place = f"decoder.up.{3 - int(up[1])}."
            theirs = place + (f"block.{up[2]}" if up[2] else "upsample.conv") + name[up.end() :]
        for ours, replacement in VAE:
            theirs = re.sub(ours, replacement, theirs)
        attention = "attn_1" in theirs and weight.ndim == 2
        made[f"first_stage_model.{theirs}"] = weight[..., None, None].contiguous() if attention else weight
    return made


def checkpoint(path):
    """The folder's networks in one file's names."""
    held = {name: load_file(next((path / name).glob("*.safetensors"))) for name in ("unet", "vae", "text_encoder")}
    text = {f"text_model.{name.removeprefix('text_model.')}": weight for name, weight in held["text_encoder"].items()}
    made = {f"cond_stage_model.transformer.{name}": weight for name, weight in text.items()}
    made["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return made | unet_names(held["unet"]) | vae_names(held["vae"]) | {"model_ema.decay": torch.ones(1)}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_stable_diffusion(tmp_path_factory.mktemp("source"), seed=5)


@pytest.fixture(scope="module")
def file(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "dreamy.safetensors"
    save_file(checkpoint(source), path)
    return path


def test_the_folder_has_the_networks_of_the_file_and_the_rest_of_another(source, file, tmp_path):
    like = write_gen1_zero(tmp_path / "like")
    assert run(["models", "import", str(file), "-o", str(tmp_path / "made"), "--like", str(like)]) == 0
    made, expected, other = opened(tmp_path / "made"), opened(source), opened(like)
    assert_close(made.vae.state_dict(), expected.vae.state_dict(), atol=0, rtol=0)
    assert_close(made.prompt.network.state_dict(), expected.prompt.network.state_dict(), atol=0, rtol=0)
    own = expected.unet.state_dict()
    assert_close({name: weight for name, weight in made.unet.state_dict().items() if name in own}, own, atol=0, rtol=0)
    motion = {name: weight for name, weight in other.unet.state_dict().items() if name not in own}
    assert_close({name: made.unet.state_dict()[name] for name in motion}, motion, atol=0, rtol=0)
    assert made.structure_kinds == other.structure_kinds


@pytest.mark.parametrize(
    ("change", "wrong"),  # of the file's weights, and the error
    [
        ({"model.diffusion_model.out.0.weight": None}, "lacks"),
        ({"first_stage_model.encoder.norm_out.bias": None}, "lacks"),
        ({"model.diffusion_model.out.0.weight": torch.zeros(3)}, "conv_norm_out.weight is (3,), and the folder's"),
        ({"conditioner.embedders.0.x": torch.zeros(1)}, "is a checkpoint of SDXL"),
    ],
)
def test_other_checkpoints_are_refused_and_leave_nothing(source, file, tmp_path, capsys, change, wrong):  # noqa: PLR0917 -- fixtures
    tensors = {name: weight for name, weight in (load_file(file) | change).items() if weight is not None}
    save_file(tensors, tmp_path / "a.safetensors")
    asked = ["models", "import", str(tmp_path / "a.safetensors"), "-o", str(tmp_path / "made"), "--like", str(source)]
    assert run(asked) == 3
    assert wrong in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_pickles_and_places_that_are_taken_are_refused(source, file, tmp_path, capsys):
    pickle = tmp_path / "a.ckpt"
    pickle.write_bytes(b"\x80\x04")
    assert run(["models", "import", str(pickle), "-o", str(tmp_path / "made"), "--like", str(source)]) == 3
    assert "pickles can run code when read" in capsys.readouterr().err
    assert run(["models", "import", str(file), "-o", str(tmp_path), "--like", str(source)]) == 2
    assert json.loads((source / "model_index.json").read_text())
