"""A tiny checkpoint of VideoCrafter, and the folder that is made of it."""

import json

import torch
from diffusers.models.embeddings import TimestepEmbedding
from safetensors.torch import load_file, save_file

from first_release import LAYERS, open_clip_names, unet_names, vae_names
from modelscope_folder import write_modelscope
from recast.backbones.stable_diffusion.single_file import import_checkpoint
from recast.model.folder import ModelFolder, quiet

OVER_TIME = {
    "transformer_in": "init_attn.0",
    "down_blocks.0.temp_attentions.0": "input_blocks.1.2",
    "mid_block.temp_attentions.0": "middle_block.2",
    "up_blocks.1.temp_attentions.0": "output_blocks.2.2",
    "up_blocks.1.temp_attentions.1": "output_blocks.3.2",
}
SHARES = torch.cat([torch.linspace(1, 0.7, 400), torch.full((1000,), 0.7)])
"""Of the clean latents, as published: of its 1400 places the timesteps have the first 1000."""


def videocrafter_names(weights):
    """ModelScope's network by VideoCrafter's names; its first projections are convolutions of one frame."""
    made, of_images = {}, {}
    for name, weight in weights.items():
        layer = next((layer for layer in OVER_TIME if name.startswith(f"{layer}.")), None)
        if layer is not None:
            kind = name.removeprefix(f"{layer}.")
            convolved = layer == "transformer_in" and kind in ("proj_in.weight", "proj_out.weight")
            made[f"model.diffusion_model.{OVER_TIME[layer]}.{kind}"] = weight[..., None] if convolved else weight
        elif ".temp_convs." in name:
            level, _, rest = name.partition(".temp_convs.")
            number, _, kind = rest.partition(".")
            place = LAYERS[f"{level}.resnets.{number}"].replace("middle_block.2", "middle_block.3")
            made[f"model.diffusion_model.{place}.temopral_conv.{kind}"] = weight
        else:
            of_images[name] = weight
    return made | {
        name.replace("middle_block.2.", "middle_block.3."): weight for name, weight in unet_names(of_images).items()
    }


def videocrafter_checkpoint(path, *, scaled=True, rated=True):
    """A folder of ModelScope's as a checkpoint: with an embedding of the rate, and with shares of the levels."""
    held = {name: load_file(next((path / name).glob("*.safetensors"))) for name in ("unet", "vae", "text_encoder")}
    text = open_clip_names(held["text_encoder"], "cond_stage_model.model.")
    made = text | videocrafter_names(held["unet"]) | vae_names(held["vae"])
    if rated:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            rate = TimestepEmbedding(16, 64).state_dict()
        for name, place in {"linear_1": 0, "linear_2": 2}.items():
            for kind in ("weight", "bias"):
                made[f"model.diffusion_model.fps_embedding.{place}.{kind}"] = rate[f"{name}.{kind}"]
    return made | ({"scale_arr": SHARES} if scaled else {})


def write_videocrafter(path, **how):
    """Writes the folder, by way of a checkpoint in one file, and returns it."""
    path.mkdir(exist_ok=True)
    like, file = write_modelscope(path.with_name(f"{path.name}-like")), path.with_name(f"{path.name}.safetensors")
    save_file({name: weight.contiguous() for name, weight in videocrafter_checkpoint(like, **how).items()}, file)
    path.rmdir()
    with quiet():
        import_checkpoint(file, ModelFolder.found(like), path)
    facts = json.loads((path / "recast.json").read_text())
    (path / "recast.json").write_text(json.dumps(facts | {"structures": [], "window": 8}))
    return path
