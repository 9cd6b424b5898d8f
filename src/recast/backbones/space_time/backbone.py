"""Space-time UNets of words as backbones: without structure or with depth, and one that reads the clip to edit."""

from dataclasses import dataclass

from recast.backbones.stable_diffusion.inflated import InflatedStableDiffusion
from recast.backbones.stable_diffusion.instructed import InstructedStableDiffusion
from recast.types import Frames, Latents


@dataclass(frozen=True, eq=False, kw_only=True)
class SpaceTimeBackbone(InflatedStableDiffusion):
    """An image UNet with Gen-1's layers over time that reads words, and depth where it has a fifth input channel.

    With layers over time that see no later frame it is Make-Your-Video (arXiv:2306.00943).
    """

    @property
    def short_side(self) -> int:
        """What recast.json says."""
        return self.metadata.short_side


@dataclass(frozen=True, eq=False, kw_only=True)
class InstructedSpaceTime(InstructedStableDiffusion, SpaceTimeBackbone):
    """The same of eight channels: the latents, and those of the clip to edit. InstructVid2Vid, arXiv:2305.12328."""

    def picture_channels(self, frames: Frames) -> Latents:
        """The clip's latents, of unit variance, as it was trained."""
        return self.encode(frames)
