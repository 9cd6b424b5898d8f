"""Wan that reads the clip to edit beside the latents, and an instruction: Lucy-Edit's layout."""

from dataclasses import dataclass, replace

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from recast.backbones.branches import structure_of
from recast.backbones.video_control import VideoControl
from recast.backbones.video_transformer import Videos
from recast.backbones.wan.backbone import WanBackbone
from recast.types import Condition


@dataclass(frozen=True, eq=False, kw_only=True)
class WanInstructedBackbone(WanBackbone):
    """WanTransformer3DModel of twice the channels: the latents, and behind them those of the clip, in every branch.

    What a mask keeps is kept by the edit; the network is not told of it.
    """

    @property
    def reads_clip(self) -> bool:
        """Yes: its latents stand behind those that are denoised."""
        return True

    @torch.no_grad()
    def with_control_video(self, condition: Condition, video: VideoControl, steps: int) -> Condition:  # noqa: ARG002
        """The condition with the clip's own latents."""
        return replace(condition, structure_channels=self.encode(video.frames))

    @property
    def _read_channels(self) -> int:
        return self.network.config.in_channels - self.network.config.out_channels

    def _given(self, videos: Videos, condition: Condition, *, apart: bool) -> Float[Tensor, "b channels whole y x"]:
        clip = structure_of(condition, self._read_channels)
        assert clip is not None, "as many channels as are read"
        branches = len(videos) // (len(clip) if apart else 1)
        beside = repeat(clip, "t c y x -> (b t) c 1 y x" if apart else "t c y x -> b c t y x", b=branches)
        return torch.cat([videos, beside.to(videos)], dim=1)
