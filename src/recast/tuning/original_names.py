"""What the code that models were published with calls their layers: Stable Diffusion's UNets, and Wan's transformer."""

import re
from collections.abc import Iterator

from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan_vace import WanVACETransformer3DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn

_WAN = (
    (r"^(vace_blocks|blocks)\.(\d+)\.attn1\.", r"\1.\2.self_attn."),
    (r"^(vace_blocks|blocks)\.(\d+)\.attn2\.", r"\1.\2.cross_attn."),
    (r"_attn\.add_([kv])_proj$", r"_attn.\1_img"),
    (r"_attn\.to_out\.0$", "_attn.o"),
    (r"_attn\.to_([qkv])$", r"_attn.\1"),
    (r"\.ffn\.net\.0\.proj$", ".ffn.0"),
    (r"\.ffn\.net\.2$", ".ffn.2"),
    (r"^condition_embedder\.time_proj$", "time_projection.1"),
    (r"^condition_embedder\.(time|text)_embedder\.linear_1$", r"\1_embedding.0"),
    (r"^condition_embedder\.(time|text)_embedder\.linear_2$", r"\1_embedding.2"),
    (r"^proj_out$", "head.head"),
)
_UNET = (
    (r"^conv_in$", "input_blocks.0.0"),
    (r"^conv_out$", "out.2"),
    (r"^time_embedding\.linear_1$", "time_embed.0"),
    (r"^time_embedding\.linear_2$", "time_embed.2"),
    (r"^add_embedding\.linear_1$", "label_emb.0.0"),
    (r"^add_embedding\.linear_2$", "label_emb.0.2"),
    (r"^mid_block\.resnets\.0\.", "middle_block.0."),
    (r"^mid_block\.attentions\.0\.", "middle_block.1."),
    (r"^mid_block\.resnets\.1\.", "middle_block.2."),
)
_RESNET = {"conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1"}
_RESNET |= {"conv_shortcut": "skip_connection"}
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")


def original_names(path: str, network: nn.Module) -> Iterator[str]:
    """Other names of a layer of diffusers' network; none where no original code is known or they are the same."""
    if isinstance(network, WanTransformer3DModel | WanVACETransformer3DModel):
        yield _rewritten(path, _WAN)
    elif isinstance(network, UNet2DConditionModel):
        held = re.sub(r"(?<=resnets\.)(\d+)\.(\w+)$", lambda found: _in_resnet(*found.groups()), path)
        yield _of_block(held, network) or _rewritten(held, _UNET)


def _rewritten(path: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, name in rules:
        path = re.sub(pattern, name, path)
    return path


def _in_resnet(number: str, layer: str) -> str:
    return f"{number}.{_RESNET.get(layer, layer)}"


def _of_block(path: str, network: UNet2DConditionModel) -> str:
    """A layer of a block by its place in the original list of all blocks; nothing for other layers."""
    found = _BLOCK.fullmatch(path)
    if found is None:
        return ""
    way, level, kind, place, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    each = int(network.config.layers_per_block) + 1  # pyrefly: ignore[bad-argument-type, missing-attribute]
    if way == "down":
        number = (level + 1) * each if kind == "downsamplers" else 1 + level * each + place
        return f"input_blocks.{number}.{int(kind == 'attentions')}.{'op' if kind == 'downsamplers' else rest}"
    if kind == "upsamplers":
        block = network.up_blocks[level]
        return f"output_blocks.{level * each + each - 1}.{1 + bool(getattr(block, 'attentions', None))}.{rest}"
    return f"output_blocks.{level * each + place}.{int(kind == 'attentions')}.{rest}"
