"""Gen-1 (arXiv:2302.03011): an image UNet with layers over time, conditioned on structure and a content embedding."""

from recast.backbones.gen1.backbone import Gen1Backbone, opened

__all__ = ["Gen1Backbone", "opened"]
