"""LTX-Video 0.9 (arXiv:2501.00103): a transformer of video over strongly compressed latents, told by words."""

from recast.backbones.ltx.backbone import LTXBackbone, opened

__all__ = ["LTXBackbone", "opened"]
