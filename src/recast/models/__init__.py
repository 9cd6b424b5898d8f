"""Networks that we train: pure modules, without prompts or sampling."""

from recast.models.spacetime import SpaceTimeUNet, inflate, widen
from recast.models.storage import loaded, save

__all__ = ["SpaceTimeUNet", "inflate", "loaded", "save", "widen"]
