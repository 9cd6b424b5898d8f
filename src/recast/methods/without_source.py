"""What a network is conditioned on where there is no source, and which networks cannot do without one."""

from dataclasses import replace

import torch

from recast.backbones.backbone import Backbone, PictureBackbone
from recast.backbones.video_control import VideoControlBackbone
from recast.denoising import DenoiseInputs
from recast.errors import BackboneError
from recast.types import Condition, Kind, Structure

STEPS = 50
"""Of the walk by which it is asked whether a structure may have no weight."""


def check_without_source(backbone: Backbone, *, flat: bool) -> None:
    """Raises BackboneError for a network that makes no clip without a source. flat: a flat structure is given to it."""
    instead = "take a model that makes clips from words, such as animatediff, wan-1.3b or ltx-0.9"
    if isinstance(backbone, PictureBackbone) or (isinstance(backbone, VideoControlBackbone) and backbone.reads_clip):
        raise BackboneError(f"the model's network reads the clip to edit, and there is none; {instead}")
    if not flat and _needs_structure(backbone):
        raise BackboneError(
            f"the model was always given the structure of a clip, and there is none; {instead}, or say --set "
            "flat_structure=true for a flat one, from which only coarse colours and places come"
        )


def without_structure(inputs: DenoiseInputs, backbone: Backbone, *, flat: bool) -> Condition:
    """The condition of a clip that has no structure: of no weight where that can be, else flat where asked for.

    Raises what `check_without_source` raises.
    """
    check_without_source(backbone, flat=flat)
    condition = inputs.condition
    needed = _needs_structure(backbone)
    if not backbone.structure_kinds or (isinstance(backbone, VideoControlBackbone) and not needed):
        return condition
    kind = min(backbone.structure_kinds)
    maps = torch.full((len(inputs.clip), kind.channels, *inputs.clip.size), 0.5 if kind is Kind.DEPTH else 0.0)
    weight = 1.0 if needed else 0.0
    level = Structure(kind, maps, detail=7.0, weight=weight)
    bare = replace(condition, structure_channels=None, controls=())
    return backbone.with_structures(bare, [level], inputs.steps)


def _needs_structure(backbone: Backbone) -> bool:
    """Whether a structure is among the network's input channels, so that its weight cannot be 0."""
    if not backbone.structure_kinds:
        return False
    kind = min(backbone.structure_kinds)
    try:
        backbone.check_structures([Structure(kind, torch.zeros(1, kind.channels, 1, 1), weight=0.0)], STEPS)
    except BackboneError:
        return True
    return False
