"""Wan that reads the clip to edit as tokens before its own, and an instruction: the layout of Bernini's renderer."""

from dataclasses import dataclass

import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed
from einops import repeat
from jaxtyping import Float
from torch import Tensor, nn

from recast.backbones.branches import structure_of
from recast.backbones.video_transformer import Videos
from recast.backbones.wan.backbone import WanNetwork
from recast.backbones.wan.instructed import WanInstructedBackbone
from recast.types import Condition

SOURCE = 1.0
"""The number of the clip among what is read; what is denoised has 0."""
THETA = 10000.0


class SourceRotary(nn.Module):
    """Rotary positions of a clip and, behind it, of as many latents that are denoised: both count from the first frame.

    They are told apart by a further turn of the clip's queries and keys, at the frequencies of a single axis over all
    features of a head: Bernini's segment-aware 3D positions.
    """

    def __init__(self, plain: WanRotaryPosEmbed) -> None:
        super().__init__()
        self.plain, self.max_seq_len = plain, plain.max_seq_len
        pairs = torch.arange(0, plain.attention_head_dim, 2, dtype=torch.float64) / plain.attention_head_dim
        angles = repeat(SOURCE * THETA**-pairs, "k -> (k pair)", pair=2)
        for name, values in (("cosines", angles.cos()), ("sines", angles.sin())):
            self.register_buffer(name, values.to(plain.freqs_cos), persistent=False)

    def forward(self, videos: Videos) -> tuple[Float[Tensor, "1 n 1 d"], Float[Tensor, "1 n 1 d"]]:
        """Cosines and sines of every place, the clip's first."""
        cosines, sines = self.plain(videos[:, :, videos.shape[2] // 2 :])
        turned = cosines * self.cosines - sines * self.sines, sines * self.cosines + cosines * self.sines
        return torch.cat([turned[0], cosines], dim=1), torch.cat([turned[1], sines], dim=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class WanInContextBackbone(WanInstructedBackbone):
    """WanTransformer3DModel over the clip's latents, without noise, and those that are denoised, in every branch.

    All attend to all, so a step costs more than twice that of the network alone. Its positions are SourceRotary.
    """

    @property
    def _read_channels(self) -> int:
        return self.network.config.in_channels

    def _given(self, videos: Videos, condition: Condition, *, apart: bool) -> Float[Tensor, "b channels whole y x"]:
        clip = structure_of(condition, self._read_channels)
        assert clip is not None, "as many channels as are read"
        branches = len(videos) // (len(clip) if apart else 1)
        before = repeat(clip, "t c y x -> (b t) c 1 y x" if apart else "t c y x -> b c t y x", b=branches)
        return torch.cat([before.to(videos), videos], dim=2)


def told_apart(network: WanNetwork) -> WanNetwork:
    """The network with positions that tell a clip from what is denoised."""
    assert isinstance(network.rope, WanRotaryPosEmbed), "once for each network"
    network.add_module("rope", SourceRotary(network.rope))
    return network
