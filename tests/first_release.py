"""Networks by the names that they had in checkpoints of one file, as first released."""

import re

import torch
from safetensors.torch import load_file

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
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
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


OPEN_CLIP = [
    (r"^text_model\.embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"^text_model\.embeddings\.", ""),
    (r"^text_model\.final_layer_norm", "ln_final"),
    (r"^text_model\.encoder\.layers", "transformer.resblocks"),
    (r"\.self_attn\.", ".attn."),
    (r"layer_norm(\d)", r"ln_\1"),
    (r"mlp\.fc1", "mlp.c_fc"),
    (r"mlp\.fc2", "mlp.c_proj"),
]


def open_clip_names(weights, prefix):
    """A text encoder's weights by OpenCLIP's names: queries, keys and values in one."""
    made, joined = {}, {}
    for name, weight in weights.items():
        theirs = name if name.startswith("text_") else f"text_model.{name}"
        for ours, replacement in OPEN_CLIP:
            theirs = re.sub(ours, replacement, theirs)
        found = re.match(r"(.*attn\.)([qkv])_proj\.(weight|bias)$", theirs)
        if found:
            joined.setdefault(f"{found[1]}in_proj_{found[3]}", {})[found[2]] = weight
        elif theirs == "text_projection.weight":
            made["text_projection"] = weight.T.contiguous()
        else:
            made[theirs] = weight
    made |= {name: torch.cat([parts[each] for each in "qkv"]) for name, parts in joined.items()}
    return {f"{prefix}{name}": weight for name, weight in made.items()}


def second_checkpoint(path):
    """A folder's networks in the names of Stable Diffusion 2's files, which have one layer more."""
    held = {name: load_file(next((path / name).glob("*.safetensors"))) for name in ("unet", "vae", "text_encoder")}
    text = open_clip_names(held["text_encoder"], "cond_stage_model.model.")
    last = {
        name.replace("resblocks.0.", "resblocks.1."): weight + 1 for name, weight in text.items() if "blocks" in name
    }
    return text | last | unet_names(held["unet"]) | vae_names(held["vae"])


def xl_checkpoint(path):
    """A folder's networks in the names of XL's files."""
    names = ("unet", "vae", "text_encoder", "text_encoder_2")
    held = {name: load_file(next((path / name).glob("*.safetensors"))) for name in names}
    text = {f"text_model.{name.removeprefix('text_model.')}": weight for name, weight in held["text_encoder"].items()}
    made = {f"conditioner.embedders.0.transformer.{name}": weight for name, weight in text.items()}
    made |= open_clip_names(held["text_encoder_2"], "conditioner.embedders.1.model.")
    return made | unet_names(held["unet"]) | vae_names(held["vae"])


def control_names(weights):
    """A ControlNet's weights by the names of lllyasviel's files."""
    made, inner = {}, {}
    for name, weight in weights.items():
        layer = name.rpartition(".")[0]
        kind = name.rpartition(".")[2]
        if layer.startswith("controlnet_down_blocks."):
            made[f"zero_convs.{layer.rpartition('.')[2]}.0.{kind}"] = weight
        elif layer == "controlnet_mid_block":
            made[f"middle_block_out.0.{kind}"] = weight
        elif layer.startswith("controlnet_cond_embedding."):
            part = layer.removeprefix("controlnet_cond_embedding.")
            number = {"conv_in": 0, "conv_out": 14}.get(part) or (2 + 2 * int(part[7:]) if part[:7] == "blocks." else 0)
            made[f"input_hint_block.{number}.{kind}"] = weight
        else:
            inner[name] = weight
    made |= {name.removeprefix("model.diffusion_model."): weight for name, weight in unet_names(inner).items()}
    return {f"control_model.{name}": weight for name, weight in made.items()}
