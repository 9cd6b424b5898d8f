"""CogVideoX (arXiv:2408.06072): words, and with 5B-I2V a picture, to video by a diffusion of velocity."""

from recast.backbones.cogvideox.backbone import CogVideoXBackbone
from recast.backbones.cogvideox.opening import opened
from recast.backbones.cogvideox.picture import CogVideoXPictureBackbone

__all__ = ["CogVideoXBackbone", "CogVideoXPictureBackbone", "opened"]
