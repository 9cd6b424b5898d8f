"""ModelScope's text-to-video network and those trained from it (arXiv:2308.06571): Stable Diffusion 2 with time."""

from recast.backbones.modelscope.backbone import ModelScopeBackbone, opened, parts_around

__all__ = ["ModelScopeBackbone", "opened", "parts_around"]
