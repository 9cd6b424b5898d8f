"""A tiny file of LaVie's weights by its authors' names, and the folder that is made of it."""

import json

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file

from recast.backbones.lavie.layers import LaVieLayers, blocks_of
from recast.backbones.stable_diffusion.single_file import import_checkpoint
from recast.backbones.tiny import write_stable_diffusion
from recast.model.folder import ModelFolder, quiet

ROTARY = 4
"""Channels of a head that turn: 32 in the published network, whose heads have 40 and more."""


def lavie_weights(path):
    """The image UNet of a folder by its own names, and layers over time that change what they see."""
    with quiet():
        unet = UNet2DConditionModel.from_pretrained(path / "unet", use_safetensors=True)
    made = dict(unet.state_dict())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(8)
        for name, block in blocks_of(unet):
            width, heads = block.norm1.weight.shape[0], block.attn1.heads
            layer = LaVieLayers([width], [heads], ROTARY).layers[0]
            torch.nn.init.normal_(layer.attn.to_out.weight, std=0.3)
            made |= {f"{name}.norm_temp.{kind}": value for kind, value in layer.norm.state_dict().items()}
            attention = layer.attn.state_dict()
            made[f"{name}.attn_temp.time_rel_pos_bias.relative_attention_bias.weight"] = attention.pop(
                "distance_bias.weight"
            )
            for kind, value in attention.items():
                made[f"{name}.attn_temp.{kind.replace('to_out.', 'to_out.0.')}"] = value
            made[f"{name}.attn_temp.rotary_emb.freqs"] = 10_000 ** (-torch.arange(0, ROTARY, 2) / ROTARY)
    return made


def write_lavie(path):
    """Writes the folder, by way of a file of the authors' names, and returns it."""
    like, file = write_stable_diffusion(path.with_name(f"{path.name}-like")), path.with_name(f"{path.name}.safetensors")
    save_file({name: weight.contiguous() for name, weight in lavie_weights(like).items()}, file)
    with quiet():
        import_checkpoint(file, ModelFolder.found(like), path)
    facts = json.loads((path / "recast.json").read_text())
    (path / "recast.json").write_text(json.dumps(facts | {"short_side": 32}))
    return path
