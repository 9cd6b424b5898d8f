"""Trained weights as encode, denoise and decode."""

from recast.backbones.backbone import Backbone
from recast.backbones.gen1 import Gen1Backbone, opened

__all__ = ["BACKBONES", "Backbone", "Gen1Backbone"]

BACKBONES = {"gen1": opened}
"""What opens a model folder, by the kind of backbone in it."""
