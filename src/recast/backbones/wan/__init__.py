"""Wan 2.1 and 2.2 (arXiv:2503.20314): transformers of video told by words, and VACE, by a control video too."""

from recast.backbones.wan.backbone import WanBackbone
from recast.backbones.wan.opening import opened
from recast.backbones.wan.vace import WanVACEBackbone

__all__ = ["WanBackbone", "WanVACEBackbone", "opened"]
