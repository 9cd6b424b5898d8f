"""A trained system as a model folder: its networks, and pocket's autoencoder, text encoder and depth estimator."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from safetensors.torch import save_file

from recast.files import disk_told, whole_folder
from recast.model.folder import ModelFolder
from recast.model.metadata import ModelMetadata
from recast.networks import storage
from recast.networks.conditioned import ENCODER, ConditionedVideo
from recast.recipes.pocket.networks import POCKET_LEVELS
from recast.training import export
from recast.world.instructions import INSTRUCTION_WORDS

SHARED = ("vae", "text_encoder", "tokenizer", "depth_estimator")
"""The components that are the base's own."""
OF_PICTURES = ("image_encoder", "feature_extractor")
"""Those besides, where the network reads a picture."""
WEIGHTS, WORDS = "model.safetensors", "words.txt"


def write(folder: Path, network: ConditionedVideo, base: ModelFolder, facts: ModelMetadata) -> None:
    """Writes the model folder atomically; what stood in its place before is gone.

    base: the model whose other components it takes. facts: its recast.json.
    """
    shutil.rmtree(folder, ignore_errors=True)
    parts: dict[str, Any] = dict(network.parts.items())
    encoder = parts.get(ENCODER)
    pictured = encoder is not None and encoder.picture is not None
    with disk_told(folder), whole_folder(folder) as part:
        for name in (*SHARED, *(OF_PICTURES if pictured else ())):
            shutil.copytree(base.component(name), part / name)
        storage.save(network.net, part, torch.float32)
        for name, module in parts.items():
            write_part(module, part / name)
        DDIMScheduler(**POCKET_LEVELS).save_pretrained(part / "scheduler")
        export.write_facts(part, facts)
        words = (base.path / WORDS).read_text("utf-8").split()
        (part / WORDS).write_text("\n".join(sorted({*words, *INSTRUCTION_WORDS})) + "\n", "utf-8")
        (part / "model_index.json").write_text(json.dumps({"_class_name": "SpaceTime"}) + "\n")


def write_part(module: Any, folder: Path) -> None:  # noqa: ANN401 -- a network of diffusers, or one that says its config
    """Writes a network beside the UNet into a folder, with its configuration."""
    saved = getattr(module, "save_pretrained", None)
    if saved is not None:
        saved(folder, safe_serialization=True)
        return
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(module.config, indent=1) + "\n")
    weights = {
        name: weight.detach().to("cpu", torch.float32).contiguous() for name, weight in module.state_dict().items()
    }
    save_file(weights, folder / WEIGHTS)
