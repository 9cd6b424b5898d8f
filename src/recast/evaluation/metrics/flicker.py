"""Flicker: how much neighbouring frames differ."""

import torch

from recast.types import Frames


def flicker(frames: Frames) -> float:
    """The mean absolute difference of each frame and the next over all channels, 0..255; 0 for a still clip.

    VBench's temporal flickering (arXiv:2311.17982) is 1 less this over 255. What moves counts as well, so that an edit
    is read beside its source.
    """
    values = frames.short()
    return float((values[1:] - values[:-1]).abs().mean(dtype=torch.float64))
