"""AnimateDiff (arXiv:2307.04725): Stable Diffusion with motion modules, and a depth ControlNet where there is one."""

from recast.backbones.animatediff.backbone import AnimateDiffBackbone, opened

__all__ = ["AnimateDiffBackbone", "opened"]
