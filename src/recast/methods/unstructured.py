"""What methods have alike that keep a clip by noising it alone, not by its structure."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.methods.knobs import UnitInterval
from recast.types import Condition, Kind, Structure


@dataclass(frozen=True, kw_only=True)
class NoisedSourceKnobs:
    """What a method inherits that starts from the noised source and reads no structure."""

    needs_source: ClassVar[bool] = False

    strength: UnitInterval = 0.6
    """How much is made anew: more follows the content, less keeps the source; 0 gives the source back."""

    @property
    def ignores(self) -> frozenset[str]:
        """What structure is kept: none."""
        return frozenset({"structure", "structure_detail"})


def unstructured(inputs: DenoiseInputs, backbone: Backbone) -> DenoiseInputs:
    """The inputs without their structure: a flat one of the least detail where the network reads any.

    What an instructed network reads is the clip itself, and stays.
    """
    condition = inputs.condition
    if not backbone.structure_kinds or (condition.structure_channels is None and not condition.controls):
        return inputs
    kind = min(backbone.structure_kinds)
    value = 0.5 if kind is Kind.DEPTH else 0.0
    flat = torch.full((len(inputs.clip), kind.channels, *inputs.clip.size), value)
    bare: Condition = replace(condition, structure_channels=None, controls=())
    flattened = backbone.with_structures(bare, [Structure(kind, flat, detail=7)], inputs.steps)
    return replace(inputs, condition=flattened)
