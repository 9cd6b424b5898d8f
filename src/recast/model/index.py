"""What a model folder says of itself as a whole: model_index.json, or that of diffusers' modular pipelines."""

from pathlib import Path
from typing import Any

from recast.model.metadata import json_object

INDEXES = ("model_index.json", "modular_model_index.json")
"""Files of which a model folder has one; the first that is there counts."""
MODULAR = {
    "LTX2ModularPipeline": "LTX2Pipeline",
    "LTXModularPipeline": "LTXPipeline",
    "StableDiffusionXLModularPipeline": "StableDiffusionXLPipeline",
    "Wan22ModularPipeline": "WanPipeline",
    "Wan22VaceModularPipeline": "WanVACEPipeline",
    "WanModularPipeline": "WanPipeline",
}
"""The pipeline that has the same parts in the same folders, by the class of a modular one."""


def has_index(folder: Path) -> bool:
    """Whether it is in diffusers' layout."""
    return any((folder / name).is_file() for name in INDEXES)


def read_index(folder: Path) -> dict[str, Any]:
    """The pipeline's class, and facts such as `boundary_ratio`, of a folder that has an index.

    A modular pipeline goes by the class of the one with the same parts. Where its parts lie is not read: they are those
    in the folder. Raises WeightsError for a damaged file.
    """
    held = json_object(folder / next(name for name in INDEXES if (folder / name).is_file()))
    return held | {"_class_name": MODULAR.get(str(held.get("_class_name")), held.get("_class_name"))}
