"""The primitives of sampling, each a function: guidance, windows, noise levels, samplers, masks."""

from recast.diffusion.samplers import SAMPLERS

__all__ = ["SAMPLERS"]
