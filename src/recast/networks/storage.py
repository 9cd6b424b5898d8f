"""A space-time UNet on disk: image weights in diffusers' layout, temporal weights beside them."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.model.metadata import ModelMetadata
from recast.networks.spacetime import SpaceTimeUNet

IMAGE_FILE = "diffusion_pytorch_model.safetensors"
TEMPORAL_FILE = "model.safetensors"


def save(net: SpaceTimeUNet, folder: str | PathLike[str], dtype: torch.dtype | None = None) -> None:
    """Writes folder/unet, which diffusers reads as an image UNet, and folder/temporal. dtype: None keeps it."""
    image, temporal = Path(folder) / "unet", Path(folder) / "temporal"
    net.unet.save_config(image)
    temporal.mkdir(parents=True, exist_ok=True)
    config = {"max_frames": net.max_frames} | ({"causal": True} if net.causal else {})
    (temporal / "config.json").write_text(json.dumps(config) + "\n")
    save_file(_stored(net.image_state_dict(), dtype), image / IMAGE_FILE, metadata={"format": "pt"})
    save_file(_stored(net.temporal_state_dict(), dtype), temporal / TEMPORAL_FILE, metadata={"format": "pt"})


def loaded(model: ModelFolder | str | PathLike[str], dtype: torch.dtype = torch.float32) -> SpaceTimeUNet:
    """The network in a folder that `save` wrote, in evaluation mode.

    Raises WeightsError where a part is missing, is not safetensors, does not fit its config, or is not finite.
    """
    folder = model if isinstance(model, ModelFolder) else ModelFolder(Path(model), ModelMetadata())
    path = folder.component("temporal")
    unet = folder.network("unet", UNet2DConditionModel)
    most, causal = _layers_over_time(path / "config.json")
    net = SpaceTimeUNet(unet, max_frames=most, causal=causal)
    weights = load_file(min(path.glob("*.safetensors"), key=lambda file: len(file.name)))  # fp16 only if alone
    _check(net.temporal_state_dict(), weights, path)
    net.unet.load_state_dict(weights, strict=False)
    return net.to(dtype=dtype).eval()


def _layers_over_time(path: Path) -> tuple[int, bool]:
    """The most frames that they have places for, and whether none sees a later one."""
    try:
        config = json.loads(path.read_text("utf-8"))
        return int(config["max_frames"]), config.get("causal") is True
    except (OSError, ValueError, TypeError, KeyError) as fault:
        wrong = f"temporal/config.json does not say max_frames ({type(fault).__name__})"
        raise WeightsError(f"{wrong}; get the whole folder; {path.parent}") from fault


def _check(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path) -> None:
    for wrong, names in {"lacks": wanted.keys() - given.keys(), "has unknown": given.keys() - wanted.keys()}.items():
        if names:
            raise WeightsError(
                f"temporal {wrong} {len(names)} weights, such as {min(names)}; get the whole folder; {path}"
            )
    for name, weight in wanted.items():
        if weight.shape != given[name].shape:
            shapes = f"{tuple(given[name].shape)} where unet/config.json asks for {tuple(weight.shape)}"
            raise WeightsError(f"temporal: {name} is {shapes}; unet and temporal are of two networks; {path}")
        if not given[name].isfinite().all():
            wrong = f"{name} holds NaN or Inf"
            raise WeightsError(f"temporal: {wrong}; the file is damaged or its training diverged: get another; {path}")


def _stored(weights: Mapping[str, Tensor], dtype: torch.dtype | None) -> dict[str, Tensor]:
    cpu = torch.device("cpu")
    return {name: weight.to(cpu, dtype or weight.dtype).contiguous() for name, weight in weights.items()}
