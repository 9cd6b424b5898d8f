"""Stable Video Diffusion (arXiv:2311.15127): a clip from the picture that it starts with."""

from recast.backbones.svd.backbone import SVDBackbone, opened

__all__ = ["SVDBackbone", "opened"]
