"""Residuals of control networks as a UNet of diffusers takes them: handed in, or made by ControlNets."""

from collections.abc import Sequence
from typing import Any

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from recast.control import ControlResiduals
from recast.errors import ShapeError
from recast.networks.placement import first_weight
from recast.types import Maps


def handed_residuals(
    unet: UNet2DConditionModel, residuals: ControlResiduals | None, branches: int, frames: int
) -> list[ControlResiduals]:
    """A condition's residuals for a batch of (branches frames) images, the same in each branch; none where it has none.

    Raises ShapeError for another number of them or of frames; the UNet itself would leave surplus ones out.
    """
    if residuals is None:
        return []
    blocks: list[Any] = list(unet.down_blocks)
    expected = 1 + sum(len(block.resnets) + bool(block.downsamplers) for block in blocks)
    if len(residuals.down) != expected:
        raise ShapeError(f"the UNet takes {expected} residuals of down blocks and was given {len(residuals.down)}")
    counts = sorted({len(each) for each in (*residuals.down, residuals.mid)})
    if counts != [frames]:
        raise ShapeError(f"residuals are of {', '.join(map(str, counts))} frames and the latents of {frames}")

    def spread(features: Maps) -> Float[Tensor, "bt c h w"]:
        return repeat(features, "t c h w -> (b t) c h w", b=branches).to(first_weight(unet))

    return [ControlResiduals(tuple(map(spread, residuals.down)), spread(residuals.mid))]


def residual_arguments(parts: Sequence[ControlResiduals]) -> dict[str, Tensor | tuple[Tensor, ...]]:
    """The sum of residuals as arguments of the UNet; no arguments where there are none."""
    if not parts:
        return {}
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return {"down_block_additional_residuals": whole.down, "mid_block_additional_residual": whole.mid}
