"""The weights of LaVie's authors, whose names are diffusers' but for the layers over time, made into a folder."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor

from recast.backbones.lavie.backbone import TEMPORAL
from recast.backbones.lavie.layers import LaVieLayers, block_widths, blocks_of
from recast.backbones.stable_diffusion.single_parts import filled
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.model.metadata import json_object

FACTS = {"family": "lavie", "short_side": 320, "frames": 16, "fps": 8, "cfg_scale": 7.5, "steps": 50}
"""Of its base network, as the authors' configuration has them."""
LEVELS = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"}
"""What it was trained with in place of Stable Diffusion's."""
WRITTEN = ("unet", TEMPORAL)
"""The components that are not those of the other folder."""

Tensors = Mapping[str, Tensor]
_NAMES = {
    "norm_temp": "norm",
    "attn_temp.to_out.0": "attn.to_out",
    "attn_temp.time_rel_pos_bias.relative_attention_bias": "attn.distance_bias",
    "attn_temp": "attn",
}
"""Where weights of a block's layer over time are here, by how their names begin there; the first that fits."""
_OVER_TIME = re.compile(r"(.+\.transformer_blocks\.\d+)\.((?:norm|attn)_temp\..+)")
_TURNS = "attn_temp.rotary_emb.freqs"


def is_lavie(tensors: Tensors) -> bool:
    """Whether weights are of LaVie's base network."""
    return any(name.endswith(_TURNS) for name in tensors)


def write_beside(tensors: Tensors, like: ModelFolder, file: Path, folder: Path) -> None:
    """Writes the image UNet, the layers over time, the levels and the facts into a folder that has the rest.

    Raises WeightsError for weights that are missing, left over or of another size, and where `like` is no SD 1.
    """
    config = json_object(like.component("unet") / "config.json")
    if config.get("_class_name") != UNet2DConditionModel.__name__:
        wrong = f"the unet of {like.path} is a {config.get('_class_name')}"
        raise WeightsError(f"{wrong}, and LaVie stands on Stable Diffusion 1; say --like sd15")
    unet: Any = UNet2DConditionModel.from_config(config)
    of_images = {name: tensor for name, tensor in tensors.items() if not _OVER_TIME.fullmatch(name)}
    filled(unet, of_images, "unet", file).save_pretrained(folder / "unet")
    _write_layers(tensors, unet, file, folder / TEMPORAL)
    for place, facts in {folder / "scheduler" / "scheduler_config.json": LEVELS, folder / "recast.json": FACTS}.items():
        held = json_object(place) if place.exists() else {}
        place.unlink(missing_ok=True)  # it may be a link to another model's
        place.write_text(json.dumps(held | facts))


def _write_layers(tensors: Tensors, unet: UNet2DConditionModel, file: Path, folder: Path) -> None:
    turns = [tensor for name, tensor in tensors.items() if name.endswith(_TURNS)]
    rotary = 2 * turns[0].numel()
    usual = 10_000 ** (-torch.arange(0, rotary, 2) / rotary)
    if any(each.shape != usual.shape or (each - usual).abs().max() > 1e-3 for each in turns):
        raise WeightsError(
            f"{file.name} turns heads by other frequencies than {_TURNS} of LaVie's base network; {file}"
        )
    widths, heads = zip(*block_widths(unet), strict=True)
    blocks = [path for path, _ in blocks_of(unet)]
    config: dict[str, Any] = {"channels": widths, "heads": heads, "rotary": rotary}
    layers = filled(LaVieLayers(**config), _layer_weights(tensors, blocks), TEMPORAL, file)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file(layers.state_dict(), folder / "model.safetensors")


def _layer_weights(tensors: Tensors, blocks: list[str]) -> dict[str, Tensor]:
    """The layers' weights by their names here; what turns heads is the formula's, and is left out."""
    made = dict[str, Tensor]()
    for name, tensor in tensors.items():
        found = _OVER_TIME.fullmatch(name)
        if found is None or name.endswith(_TURNS):
            continue
        theirs = next(start for start in _NAMES if found[2].startswith(f"{start}."))
        number = blocks.index(found[1]) if found[1] in blocks else found[1]
        made[f"layers.{number}.{_NAMES[theirs]}{found[2].removeprefix(theirs)}"] = tensor
    return made
