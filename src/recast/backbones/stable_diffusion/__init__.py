"""Stable Diffusion 1 and 2 (arXiv:2112.10752), and 2-depth: networks of words and single frames."""

from recast.backbones.stable_diffusion.backbone import StableDiffusionBackbone, opened
from recast.backbones.stable_diffusion.inflated import InflatedStableDiffusion, inflated

__all__ = ["InflatedStableDiffusion", "StableDiffusionBackbone", "inflated", "opened"]
