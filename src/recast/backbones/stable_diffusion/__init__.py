"""Stable Diffusion 1 and 2 (arXiv:2112.10752), and 2-depth: image networks told words, and a video frame by frame."""

from recast.backbones.stable_diffusion.backbone import StableDiffusionBackbone, opened

__all__ = ["StableDiffusionBackbone", "opened"]
