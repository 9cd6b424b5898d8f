"""Writes trained networks as a model folder in diffusers' layout, weights as safetensors, for `recast edit -m`."""

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from diffusers.models.embeddings import ImageProjection
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from safetensors.torch import save_file
from torch import nn
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.glpn.image_processing_pil_glpn import GLPNImageProcessorPil

from recast.files import disk_told, whole_folder
from recast.model.folder import COMPONENTS, ModelFolder
from recast.model.metadata import ModelMetadata
from recast.networks.clip_pair import Pair
from recast.networks.generator import Generator
from recast.networks.storage import save

CLASSES = {
    "unet": ["diffusers", "UNet2DConditionModel"],
    "temporal": ["recast", "SpaceTimeUNet"],
    "vae": ["diffusers", "AutoencoderKL"],
    "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "prior": ["diffusers", "PriorTransformer"],
    "projection": ["diffusers", "ImageProjection"],
    "depth_estimator": ["recast", "DepthUNet"],
    "scheduler": ["diffusers", "DDIMScheduler"],
}
"""Library and class of each component, for model_index.json."""

GREY = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def write_generator(network: Generator, folder: Path, *, dtype: torch.dtype) -> None:
    """Writes unet, temporal and projection."""
    save(network.net, folder, dtype)
    _write_projection(network.projection, folder / "projection", dtype)


@runtime_checkable
class Saved(Protocol):
    """A network of diffusers or transformers."""

    config: Any

    def to(self, dtype: torch.dtype) -> "Saved":
        """The same network in another precision."""
        ...

    def save_pretrained(self, folder: Path, *, safe_serialization: bool) -> object:
        """Writes its configuration and weights."""
        ...


def write_autoencoder(network: Saved, folder: Path, *, dtype: torch.dtype) -> None:
    """Writes vae."""
    network.to(dtype).save_pretrained(folder / "vae", safe_serialization=True)


def write_depth(network: Saved, folder: Path, *, dtype: torch.dtype) -> None:
    """Writes depth_estimator."""
    network.to(dtype).save_pretrained(folder / "depth_estimator", safe_serialization=True)
    divisor = 2 ** len(network.config.widths)
    GLPNImageProcessorPil(size_divisor=divisor).save_pretrained(folder / "depth_estimator")


def write_pair(network: Pair, folder: Path, *, dtype: torch.dtype) -> None:
    """Writes image_encoder, feature_extractor and text_encoder."""
    parts: dict[str, Any] = {"image_encoder": network.image, "text_encoder": network.text}
    for name, part in parts.items():
        part.to(dtype).save_pretrained(folder / name, safe_serialization=True)
    side = parts["image_encoder"].config.image_size
    CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=side, **GREY).save_pretrained(
        folder / "feature_extractor"
    )


def write_prior(network: Saved, folder: Path, *, dtype: torch.dtype) -> None:
    """Writes prior."""
    network.to(dtype).save_pretrained(folder / "prior", safe_serialization=True)


WRITERS: dict[str, Callable[..., None]] = {
    "unet": write_generator,
    "vae": write_autoencoder,
    "depth_estimator": write_depth,
    "image_encoder": write_pair,
    "prior": write_prior,
}
"""Writers of a stage's network, by the stage's component."""


BESIDE: dict[str, tuple[str, ...]] = {
    "unet": ("temporal", "projection", "scheduler"),
    "image_encoder": ("text_encoder", "feature_extractor"),
}
"""Further components that are written together with one."""


def publish(
    network: nn.Module,
    component: str,
    folder: Path,
    *,
    start: ModelFolder | None = None,
    facts: ModelMetadata | None = None,
    levels: Mapping[str, Any] | None = None,
) -> None:
    """Writes a trained network into a new model folder, with all other components of the model it started from.

    facts: metadata of the new model; None keeps the start's. levels: config of a diffusers scheduler, for a generator.
    The folder is written atomically.
    """
    with disk_told(folder), whole_folder(folder) as part:
        if start is not None:
            _copy(start, part, but={component, *BESIDE.get(component, ())})
        WRITERS[component](network, part, dtype=torch.float32)
        if levels is not None:
            DDIMScheduler(**levels).save_pretrained(part / "scheduler")
        if facts is not None:
            write_facts(part, facts)
        write_index(part)


def write_index(folder: Path) -> None:
    """Writes model_index.json, which lists the folder's components."""
    known = {name: kind for name, kind in CLASSES.items() if (folder / name).is_dir()}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "Gen1", **known}, indent=1) + "\n")


def write_facts(folder: Path, facts: ModelMetadata) -> None:
    """Writes recast.json, without fields that have their default."""
    usual = asdict(ModelMetadata())
    changed = {name: value for name, value in asdict(facts).items() if value != usual[name]}
    (folder / "recast.json").write_text(json.dumps(changed, indent=1) + "\n")


def _copy(start: ModelFolder, folder: Path, *, but: Collection[str]) -> None:
    for name in COMPONENTS:
        if start.has(name) and name not in but:
            shutil.copytree(start.path / name, folder / name)
    for name in ("recast.json", start.metadata.known_words):
        if name and (start.path / name).is_file():
            shutil.copy(start.path / name, folder / name)


def _write_projection(projection: ImageProjection, folder: Path, dtype: torch.dtype) -> None:
    folder.mkdir()
    weights = {name: weight.to("cpu", dtype).contiguous() for name, weight in projection.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    tokens = projection.num_image_text_embeds
    wide = projection.image_embeds
    config = {
        "image_embed_dim": wide.in_features,
        "cross_attention_dim": wide.out_features // tokens,
        "num_image_text_embeds": tokens,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
