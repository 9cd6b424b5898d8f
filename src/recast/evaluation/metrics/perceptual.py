"""LPIPS of what was to stay: how far apart edit and source look outside of a mask."""

from jaxtyping import Bool
from torch import Tensor

from recast.conditions.perceptual import LEAST_PX, PerceptualDistance
from recast.types import Frames


def kept_lpips(
    network: PerceptualDistance, frames: Frames, source: Frames, kept: Bool[Tensor, "t h w"]
) -> float | None:
    """The mean over frames in which something was to stay, all else black in both, as PIE-Bench (arXiv:2310.01506).

    None where nothing was to stay, or frames are too small for the network.
    """
    held = kept.any(dim=(1, 2))
    if not held.any() or min(kept.shape[1:]) < LEAST_PX:
        return None
    here, there = (clip[held] * kept[held][:, None] for clip in (frames, source))
    return float(network(here, there).double().mean())
