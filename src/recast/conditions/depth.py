"""Inverse depth by a monocular network, with one scale for the whole clip."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recast.conditions.clip_scale import ClipScale, RawMap, RawMaps, exact_scale
from recast.conditions.extractor import Extractor
from recast.errors import RequestError
from recast.model.folder import ModelFolder
from recast.networks.placement import placed
from recast.types import Frames, Kind, Maps, Structure

CONSTANT = 1e-6
"""Maps whose range is below this share of their largest value count as constant; fp32 resolves no finer."""
NEAREST_METRES = 1e-2
ROBUST_RANGE = (0.01, 0.99)
ROUNDS = 8
TOLERANCE = 2.0
"""Residual, in median absolute residuals, at which a pixel's weight is 1/2."""
SMALLEST_TOLERANCE = 1e-3
"""Lower bound of that residual, as a share of the map's standard deviation; else, where most pixels fit exactly, the
others would get no weight."""
OWN_SHARE = 1 / 64
"""How much of each map keeps the scale that it came with, so that no error of a fit outlives some 64 frames."""

_METRIC = frozenset({"glpn", "zoedepth"})


@dataclass(frozen=True, eq=False)
class DepthExtractor(Extractor):
    """Depth structure by DPT (the estimator of Gen-1, arXiv:2302.03011, section 3.3), Depth Anything, GLPN or similar.

    network: predicts `predicted_depth` [b h w]. processor: its own resizing and normalisation, PIL based.
    metric: whether predictions are metres; else inverse depth, up to a scale and shift per frame.
    chunk: frames per pass; bounds memory, changes no result.
    reach: frames on either side that a prediction depends on; each pass includes them.
    """

    network: nn.Module
    processor: Any
    metric: bool
    device: torch.device
    chunk: int = 8
    reach: int = 0

    @classmethod
    def opened(cls, folder: ModelFolder, device: torch.device) -> "DepthExtractor":
        """The depth estimator of a model. Raises WeightsError where the folder has none, or a damaged one."""
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        import recast.networks.depth_unet  # noqa: F401 -- registers it with AutoModelForDepthEstimation

        network = placed(folder.network("depth_estimator", AutoModelForDepthEstimation), device)
        # The estimators' own folders hold their processor; diffusers' pipelines keep it beside them.
        beside = not (folder.path / "depth_estimator" / "preprocessor_config.json").is_file()
        # The published weights were evaluated with PIL's processors; torchvision's round differently.
        holder = "feature_extractor" if beside else "depth_estimator"
        processor = folder.part(holder, AutoImageProcessor, backend="pil")
        unit = folder.metadata.depth_unit
        metric = _gives_metres(network) if unit is None else unit == "metres"
        reach = getattr(network.config, "reach", 0)  # only networks that read clips have it
        return cls(network, processor, metric, device, chunk=max(8, 2 * reach), reach=reach)

    @property
    def shares(self) -> tuple[float, ...]:
        """The quantiles that become 0 and 1."""
        return ROBUST_RANGE

    def measured(self, frames: Frames, part: slice, before: RawMap | None = None) -> RawMaps:
        """Inverse depth of a part of the frames, each map aligned with the one before, not yet scaled.

        before: what was measured of the frame before the part.
        """
        starts = range(part.start, part.stop, self.chunk)
        seen = torch.cat([self._around(frames, start, min(start + self.chunk, part.stop)) for start in starts])
        return aligned(inverse(seen) if self.metric else standardized(seen), to=before)

    def values(self, measured: RawMaps) -> RawMaps:
        """What the clip's quantiles are taken of: the maps themselves."""
        return measured

    def scaled(self, measured: RawMaps, scale: ClipScale) -> Structure:
        """The structure of frames that were measured, by the scale of the whole clip."""
        return Structure(Kind.DEPTH, normalized(measured, scale))

    def _around(self, frames: Frames, start: int, stop: int) -> Float[Tensor, "chunk 1 h w"]:
        first = max(0, start - self.reach)
        return self.predicted(frames[first : stop + self.reach])[start - first :][: stop - start]

    @torch.no_grad()
    def predicted(self, frames: Frames) -> Float[Tensor, "t 1 h w"]:
        """The network's prediction for each frame, in its own unit, at the frames' size.

        Raises RequestError for frames that are smaller than the multiple that the processor brings sides to.
        """
        least = getattr(self.processor, "size_divisor", None) or 1  # published processors of DPT have it unset
        if min(frames.shape[-2:]) < least:
            rows, columns = frames.shape[-2:]
            raise RequestError(f"depth of {columns}x{rows} px cannot be estimated; work at {least} px or more (--size)")
        # Padding would misalign the map and the frame.
        pixels = self.processor(list(frames.cpu().numpy()), do_pad=False, input_data_format="channels_first")
        given = torch.from_numpy(np.stack(pixels["pixel_values"])).float().to(self.device)
        depth = rearrange(self.network(given).predicted_depth, "t h w -> t 1 h w").float().cpu()
        return F.interpolate(depth, size=frames.shape[-2:], mode="bilinear", align_corners=False, antialias=True)


def inverse(metres: Maps) -> Maps:
    """Inverse depth in 1/m; metres are clamped to at least 0.01."""
    return 1 / metres.clamp(min=NEAREST_METRES)


def standardized(maps: Maps) -> Maps:
    """Each map less its median, over its mean distance from it: whatever scale and shift it had, they are gone.

    So the scale-invariant loss compares maps (arXiv:1907.01341, equations 5 and 6). Constant maps become 0.
    """
    off = maps - maps.flatten(1).median(dim=1).values[:, None, None, None]
    spread = off.abs().mean((1, 2, 3), keepdim=True)
    lows, highs = maps.amin((1, 2, 3)).tolist(), maps.amax((1, 2, 3)).tolist()
    flat = [_constant(low, high) for low, high in zip(lows, highs, strict=True)]
    return off / torch.where(torch.tensor(flat)[:, None, None, None], torch.inf, spread)


def aligned(maps: Maps, to: RawMap | None = None) -> Maps:
    """Each map with the scale and shift that align it with the one before, which removes jumps between frames.

    Networks such as MiDaS predict inverse depth up to a scale and a shift, which differ from frame to frame. Each fit
    is a little wrong, the next one builds on it, and over a long clip nothing of the scale would be left; so a small
    share of each map's own scale comes back (docs/decisions/0043).
    to: the map before the first one; without it the first one stays as it is.
    """
    fitted: list[Tensor] = []
    for following in maps:
        fitted.append(following if to is None else torch.lerp(_fitted(following, to=to), following, OWN_SHARE))
        to = fitted[-1]
    return torch.stack(fitted)


def normalized(maps: Maps, scale: ClipScale | None = None) -> Maps:
    """Maps scaled to 0..1 by one range for the clip, its 1st to 99th percentile; 0 where the clip is constant.

    scale: of the clip that they are a part of; their own where not said.
    """
    scale = scale or exact_scale(maps, ROBUST_RANGE)
    low, high = scale.quantiles
    if _constant(low, high):
        # What varies may cover less than 1 % of the clip.
        low, high = scale.least, scale.most
    if _constant(low, high):
        return torch.zeros_like(maps)
    return ((maps - low) / (high - low)).clamp(0, 1)


def depth_channel(maps: Maps, size: tuple[int, int]) -> Float[Tensor, "t 1 y x"]:
    """Inverse depth as Stable Diffusion 2-depth reads it: at the size of the latents, -1..1, 1 nearest.

    Differs: one range for the whole clip, where StableDiffusionDepth2ImgPipeline takes each image's own, so that depth
    does not flicker. A map without any depth in it keeps its value.
    """
    small = F.interpolate(maps, size, mode="bicubic", align_corners=False)
    low, high = small.min(), small.max()
    return 2 * torch.where(high > low, (small - low) / (high - low), small) - 1


def _gives_metres(network: nn.Module) -> bool:
    config = network.config
    return config.model_type in _METRIC or getattr(config, "depth_estimation_type", "relative") == "metric"


def _constant(low: float, high: float) -> bool:
    return high - low <= CONSTANT * max(abs(low), abs(high))


def _fitted(following: Float[Tensor, "c h w"], *, to: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
    """`following`, scaled and shifted to fit `to`, by iteratively reweighted fits, robust to pixels that moved.

    The fit is the reduced major axis (scale = ratio of standard deviations). Least squares would shrink the scale by
    the correlation of the two frames, and over a clip depth would fade to a plane (docs/decisions/0013).
    """
    x, y = following.double(), to.double()
    if any(_constant(float(depth.min()), float(depth.max())) for depth in (x, y)):
        return (x + y.median() - x.median()).to(following)
    (middle_x, spread_x), (middle_y, spread_y) = _median_and_deviation(x), _median_and_deviation(y)
    for _ in range(ROUNDS):
        scale = spread_y / spread_x
        off = (y - middle_y - scale * (x - middle_x)).abs()
        tolerated = torch.maximum(TOLERANCE * off.median(), SMALLEST_TOLERANCE * y.std())
        weight = 1 / (1 + (off / tolerated).square())
        (middle_x, spread_x), (middle_y, spread_y) = _mean_and_deviation(x, weight), _mean_and_deviation(y, weight)
    return (middle_y + spread_y / spread_x * (x - middle_x)).to(following)


def _median_and_deviation(x: Float[Tensor, "c h w"]) -> tuple[Tensor, Tensor]:
    # Start from medians, since up to half of the pixels may have moved. A mostly flat map has no median deviation.
    middle = x.median()
    spread = (x - middle).abs().median()
    return middle, spread if spread > CONSTANT * x.std() else x.std()


def _mean_and_deviation(x: Float[Tensor, "c h w"], weight: Float[Tensor, "c h w"]) -> tuple[Tensor, Tensor]:
    middle = (weight * x).sum() / weight.sum()
    return middle, ((weight * (x - middle).square()).sum() / weight.sum()).sqrt()
