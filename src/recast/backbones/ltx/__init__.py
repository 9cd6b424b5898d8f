"""LTX-Video 0.9 (arXiv:2501.00103) and LTX-2's pictures: transformers of video over strongly compressed latents."""

from recast.backbones.ltx.backbone import LTXBackbone
from recast.backbones.ltx.ltx2 import LTX2Backbone
from recast.backbones.ltx.opening import opened

__all__ = ["LTX2Backbone", "LTXBackbone", "opened"]
