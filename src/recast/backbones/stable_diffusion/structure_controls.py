"""Image UNets that are told structures as controls: several kinds, each of a weight and in a range of the walk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from recast.backbones.branches import acting_sigmas, check_kind
from recast.backbones.stable_diffusion.image_unet import ImageUNetBackbone
from recast.control import Control
from recast.types import Condition, Structure, StructureUse


@dataclass(frozen=True, eq=False, kw_only=True)
class StructureControls(ImageUNetBackbone):
    """An image UNet with networks beside it that read structures, one kind each."""

    def check_structures(self, structures: Sequence[StructureUse], steps: int) -> None:
        """Raises BackboneError for a kind without a ControlNet, RequestError for a range that holds no step."""
        sigmas = self.sigmas(steps)
        for each in structures:
            check_kind(each, self.structure_kinds)
            acting_sigmas(sigmas, each)

    def with_structures(self, condition: Condition, structures: Sequence[Structure], steps: int) -> Condition:
        """The condition with a control for each structure, of its weight and in its range.

        Raises what `check_structures` raises.
        """
        sigmas = self.sigmas(steps)
        controls = [
            Control(each.kind, self.structure_channels(each), each.weight, acting_sigmas(sigmas, each))
            for each in structures
        ]
        return replace(condition, structure_channels=None, controls=tuple(controls))
