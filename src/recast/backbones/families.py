"""Families of networks by name, and which of them a model folder is of."""

from collections.abc import Callable, Set
from functools import partial
from importlib import import_module
from typing import Any

from recast.backbones.backbone import Backbone
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.model.index import read_index


def _opened(family: str, folder: ModelFolder, **how: Any) -> Backbone:  # noqa: ANN401 -- device, dtype, or a family's own
    # Networks take seconds to import, and only those of the folder at hand are needed.
    return import_module(f"recast.backbones.{family}").opened(folder, **how)


FAMILIES = (
    "gen1",
    "stable_diffusion",
    "animatediff",
    "image_variations",
    "lavie",
    "modelscope",
    "space_time",
    "videocrafter",
    "svd",
    "wan",
    "ltx",
    "cogvideox",
)
BACKBONES: dict[str, Callable[..., Backbone]] = {family: partial(_opened, family) for family in FAMILIES}
"""What opens a model folder, by its family: `opened` of the package of that name."""

PIPELINES = {
    "AnimateDiffControlNetPipeline": "animatediff",
    "AnimateDiffPipeline": "animatediff",
    "BerniniRendererPipeline": "wan",
    "CogVideoXImageToVideoPipeline": "cogvideox",
    "CogVideoXPipeline": "cogvideox",
    "Gen1": "gen1",
    "LTX2Pipeline": "ltx",
    "LTXPipeline": "ltx",
    "LucyEditPipeline": "wan",
    "StableDiffusionControlNetPipeline": "stable_diffusion",
    "StableDiffusionDepth2ImgPipeline": "stable_diffusion",
    "StableDiffusionImageVariationPipeline": "image_variations",
    "StableDiffusionInstructPix2PixPipeline": "stable_diffusion",
    "StableDiffusionPipeline": "stable_diffusion",
    "StableDiffusionXLPipeline": "stable_diffusion",
    "StableVideoDiffusionPipeline": "svd",
    "TextToVideoSDPipeline": "modelscope",
    "WanPipeline": "wan",
    "WanVACEPipeline": "wan",
}
"""The family of a folder that does not say it, by the class that its model_index.json names."""


_BESIDES = {
    "pose_estimator": "--structure pose with other models",
    "segmenter": "recast mask --words",
    "tiny_vae": "--decoder tiny with other models",
}
"""What a folder without an autoencoder is for, by its component."""


def use_besides(folder: ModelFolder) -> str | None:
    """What the folder is for, where it is of a network that edits nothing by itself; None for other folders."""
    return use_of(frozenset(filter(folder.has, (*_BESIDES, "vae"))))


def use_of(components: Set[str]) -> str | None:
    """The same of a folder with these components."""
    return next((use for part, use in _BESIDES.items() if part in components and "vae" not in components), None)


def family_of(folder: ModelFolder) -> str:
    """The name in BACKBONES of what opens a folder. Raises WeightsError for a family that is not known."""
    if use := use_besides(folder):
        raise WeightsError(f"this model is for {use}, and edits nothing by itself; {folder.path}")
    if folder.metadata.family is not None:
        return _known(folder.metadata.family, f"recast.json names the family {folder.metadata.family!r}", folder)
    named = read_index(folder.path).get("_class_name")
    return _known(PIPELINES.get(str(named)), f"model_index.json names the class {named!r}", folder)


def _known(family: str | None, reason: str, folder: ModelFolder) -> str:
    if family not in BACKBONES:
        known = f"families are {', '.join(BACKBONES)}, classes {', '.join(PIPELINES)}"
        raise WeightsError(f"{reason}, which is not known; {known}: say one in recast.json as family; {folder.path}")
    return family
