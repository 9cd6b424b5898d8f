"""Stable Diffusion 1, 2 (arXiv:2112.10752) and XL, 2-depth and InstructPix2Pix: networks of words and single frames."""

from recast.backbones.stable_diffusion.backbone import StableDiffusionBackbone
from recast.backbones.stable_diffusion.controlled import ControlledStableDiffusion, ControlledUNet
from recast.backbones.stable_diffusion.image_unet import ImageUNetBackbone
from recast.backbones.stable_diffusion.inflated import InflatedStableDiffusion, inflated
from recast.backbones.stable_diffusion.instructed import InstructedStableDiffusion
from recast.backbones.stable_diffusion.opening import opened
from recast.backbones.stable_diffusion.xl import StableDiffusionXLBackbone

__all__ = [
    "ControlledStableDiffusion",
    "ControlledUNet",
    "ImageUNetBackbone",
    "InflatedStableDiffusion",
    "InstructedStableDiffusion",
    "StableDiffusionBackbone",
    "StableDiffusionXLBackbone",
    "inflated",
    "opened",
]
