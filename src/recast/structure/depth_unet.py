"""A small convolutional depth estimator, for transformers' `AutoModelForDepthEstimation`.

The published estimators are transformers over patches, which need millions of pictures before they see a shape; this
one learns from scratch in minutes on a processor.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForDepthEstimation, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import DepthEstimatorOutput


class DepthUNetConfig(PretrainedConfig):
    """widths: channels at a half, a quarter and so on of the picture's size.

    scales: how many times its own size a picture is looked at, each time in a mirror too; the answer is the
    mean. Where there are none it is looked at once, as it is, as in training.
    """

    model_type = "depth_unet"

    def __init__(
        self,
        widths: Sequence[int] = (32, 48, 72, 96, 96),
        groups: int = 8,
        scales: Sequence[float] = (),
        **others: Any,  # noqa: ANN401
    ) -> None:
        self.widths = list(widths)
        self.groups = groups
        self.scales = list(scales)
        super().__init__(**others)


class DepthUNet(PreTrainedModel):
    """Pictures to inverse depth of 0..1, by a UNet of residual blocks. U-Net: arXiv:1505.04597."""

    config_class = DepthUNetConfig
    main_input_name = "pixel_values"

    def __init__(self, config: DepthUNetConfig) -> None:
        super().__init__(config)
        widths = config.widths
        self.stem = nn.Conv2d(12, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            Residual(above, width, config.groups) for above, width in pairwise([widths[0], *widths])
        )
        self.up = nn.ModuleList(Residual(below + width, width, config.groups) for width, below in pairwise(widths))
        self.head = nn.Conv2d(widths[0], 4, 3, padding=1)
        self.post_init()

    def forward(self, pixel_values: Float[Tensor, "b 3 h w"], **_: object) -> DepthEstimatorOutput:
        """predicted_depth: [b h w], 1 nearest.

        In training mode pictures are taken as they are, with sides that are multiples of 2 to the number of widths.
        """
        if self.training:
            return DepthEstimatorOutput(predicted_depth=self._seen(pixel_values))
        if not self.config.scales:
            return DepthEstimatorOutput(predicted_depth=self._seen_at(1.0, pixel_values))
        both = [
            self._seen_at(scale, pixel_values) + self._seen_at(scale, pixel_values.flip(-1)).flip(-1)
            for scale in self.config.scales
        ]
        return DepthEstimatorOutput(predicted_depth=torch.stack(both).mean(0) / 2)

    def _seen_at(self, scale: float, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
        size, step = pictures.shape[-2:], 2 ** len(self.config.widths)
        looked_at = [max(step, step * round(scale * side / step)) for side in size]
        return _resized(self._seen(_resized(pictures, looked_at))[:, None], size)[:, 0]

    def _seen(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b h w"]:
        x = self.stem(rearrange(pictures * 2 - 1, "b c (h y) (w x) -> b (c y x) h w", y=2, x=2))
        kept = []
        for i, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if i else x)
            kept.append(x)
        for block, beside in zip(reversed(self.up), reversed(kept[:-1]), strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), beside], dim=1))
        maps = rearrange(self.head(x).float(), "b (y x) h w -> b (h y) (w x)", y=2, x=2)
        return torch.sigmoid(maps)


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a 1 x 1 one."""

    def __init__(self, given: int, width: int, groups: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(given, width, 3, padding=1)
        self.norm = nn.GroupNorm(groups, width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.beside = nn.Conv2d(given, width, 1)
        self.out = nn.GroupNorm(groups, width)

    def forward(self, x: Float[Tensor, "b given h w"]) -> Float[Tensor, "b width h w"]:
        """The same size, `width` channels."""
        return F.silu(self.out(self.beside(x) + self.second(F.silu(self.norm(self.first(x))))))


def _resized(x: Float[Tensor, "b c h w"], size: Sequence[int]) -> Float[Tensor, "b c y x"]:
    if x.shape[-2:] == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False, antialias=True)


AutoConfig.register(DepthUNetConfig.model_type, DepthUNetConfig, exist_ok=True)
AutoModelForDepthEstimation.register(DepthUNetConfig, DepthUNet, exist_ok=True)
