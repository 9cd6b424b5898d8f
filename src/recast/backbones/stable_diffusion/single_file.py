"""Checkpoints in one file, of Stable Diffusion 1, 2 and XL, VideoCrafter and LaVie, as folders like another."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from shutil import copytree
from typing import Any

from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from recast.backbones.lavie import checkpoint as lavie
from recast.backbones.stable_diffusion.single_parts import check_part, filled, part_in, write_part
from recast.backbones.videocrafter import checkpoint as videocrafter
from recast.errors import RequestError, WeightsError
from recast.files import disk_told, whole_folder
from recast.model.folder import ModelFolder, quiet
from recast.model.metadata import json_object

TEXTS: dict[str, dict[str, str]] = {
    "Stable Diffusion 1": {"text_encoder": "cond_stage_model.transformer."},
    "Stable Diffusion 2": {"text_encoder": "cond_stage_model.model."},
    "Stable Diffusion XL": {
        "text_encoder": "conditioner.embedders.0.transformer.",
        "text_encoder_2": "conditioner.embedders.1.model.",
    },
}
"""By family, its text encoders, and how their weights' names begin in a checkpoint; those of OpenCLIP end in model."""


def import_checkpoint(file: Path, like: ModelFolder, target: Path) -> None:
    """Writes a folder with the checkpoint's networks and all other parts of `like`; all of it or nothing.

    The file may also be of one part: a ControlNet, motion modules or an IP-Adapter; of VideoCrafter's networks, with
    ModelScope's folder for `like`; and of LaVie's network, with Stable Diffusion 1's. Raises WeightsError for a pickle,
    a damaged file, a checkpoint of another family, and weights that are missing or left over; RequestError where there
    is no such file and where `like` has no place for a part, WriteError for a full disk.
    """
    tensors = _read(file)
    with quiet():
        left_out, write = _plan(tensors, like, file)
        with disk_told(target), whole_folder(target) as folder:
            copytree(like.path, folder, symlinks=True, dirs_exist_ok=True, ignore=_left_out(like.path, left_out))
            write(folder)


def _plan(tensors: dict[str, Tensor], like: ModelFolder, file: Path) -> tuple[Sequence[str], Callable[[Path], None]]:
    """Which components of `like` are left out, and what writes their like into the folder that has the others."""
    if lavie.is_lavie(tensors):
        return lavie.WRITTEN, lambda folder: lavie.write_beside(tensors, like, file, folder)
    part = part_in(tensors)
    if part is not None:
        check_part(part, like)
        return [part], lambda folder: write_part(part, tensors, like, file, folder)
    texts = _texts(tensors, file)
    networks = {"unet": _unet(tensors, like, file), "vae": _vae(tensors, like, file)}
    networks |= {name: _text_encoder(tensors, like, name, (prefix, file)) for name, prefix in texts.items()}

    def write(folder: Path) -> None:
        for name, network in networks.items():
            network.save_pretrained(folder / name)
        if videocrafter.is_videocrafter(tensors):
            videocrafter.write_beside(tensors, folder)

    return [*networks, videocrafter.FPS], write


def _left_out(like: Path, networks: Iterable[str]) -> Callable[[str, list[str]], set[str]]:
    return lambda folder, names: {*networks, "pulled.json"} & {*names} if Path(folder) == like else set()


def _read(file: Path) -> dict[str, Tensor]:
    """The file's weights, in fp32."""
    if file.suffix.lower() != ".safetensors":
        way_out = "take its .safetensors version, or convert it on a machine that may run it"
        raise WeightsError(f"{file.name} is no safetensors file; pickles can run code when read: {way_out}; {file}")
    if not file.is_file():
        raise RequestError(f"there is no such file: {file}")
    try:
        return {name: tensor.float() for name, tensor in load_file(file).items()}
    except (OSError, SafetensorError) as fault:
        raise WeightsError(f"{file.name} is no whole safetensors file ({fault}); get it again; {file}") from fault


def _texts(tensors: Mapping[str, Tensor], file: Path) -> dict[str, str]:
    """A checkpoint's text encoders, as in TEXTS."""
    for texts in TEXTS.values():
        if all(any(name.startswith(prefix) for name in tensors) for prefix in texts.values()):
            return texts
    some = ", ".join(list(tensors)[:3])
    raise WeightsError(
        f"{file.name} is no checkpoint of {', '.join(TEXTS)}: it has no text encoder, but {some}; LoRA and "
        f"learned words are given as --adapter; {file}"
    )


def _unet(tensors: dict[str, Tensor], like: ModelFolder, file: Path) -> nn.Module:
    config = json_object(like.component("unet") / "config.json")
    if videocrafter.is_videocrafter(tensors):
        network = videocrafter.network_of(config)
        return filled(network, _converted(videocrafter.unet_weights, tensors, config, file), "unet", file)
    if config.get("_class_name") != UNet2DConditionModel.__name__:
        raise WeightsError(
            f"the unet of {like.path} is a {config.get('_class_name')}; take a folder with an image UNet"
        )
    network: Any = UNet2DConditionModel.from_config(config)
    return filled(network, _converted(convert_ldm_unet_checkpoint, tensors, config, file), "unet", file)


def _vae(tensors: dict[str, Tensor], like: ModelFolder, file: Path) -> nn.Module:
    config = json_object(like.component("vae") / "config.json")
    network: Any = AutoencoderKL.from_config(config)
    return filled(network, _converted(convert_ldm_vae_checkpoint, tensors, config, file), "vae", file)


def _text_encoder(tensors: dict[str, Tensor], like: ModelFolder, name: str, where: tuple[str, Path]) -> nn.Module:
    """A text encoder of the folder's configuration with the weights whose names begin as `where` tells, in its file.

    Stable Diffusion 2 reads the last layer but one, and folders of it leave the last one out.
    """
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    (prefix, file), kind = where, CLIPTextModel if name == "text_encoder" else CLIPTextModelWithProjection
    network = kind(CLIPTextConfig.from_pretrained(like.component(name), local_files_only=True))
    if prefix.endswith(".model."):
        theirs = convert_open_clip_checkpoint(network, tensors, prefix=prefix)
    else:
        theirs = {each.removeprefix(prefix): tensor for each, tensor in tensors.items() if each.startswith(prefix)}
    own = {each: each if each.startswith("text_") else f"text_model.{each}" for each in network.state_dict()}
    held = {each: theirs[other] for each, other in own.items() if other in theirs}
    return filled(network, held, name, file)


def _converted(convert: object, tensors: dict[str, Tensor], config: dict, file: Path) -> dict[str, Tensor]:
    assert callable(convert)
    try:
        return {name: tensor for name, tensor in convert(tensors, config).items() if tensor is not None}
    except (AttributeError, KeyError, IndexError) as fault:
        raise WeightsError(f"{file.name} lacks a part of the network ({fault!r}); get it again; {file}") from fault
