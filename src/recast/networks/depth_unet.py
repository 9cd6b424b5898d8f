"""A small convolutional depth estimator, for transformers' `AutoModelForDepthEstimation`.

The published estimators are vision transformers, which need millions of pictures; this UNet can be trained from
scratch in minutes on a CPU (docs/decisions/0014).
"""

from collections.abc import Sequence
from functools import partial
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
    """widths: channels at 1/2, 1/4 and so on of the picture's size.

    scales: test-time augmentation: factors by which pictures are resized; the prediction is the mean over scales and
    their mirror images. Empty: one pass at the picture's own size, as in training.
    over_time: whether each block first mixes every channel over three neighbouring frames, for depth from motion
    parallax. A batch of pictures is then one clip, in order.
    """

    model_type = "depth_unet"

    def __init__(
        self,
        widths: Sequence[int] = (32, 48, 72, 96, 96),
        groups: int = 8,
        scales: Sequence[float] = (),
        over_time: bool = False,
        **others: Any,  # noqa: ANN401
    ) -> None:
        self.widths = list(widths)
        self.groups = groups
        self.scales = list(scales)
        self.over_time = over_time
        super().__init__(**others)

    @property
    def reach(self) -> int:
        """Frames before and after its own that a prediction depends on."""
        return 2 * len(self.widths) - 1 if self.over_time else 0


class DepthUNet(PreTrainedModel):
    """Inverse depth, 0..1, from pictures, by a UNet of residual blocks. U-Net: arXiv:1505.04597."""

    config_class = DepthUNetConfig
    main_input_name = "pixel_values"

    def __init__(self, config: DepthUNetConfig) -> None:
        super().__init__(config)
        widths = config.widths
        self.stem = nn.Conv2d(12, widths[0], 3, padding=1)
        block = partial(Residual, groups=config.groups, over_time=config.over_time)
        self.down = nn.ModuleList(block(above, width) for above, width in pairwise([widths[0], *widths]))
        self.up = nn.ModuleList(block(below + width, width) for width, below in pairwise(widths))
        self.head = nn.Conv2d(widths[0], 4, 3, padding=1)
        self.post_init()

    def forward(self, pixel_values: Float[Tensor, "*b 3 h w"], **_: object) -> DepthEstimatorOutput:
        """predicted_depth: [b h w], 1 nearest; or [b t h w] of pictures [b t 3 h w], which are clips.

        In training mode pictures are not resized; their sides must be multiples of 2 ** len(widths).
        """
        clips = pixel_values
        if clips.ndim == 4:
            clips = rearrange(clips, "t c h w -> 1 t c h w" if self.config.over_time else "b c h w -> b 1 c h w")
        depth = self._seen(clips) if self.training else self._looked_at(clips)
        return DepthEstimatorOutput(predicted_depth=depth.reshape(*pixel_values.shape[:-3], *depth.shape[-2:]))

    def _looked_at(self, clips: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t h w"]:
        if not self.config.scales:
            return self._seen_at(1.0, clips)
        both = [
            self._seen_at(scale, clips) + self._seen_at(scale, clips.flip(-1)).flip(-1) for scale in self.config.scales
        ]
        return torch.stack(both).mean(0) / 2

    def _seen_at(self, scale: float, clips: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t h w"]:
        size, step = clips.shape[-2:], 2 ** len(self.config.widths)
        looked_at = [max(step, step * round(scale * side / step)) for side in size]
        seen = self._seen(_resized(clips, looked_at))
        return _resized(seen[:, :, None], size)[:, :, 0]

    def _seen(self, clips: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t h w"]:
        frames = clips.shape[1]
        x = self.stem(rearrange(clips * 2 - 1, "b t c (h y) (w x) -> (b t) (c y x) h w", y=2, x=2))
        kept = []
        for i, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if i else x, frames)
            kept.append(x)
        for block, beside in zip(reversed(self.up), reversed(kept[:-1]), strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), beside], dim=1), frames)
        maps = rearrange(self.head(x).float(), "(b t) (y x) h w -> b t (h y) (w x)", t=frames, y=2, x=2)
        return torch.sigmoid(maps)


class Residual(nn.Module):
    """Residual block: two 3 x 3 convolutions and a 1 x 1 skip; over time, channels are first mixed over three frames.

    The mixing starts as the identity, so that weights trained on pictures can be used.
    """

    def __init__(self, given: int, width: int, *, groups: int, over_time: bool = False) -> None:
        super().__init__()
        self.mixing = nn.Parameter(torch.tensor([0.0, 1.0, 0.0]).repeat(given, 1)) if over_time else None
        self.first = nn.Conv2d(given, width, 3, padding=1)
        self.norm = nn.GroupNorm(groups, width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.beside = nn.Conv2d(given, width, 1)
        self.out = nn.GroupNorm(groups, width)

    def forward(self, x: Float[Tensor, "bt given h w"], frames: int) -> Float[Tensor, "bt width h w"]:
        """Features of the same size with `width` channels; bt: clips of `frames` frames, concatenated."""
        if self.mixing is not None:
            x = _mixed(x, self.mixing, frames)
        return F.silu(self.out(self.beside(x) + self.second(F.silu(self.norm(self.first(x))))))


def _mixed(x: Float[Tensor, "bt c h w"], weights: Float[Tensor, "c 3"], frames: int) -> Float[Tensor, "bt c h w"]:
    """Depthwise convolution over (previous, own, next) frame; the clip's first and last frame are repeated."""
    own = torch.eye(frames, device=x.device)
    before, after = (torch.cat(rows) for rows in ((own[:1], own[:-1]), (own[1:], own[-1:])))
    # One small matrix product per channel is several times faster than shifts and sums.
    over_time = torch.einsum("c n, n t s -> c t s", weights, torch.stack([before, own, after])).to(x.dtype)
    clips = rearrange(x, "(b t) c h w -> b c t (h w)", t=frames)
    return rearrange(over_time @ clips, "b c t (h w) -> (b t) c h w", h=x.shape[2])


def _resized(clips: Float[Tensor, "b t c h w"], size: Sequence[int]) -> Float[Tensor, "b t c y x"]:
    if clips.shape[-2:] == tuple(size):
        return clips
    frames = rearrange(clips, "b t c h w -> (b t) c h w")
    resized = F.interpolate(frames, size=tuple(size), mode="bilinear", align_corners=False, antialias=True)
    return rearrange(resized, "(b t) c h w -> b t c h w", b=len(clips))


AutoConfig.register(DepthUNetConfig.model_type, DepthUNetConfig, exist_ok=True)
AutoModelForDepthEstimation.register(DepthUNetConfig, DepthUNet, exist_ok=True)
