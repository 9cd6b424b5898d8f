"""Noise the source, denoise it to the new content: SDEdit, arXiv:2108.01073."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.methods.gen1 import Gen1
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.types import Condition, Kind, Latents, Structure


@dataclass(frozen=True, kw_only=True)
class SDEdit(Gen1):
    """Starts from the noised source without structure; the noised source is all that keeps it. arXiv:2108.01073.

    With a Gen-1 backbone it is the paper's ablation "~s" (arXiv:2302.03011, section 4.2). Differs: a network that was
    always given a structure is given a flat one of the least detail, which it has seen, rather than none.
    """

    paper: ClassVar[str] = "SDEdit, arXiv:2108.01073"
    needs: ClassVar[frozenset[Need]] = frozenset()
    needs_source: ClassVar[bool] = False

    strength: UnitInterval = 0.6
    """How much is made anew: more follows the content, less keeps the source; 0 gives the source back."""

    @property
    def ignores(self) -> frozenset[str]:
        """What structure is kept: none."""
        return frozenset({"structure", "structure_detail"})

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range."""
        return super().__call__(replace(inputs, condition=with_flat_structure(inputs, backbone)), backbone)


def with_flat_structure(inputs: DenoiseInputs, backbone: Backbone) -> Condition:
    """The inputs' condition without their structure: a flat one of the least detail where the network reads any."""
    if inputs.condition.structure_channels is None and not inputs.condition.controls:
        return inputs.condition
    kind = min(backbone.structure_kinds)
    value = 0.5 if kind is Kind.DEPTH else 0.0
    flat = torch.full((len(inputs.clip), kind.channels, *inputs.clip.size), value)
    bare = replace(inputs.condition, structure_channels=None, controls=())
    return backbone.with_structures(bare, [Structure(kind, flat, detail=7)], inputs.steps)
