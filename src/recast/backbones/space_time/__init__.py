"""Networks of words over space and time that recast trains: an image UNet, layers over time, and further conditions."""

from recast.backbones.space_time.backbone import InstructedSpaceTime, SpaceTimeBackbone
from recast.backbones.space_time.edited_frame import EditedFrameBackbone
from recast.backbones.space_time.opening import opened
from recast.backbones.space_time.several import ComposedBackbone, PosedBackbone

__all__ = [
    "ComposedBackbone",
    "EditedFrameBackbone",
    "InstructedSpaceTime",
    "PosedBackbone",
    "SpaceTimeBackbone",
    "opened",
]
