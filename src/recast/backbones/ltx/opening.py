"""Opens a folder of LTXPipeline or of LTX2Pipeline."""

import torch

from recast.backbones.ltx import backbone, ltx2
from recast.backbones.ltx.backbone import LTXBackbone
from recast.model.folder import ModelFolder
from recast.model.metadata import json_object


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> LTXBackbone:
    """By the class that the transformer's config.json names. Raises what opening raises."""
    named = json_object(model.component("transformer") / "config.json").get("_class_name")
    kind = ltx2 if named == "LTX2VideoTransformer3DModel" else backbone
    return kind.opened(model, device=device, dtype=dtype)
