"""VideoCrafter 2 (arXiv:2401.09047): ModelScope's kind of network, conditioned on the rate too."""

from recast.backbones.videocrafter.backbone import VideoCrafterBackbone, opened

__all__ = ["VideoCrafterBackbone", "opened"]
