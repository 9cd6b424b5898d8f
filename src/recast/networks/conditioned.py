"""A space-time UNet of words with what it is conditioned on besides, as one module to train."""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from recast.control import ControlResiduals
from recast.networks.appearance import appearance_residuals, at_frame
from recast.networks.causal_attention import CausalAttnProcessor
from recast.networks.condition_encoder import Conditions
from recast.networks.spacetime import SpaceTimeUNet

CLIP, DEPTH, FRAME, PICTURE, POSE = "clip", "depth_channel", "frame", "picture", "pose"
"""Names of conditions besides the kinds of maps: latents of the clip to edit; depth as a channel at latents' size;
latents of the edited centre frame; a picture's embedding; pictures of poses."""
PLANES = (CLIP, DEPTH)
"""What stands beside latents as it is."""
ENCODER, POSES, APPEARANCE = "condition_encoder", "pose_encoder", "appearance"
"""Names of parts, which are those of their folders in a model."""


class ConditionedVideo(nn.Module):
    """A space-time UNet and the networks that read what it is conditioned on, which are trained together or in turn.

    parts: a ConditionEncoder, a PoseEncoder or an appearance branch by the name of its folder, or none: then
    conditions are input channels as they are. fused: attention by PyTorch's kernel; its backward pass is several times
    slower on CPUs.
    """

    def __init__(self, net: SpaceTimeUNet, parts: Mapping[str, nn.Module], *, fused: bool = True) -> None:
        super().__init__()
        self.net = net
        self.parts = nn.ModuleDict(dict(parts))
        if not fused:
            for layer in self.modules():
                if isinstance(layer, Attention) and not isinstance(layer.processor, CausalAttnProcessor):
                    layer.set_processor(AttnProcessor())

    def forward(
        self,
        noisy: Float[Tensor, "b t 4 y x"],
        timestep: Float[Tensor, " b"],
        tokens: Float[Tensor, "b n d"],
        *,
        empty: Float[Tensor, "n d"],
        conditions: Conditions,
        kept: Conditions,
    ) -> Float[Tensor, "b t 4 y x"]:
        """The network's prediction; clips of one frame are images.

        empty: the tokens of no words. conditions: by name. kept: how much of it, clip by clip: 0
        where it was dropped, which is the same as if it were not there.
        """
        video = noisy.shape[1] > 1
        parts: dict[str, Any] = dict(self.parts.items())
        encoder = parts.get(ENCODER)
        planes = [conditions[name] * rearrange(kept[name], "b -> b 1 1 1 1") for name in PLANES if name in conditions]
        if encoder is not None:
            planes.append(encoder.planes(conditions, kept, noisy, over_time=video))
            if PICTURE in conditions:
                tokens = torch.cat([tokens, encoder.picture_tokens(conditions[PICTURE], kept[PICTURE])], dim=1)
        read = torch.cat([noisy, *(each.to(noisy) for each in planes)], dim=2)
        residuals = self._residuals(read, timestep, empty, conditions, kept)
        return self.net(read, timestep, tokens, video, **residuals)

    def _residuals(
        self,
        read: Float[Tensor, "b t c y x"],
        timestep: Float[Tensor, " b"],
        empty: Tensor,
        conditions: Conditions,
        kept: Conditions,
    ) -> dict[str, Tensor | tuple[Tensor, ...]]:
        count, frames = read.shape[:2]
        if POSES in self.parts and POSE in conditions:
            added = self.parts[POSES](rearrange(conditions[POSE], "b t c h w -> (b t) c h w"))
            share = kept[POSE].repeat_interleave(frames)[:, None, None, None]
            added = ControlResiduals(tuple(share * each for each in added.down), share * added.mid)
        elif APPEARANCE in self.parts and FRAME in conditions:
            middle = frames // 2
            words = empty.expand(count, -1, -1)
            branch: Any = self.parts[APPEARANCE]
            of_frame = appearance_residuals(
                branch, read[:, middle], timestep, words, edited=conditions[FRAME], kept=kept[FRAME]
            )
            added = at_frame(of_frame, middle, frames)
        else:
            return {}
        return {"down_block_additional_residuals": added.down, "mid_block_additional_residual": added.mid}
