"""What a model can do, in nine lines: of one that is open, and of one by name before it is pulled."""

from collections.abc import Set
from dataclasses import dataclass, replace

from recast.backbones.backbone import Backbone
from recast.backbones.families import PIPELINES, family_of
from recast.model.folder import ModelFolder
from recast.model.metadata import ModelMetadata
from recast.model.spec_parts import ModelSpec


@dataclass(frozen=True)
class ModelAbilities:
    """What a model can do. max_frames: latents over time that it sees at once, None where each is an image.

    content and structure: names of what it reads. pixel_multiple, short_side: in pixels. temporal_stride: frames that
    share a latent. metadata: the method, guidance and steps of an edit that says none.
    """

    family: str
    content: Set[str]
    structure: Set[str]
    estimates_depth: bool
    max_frames: int | None
    temporal_stride: int
    pixel_multiple: int
    short_side: int
    metadata: ModelMetadata

    @classmethod
    def of(cls, backbone: Backbone, folder: ModelFolder) -> "ModelAbilities":
        """Of an open model."""
        return cls(
            family_of(folder),
            backbone.media,
            backbone.structure_kinds,
            folder.has("depth_estimator"),
            backbone.max_frames if backbone.has_temporal_layers else None,
            backbone.temporal_stride,
            backbone.pixel_multiple,
            backbone.short_side,
            folder.metadata,
        )

    @property
    def facts(self) -> dict[str, object]:
        """In words and numbers, as `recast models info` prints them."""
        own = self.metadata
        return {
            "family": self.family,
            "content": sorted(self.content),
            "structure": sorted(self.structure),
            "estimates depth": self.estimates_depth,
            "layers over time": self.max_frames is not None,
            "frames at once": self.max_frames or "any, each an image",
            "frames a latent": self.temporal_stride,
            "sides": f"multiples of {self.pixel_multiple} px; short side {self.short_side} px",
            "method, cfg, steps": f"{own.method}, {own.cfg_scale:g}, {own.steps}",
        }


@dataclass(frozen=True)
class _Latents:
    """Of the networks that a pipeline's public weights have; see `ModelAbilities`."""

    max_frames: int | None = None
    temporal_stride: int = 1
    pixel_multiple: int = 8


_WAN = _Latents(1024, 4, 16)
_MOTION = _Latents(32)
_LTX = _Latents(128, 8, 32)
_COG = _Latents(128, 4, 16)
_BY_PIPELINE = {
    "AnimateDiffControlNetPipeline": _MOTION,
    "AnimateDiffPipeline": _MOTION,
    "BerniniRendererPipeline": _WAN,
    "CogVideoXImageToVideoPipeline": _COG,
    "CogVideoXPipeline": _COG,
    "LTX2Pipeline": _LTX,
    "LTXPipeline": _LTX,
    "LucyEditPipeline": replace(_WAN, pixel_multiple=32),
    "StableDiffusionImageVariationPipeline": _MOTION,
    "StableVideoDiffusionPipeline": _Latents(1024),
    "TextToVideoSDPipeline": _Latents(1024),
    "WanPipeline": _WAN,
    "WanVACEPipeline": _WAN,
}
"""By the class of model_index.json; image models are as `_Latents` has it."""


def abilities_of_spec(spec: ModelSpec) -> ModelAbilities:
    """Of a model by name, from what is known of its networks before a pull."""
    parts, metadata = spec.components, ModelMetadata(**spec.metadata)
    latents = _BY_PIPELINE.get(spec.pipeline, _Latents())
    return ModelAbilities(
        metadata.family or PIPELINES[spec.pipeline],
        spec.content,
        frozenset(metadata.structures) if "depth_estimator" in parts else frozenset(),
        "depth_estimator" in parts,
        latents.max_frames,
        latents.temporal_stride,
        latents.pixel_multiple,
        metadata.short_side,
        metadata,
    )
