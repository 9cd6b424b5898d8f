"""LaVie (arXiv:2309.15103): Stable Diffusion 1.4 with attention over time in each block, norms over whole clips."""

from recast.backbones.lavie.backbone import LaVieBackbone, opened

__all__ = ["LaVieBackbone", "opened"]
