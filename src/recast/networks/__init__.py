"""Networks that we train: pure modules, without prompts or sampling."""

from recast.networks.spacetime import SpaceTimeUNet, inflate, widen
from recast.networks.storage import loaded, save

__all__ = ["SpaceTimeUNet", "inflate", "loaded", "save", "widen"]
