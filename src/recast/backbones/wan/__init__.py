"""Wan 2.1 and 2.2 (arXiv:2503.20314): words to video; VACE reads a control video, Lucy-Edit and Bernini the clip."""

from recast.backbones.wan.backbone import WanBackbone
from recast.backbones.wan.in_context import WanInContextBackbone
from recast.backbones.wan.instructed import WanInstructedBackbone
from recast.backbones.wan.opening import opened
from recast.backbones.wan.vace import WanVACEBackbone

__all__ = ["WanBackbone", "WanInContextBackbone", "WanInstructedBackbone", "WanVACEBackbone", "opened"]
