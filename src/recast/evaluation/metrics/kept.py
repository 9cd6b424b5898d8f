"""What an edit leaves of what was to stay: PSNR, SSIM and colour drift against the source, outside of a mask."""

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional as F

from recast.evaluation.metrics.colour import de76, de2000, lab
from recast.evaluation.metrics.fidelity import psnr
from recast.evaluation.metrics.ssim import REACH, ssim_maps
from recast.types import Frames

Where = Bool[Tensor, "t h w"]


def kept_scores(frames: Frames, source: Frames, kept: Where) -> dict[str, float]:
    """The four measures over the pixels of `kept`; none where that is empty.

    SSIM counts pixels whose whole window was to stay, so that an edit may do as it likes inside; none such, no SSIM.
    """
    if not kept.any():
        return {}
    found = {"kept_psnr": psnr(frames, source, kept)}
    inner = _eroded(kept)
    if inner.any():
        found["kept_ssim"] = float(ssim_maps(frames, source)[inner].mean())
    # A frame at a time: Lab takes 24 bytes a pixel.
    apart = [_drift(*pair) for pair in zip(frames, source, kept, strict=True)]
    drift = torch.cat(apart).mean(dim=0)
    return found | {"kept_de76": float(drift[0]), "kept_de2000": float(drift[1])}


def _drift(frame: Tensor, source: Tensor, kept: Bool[Tensor, "h w"]) -> Tensor:
    here, there = (lab(each[None])[0][kept] for each in (frame, source))
    return torch.stack([de76(here, there), de2000(here, there)], dim=1)


def _eroded(kept: Where) -> Where:
    """Where all of SSIM's window is kept; the frame's edge does not bound it."""
    if min(kept.shape[1:]) <= REACH:
        return torch.zeros_like(kept)
    lost = (~kept).float()[:, None]
    return F.max_pool2d(lost, 2 * REACH + 1, stride=1, padding=REACH)[:, 0] == 0
