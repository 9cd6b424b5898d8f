"""Line drawings by a difference of Gaussians, with one scale for the whole clip; no network is needed."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from recast.conditions.clip_scale import ClipScale, RawMap, RawMaps
from recast.conditions.extractor import Extractor
from recast.errors import RequestError
from recast.model.folder import ModelFolder
from recast.types import Frames, Kind, Maps, Structure

FAINTEST = 12.0
"""Grey levels by which a place is darker than around it for a line of full strength, at least; keeps out noise."""


@dataclass(frozen=True)
class LineArtExtractor(Extractor):
    """What is darker than its surroundings, as a pencil draws it (XDoG, Winnemoeller et al. 2012): 1 on a dark line.

    Differs: strength is scaled by a quantile of the whole clip, so that lines do not flicker as others change.
    ControlNets of line art were trained on drawings by a network too; this is the kind that is made without one.
    """

    full: float = 0.98
    """Quantile of differences over the clip that is drawn at full strength, 0..1."""
    wide: float = 6 / 512
    """Sigma of the surroundings, as a share of the frame's short side."""
    fine_px: float = 0.7
    """Sigma of the place; that of the surroundings is twice as much at least."""

    def __post_init__(self) -> None:
        if not 0 < self.full <= 1 or min(self.fine_px, self.wide) <= 0:
            wrong = f"full {self.full:g}, fine {self.fine_px:g} px and wide {self.wide:g}"
            raise RequestError(f"line art of {wrong}: full goes from 0 to 1, and the others are above 0")

    @classmethod
    def opened(cls, _folder: ModelFolder, _device: torch.device) -> "LineArtExtractor":
        """An extractor, whatever the model."""
        return cls()

    @property
    def shares(self) -> tuple[float, ...]:
        """The quantile of differences that is drawn at full strength."""
        return (self.full,)

    def measured(self, frames: Frames, part: slice, before: RawMap | None = None) -> RawMaps:  # noqa: ARG002 -- one by one
        """By how many grey levels places are darker than around them, in the colour where that is most."""
        pixels = frames[part].cpu().float()
        wide_px = max(2 * self.fine_px, self.wide * min(pixels.shape[-2:]))
        return reduce(_blurred(pixels, wide_px) - _blurred(pixels, self.fine_px), "t c h w -> t 1 h w", "max")

    def values(self, measured: RawMaps) -> Maps:
        """What the clip's quantile is taken of."""
        return measured.clamp(min=0)

    def scaled(self, measured: RawMaps, scale: ClipScale) -> Structure:
        """The drawings of frames that were measured, by the scale of the whole clip."""
        full = max(scale.quantiles[0], FAINTEST)
        return Structure(Kind.LINEART, (measured / full).clamp(0, 1))


def _blurred(pixels: Float[Tensor, "t c h w"], sigma: float) -> Float[Tensor, "t c h w"]:
    reach = round(3 * sigma)
    taps = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum()).float()
    planes = rearrange(pixels, "t c h w -> (t c) 1 h w")
    for shape, pad in (("k -> 1 1 k 1", (0, 0, reach, reach)), ("k -> 1 1 1 k", (reach, reach, 0, 0))):
        planes = F.conv2d(F.pad(planes, pad, mode="replicate"), rearrange(taps, shape))
    return rearrange(planes, "(t c) 1 h w -> t c h w", t=len(pixels))
