"""Checkpoints of Stable Diffusion 1 in one .safetensors file, made into model folders like another one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copytree
from typing import Any

from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from recast.errors import WeightsError
from recast.files import disk_told, whole_folder
from recast.model.folder import ModelFolder, quiet
from recast.model.metadata import json_object

TEXT = "cond_stage_model.transformer."
OTHERS = {"conditioner.embedders.": "SDXL", "cond_stage_model.model.": "Stable Diffusion 2"}
"""What other families' checkpoints hold, and the families."""
_REPLACED = ("unet", "vae", "text_encoder")


def import_checkpoint(file: Path, like: ModelFolder, target: Path) -> None:
    """Writes a folder with the checkpoint's networks and all other parts of `like`; all of it or nothing.

    Raises WeightsError for a pickle, a damaged file, a checkpoint of another family, and weights that are missing or
    left over; WriteError for a full disk.
    """
    tensors = _read(file)
    with quiet():
        networks = {
            "unet": _unet(tensors, like, file),
            "vae": _vae(tensors, like, file),
            "text_encoder": _text_encoder(tensors, like, file),
        }
        with disk_told(target), whole_folder(target) as folder:
            copytree(like.path, folder, symlinks=True, dirs_exist_ok=True, ignore=_left_out(like.path))
            for name, network in networks.items():
                network.save_pretrained(folder / name)


def _left_out(like: Path) -> Callable[[str, list[str]], set[str]]:
    return lambda folder, names: {*_REPLACED, "pulled.json"} & {*names} if Path(folder) == like else set()


def _read(file: Path) -> dict[str, Tensor]:
    if file.suffix.lower() != ".safetensors":
        way_out = "take its .safetensors version, or convert it on a machine that may run it"
        raise WeightsError(f"{file.name} is no safetensors file; pickles can run code when read: {way_out}; {file}")
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as fault:
        raise WeightsError(f"{file.name} is no whole safetensors file ({fault}); get it again; {file}") from fault
    for start, family in OTHERS.items():
        if any(name.startswith(start) for name in tensors):
            raise WeightsError(f"{file.name} is a checkpoint of {family}; those of Stable Diffusion 1 are imported")
    if not any(name.startswith(TEXT) for name in tensors):
        some = ", ".join(list(tensors)[:3])
        raise WeightsError(f"{file.name} is no checkpoint of Stable Diffusion 1: it has no {TEXT}*, but {some}; {file}")
    return {name: tensor.float() for name, tensor in tensors.items()}


def _unet(tensors: dict[str, Tensor], like: ModelFolder, file: Path) -> nn.Module:
    config = json_object(like.component("unet") / "config.json")
    if config.get("_class_name") != UNet2DConditionModel.__name__:
        raise WeightsError(
            f"the unet of {like.path} is a {config.get('_class_name')}; take a folder with an image UNet"
        )
    network: Any = UNet2DConditionModel.from_config(config)
    return _filled(network, _converted(convert_ldm_unet_checkpoint, tensors, config, file), "unet", file)


def _vae(tensors: dict[str, Tensor], like: ModelFolder, file: Path) -> nn.Module:
    config = json_object(like.component("vae") / "config.json")
    network: Any = AutoencoderKL.from_config(config)
    return _filled(network, _converted(convert_ldm_vae_checkpoint, tensors, config, file), "vae", file)


def _text_encoder(tensors: dict[str, Tensor], like: ModelFolder, file: Path) -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel

    network = CLIPTextModel(CLIPTextConfig.from_pretrained(like.component("text_encoder"), local_files_only=True))
    own = {name: name if name.startswith("text_model.") else f"text_model.{name}" for name in network.state_dict()}
    held = {name: tensors[f"{TEXT}{theirs}"] for name, theirs in own.items() if f"{TEXT}{theirs}" in tensors}
    return _filled(network, held, "text_encoder", file)


def _converted(convert: object, tensors: dict[str, Tensor], config: dict, file: Path) -> dict[str, Tensor]:
    assert callable(convert)
    try:
        return {name: tensor for name, tensor in convert(tensors, config).items() if tensor is not None}
    except (AttributeError, KeyError, IndexError) as fault:
        raise WeightsError(f"{file.name} lacks a part of the network ({fault!r}); get it again; {file}") from fault


def _filled(network: nn.Module, weights: Mapping[str, Tensor], name: str, file: Path) -> nn.Module:
    """The network with these weights. Raises WeightsError where they are not exactly its own."""
    wanted = network.state_dict()
    for wrong, odd in {"lacks": wanted.keys() - weights.keys(), "leaves over": weights.keys() - wanted.keys()}.items():
        if odd:
            raise WeightsError(f"{file.name} {wrong} {len(odd)} weights of {name}, such as {min(odd)}; {file}")
    for each, weight in wanted.items():
        if weight.shape != weights[each].shape:
            shapes = f"{tuple(weights[each].shape)}, and the folder's configuration has {tuple(weight.shape)}"
            raise WeightsError(f"{file.name}: {name}'s {each} is {shapes}; take a folder of its kind for --like")
    network.load_state_dict(weights)
    return network
