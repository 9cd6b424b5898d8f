"""Names of VideoCrafter's checkpoints, whose layers over time stand between those of Stable Diffusion 2's files."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from diffusers.models.embeddings import TimestepEmbedding
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn

from recast.backbones.videocrafter.levels import LAST, STEPS, falling
from recast.errors import WeightsError
from recast.model.metadata import json_object

PREFIX = "model.diffusion_model."
MARK = f"{PREFIX}init_attn.0.proj_in.weight"
"""A weight that no image model's checkpoint has."""
SCALES = "scale_arr"
FPS = "fps_embedding"
_BLOCK = re.compile(r"(input_blocks|output_blocks|middle_block)\.(?:(\d+)\.)?(\d)\.(.+)")
_OVER_TIME = re.compile(r"norm\.|proj_in\.|proj_out\.|transformer_blocks\.")
_CONVOLUTION = re.compile(r"resnets\.(\d+)\.temopral_conv\.")

FACTS = {"family": "videocrafter", "frames": 16, "fps": 28, "cfg_scale": 12.0, "steps": 50}
"""Of VideoCrafter2, as its authors' script has them; the frame's size is the other model's."""

Tensors = Mapping[str, Tensor]


def is_videocrafter(tensors: Tensors) -> bool:
    """Whether a checkpoint is of VideoCrafter's text-to-video networks."""
    return MARK in tensors


def unet_weights(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network by the names of diffusers' UNet3DConditionModel, which has the same layers.

    Convolutions over time are in its residual blocks there, and stand behind them here; transformers over time are the
    third of each group. Raises KeyError or IndexError for a checkpoint that lacks some.
    """
    of_images, over_time = dict[str, Tensor](), dict[str, Tensor]()
    each_level = config["layers_per_block"] + 1
    for name, weight in tensors.items():
        if not name.startswith(PREFIX) or name.startswith(f"{PREFIX}{FPS}."):
            continue
        inner = name.removeprefix(PREFIX)
        if inner.startswith("init_attn.0."):
            over_time[f"transformer_in.{inner.removeprefix('init_attn.0.')}"] = weight
        elif (place := _place_over_time(inner, each_level)) is not None:
            over_time[place] = weight
        else:
            of_images[PREFIX + _without_time(inner)] = weight
    spatial = convert_ldm_unet_checkpoint(of_images, dict(config))
    renamed = {_CONVOLUTION.sub(r"temp_convs.\1.", name): weight for name, weight in spatial.items()}
    # The first transformer's projections are convolutions of one frame there, and products here.
    return renamed | {name: _as_product(name, weight) for name, weight in over_time.items()}


def _place_over_time(name: str, each_level: int) -> str | None:
    """Where a weight of a transformer over time is in diffusers' network; None for other weights."""
    found = _BLOCK.fullmatch(name)
    if found is None or found[3] != "2" or not _OVER_TIME.match(found[4]):
        return None
    if found[1] == "middle_block":
        return f"mid_block.temp_attentions.0.{found[4]}"
    number = int(found[2]) - (found[1] == "input_blocks")
    way = "down_blocks" if found[1] == "input_blocks" else "up_blocks"
    return f"{way}.{number // each_level}.temp_attentions.{number % each_level}.{found[4]}"


def _without_time(name: str) -> str:
    """The name in a checkpoint of images: what stands behind a transformer over time has a number less."""
    found = _BLOCK.fullmatch(name)
    if found is None or found[3] != "3":
        return name
    before = found[1] if found[2] is None else f"{found[1]}.{found[2]}"
    return f"{before}.2.{found[4]}"


def _as_product(name: str, weight: Tensor) -> Tensor:
    projects = name.rsplit(".", 2)[-2] in ("proj_in", "proj_out")
    return weight.squeeze(-1) if projects and weight.ndim == 3 else weight


def rate_embedding(tensors: Tensors) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The configuration of what embeds the rate, a TimestepEmbedding, and its weights."""
    width, out = tensors[f"{PREFIX}time_embed.0.weight"].shape[::-1]
    config = {"in_channels": width, "time_embed_dim": out}
    named = {"linear_1": "0", "linear_2": "2"}
    with torch.device("meta"):
        wanted = TimestepEmbedding(**config).state_dict()
    places = {name: f"{PREFIX}{FPS}.{named[name.split('.')[0]]}.{name.split('.')[1]}" for name in wanted}
    return config, {name: tensors[place] for name, place in places.items()}


def scheduler_entries(tensors: Tensors) -> dict[str, Any]:
    """What a folder's scheduler says of the shares of the clean latents. Raises WeightsError for shares of no line."""
    if SCALES not in tensors:
        return {}
    shares = tensors[SCALES].double()
    last = float(tensors[SCALES][-1])
    steps = 1 + int((shares > shares[-1] + 1e-6).sum())
    if (falling(last, steps, len(shares)) - shares).abs().max() > 1e-5:
        raise WeightsError(f"{SCALES} of the checkpoint falls in no straight line, and nothing here walks by it")
    return {LAST: round(last, 6), STEPS: steps}


def write_beside(tensors: Tensors, folder: Path) -> None:
    """Writes what is not in ModelScope's folder: the embedding of the rate, shares of levels, and the family.

    Raises KeyError where the embedding is there in part.
    """
    if any(name.startswith(f"{PREFIX}{FPS}.") for name in tensors):
        config, weights = rate_embedding(tensors)
        place = folder / FPS
        place.mkdir()
        (place / "config.json").write_text(json.dumps(config))
        save_file({name: weight.contiguous() for name, weight in weights.items()}, place / "model.safetensors")
    levels = folder / "scheduler" / "scheduler_config.json"
    held = json_object(levels) | scheduler_entries(tensors)
    levels.unlink()  # it may be a link to another model's
    levels.write_text(json.dumps(held))
    own = folder / "recast.json"
    facts = json_object(own) if own.exists() else {}
    own.unlink(missing_ok=True)
    own.write_text(json.dumps(facts | FACTS))


def network_of(config: Mapping[str, Any]) -> nn.Module:
    """A network of a folder's configuration. Raises WeightsError for one that is not ModelScope's."""
    if config.get("_class_name") != UNet3DConditionModel.__name__:
        raise WeightsError(f"a {config.get('_class_name')} is no UNet of VideoCrafter's; say --like modelscope")
    network: Any = UNet3DConditionModel.from_config(dict(config))
    return network
