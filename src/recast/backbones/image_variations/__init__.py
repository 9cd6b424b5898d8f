"""Stable Diffusion image variations: content is one CLIP image embedding, as in Gen-1; words by an unCLIP prior."""

from recast.backbones.image_variations.backbone import ImageVariationsBackbone, ImageVariationsVideo
from recast.backbones.image_variations.opening import opened

__all__ = ["ImageVariationsBackbone", "ImageVariationsVideo", "opened"]
