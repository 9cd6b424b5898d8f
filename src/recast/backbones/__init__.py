"""Trained weights as encode, denoise and decode: a folder for each family of networks."""

from collections.abc import Callable

from recast.backbones import animatediff, gen1, ltx, stable_diffusion, wan
from recast.backbones.backbone import Backbone
from recast.backbones.gen1 import Gen1Backbone
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.model.metadata import json_object

__all__ = ["BACKBONES", "Backbone", "Gen1Backbone", "family_of"]

BACKBONES: dict[str, Callable[..., Backbone]] = {
    "gen1": gen1.opened,
    "stable_diffusion": stable_diffusion.opened,
    "animatediff": animatediff.opened,
    "wan": wan.opened,
    "ltx": ltx.opened,
}
"""What opens a model folder, by its family."""

PIPELINES = {
    "AnimateDiffControlNetPipeline": "animatediff",
    "AnimateDiffPipeline": "animatediff",
    "Gen1": "gen1",
    "LTXPipeline": "ltx",
    "LucyEditPipeline": "wan",
    "StableDiffusionDepth2ImgPipeline": "stable_diffusion",
    "StableDiffusionInstructPix2PixPipeline": "stable_diffusion",
    "StableDiffusionPipeline": "stable_diffusion",
    "StableDiffusionXLPipeline": "stable_diffusion",
    "WanPipeline": "wan",
    "WanVACEPipeline": "wan",
}
"""The family of a folder that does not say it, by the class that its model_index.json names."""


def family_of(folder: ModelFolder) -> str:
    """The name in BACKBONES of what opens a folder. Raises WeightsError for a family that is not known."""
    if folder.metadata.family is not None:
        return _known(folder.metadata.family, f"recast.json names the family {folder.metadata.family!r}", folder)
    named = json_object(folder.path / "model_index.json").get("_class_name")
    return _known(PIPELINES.get(str(named)), f"model_index.json names the class {named!r}", folder)


def _known(family: str | None, reason: str, folder: ModelFolder) -> str:
    if family not in BACKBONES:
        known = f"families are {', '.join(BACKBONES)}, classes {', '.join(PIPELINES)}"
        raise WeightsError(f"{reason}, which is not known; {known}: say one in recast.json as family; {folder.path}")
    return family
