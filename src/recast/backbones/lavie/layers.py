"""LaVie's layers over time, and how they are put into an image UNet. arXiv:2309.15103, section 4.1."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.embeddings import apply_rotary_emb, get_1d_rotary_pos_embed
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from recast.networks.temporal import TemporalContext

BUCKETS, FARTHEST = 32, 32
"""How many distances of frames have a bias of their own, and from which distance on all have the same."""


class RelativeAttention(nn.Module):
    """Self-attention over frames that knows how far apart they are: rotary embeddings, and a learned bias a distance.

    rotary: how many channels of each head are turned.
    """

    def __init__(self, channels: int, *, heads: int, rotary: int) -> None:
        super().__init__()
        self.heads, self.rotary = heads, rotary
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(channels, channels, bias=False)
        self.to_v = nn.Linear(channels, channels, bias=False)
        self.to_out = nn.Linear(channels, channels)
        self.distance_bias = nn.Embedding(BUCKETS, heads)
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)

    def forward(self, x: Float[Tensor, "places t c"]) -> Float[Tensor, "places t c"]:
        """What each frame takes from the others, at each place."""
        q, k, v = (rearrange(to(x), "n t (h d) -> n h t d", h=self.heads) for to in (self.to_q, self.to_k, self.to_v))
        frames = torch.arange(x.shape[1], device=x.device)
        turns: Any = get_1d_rotary_pos_embed(self.rotary, x.shape[1], use_real=True)
        # [query, key], as the published code counts: a key in a later frame has a bucket of the upper half.
        bias = self.distance_bias(distance_buckets(frames[None] - frames[:, None])).movedim(-1, 0)
        seen = F.scaled_dot_product_attention(self._turned(q, turns), self._turned(k, turns), v, bias.to(q.dtype)[None])
        return self.to_out(rearrange(seen, "n h t d -> n t (h d)"))

    def _turned(self, heads: Float[Tensor, "n h t d"], turns: tuple[Tensor, Tensor]) -> Float[Tensor, "n h t d"]:
        pair: Any = turns  # which the function's annotation calls a tuple of one
        turned: Any = apply_rotary_emb(heads[..., : self.rotary], pair)
        return torch.cat([turned, heads[..., self.rotary :]], -1)


def distance_buckets(distances: Int[Tensor, "q k"]) -> Int[Tensor, "q k"]:
    """The bias of each signed distance: half of them exact, then ever coarser up to FARTHEST. arXiv:1910.10683, 2.1."""
    each_side = BUCKETS // 2
    exact, far = each_side // 2, distances.abs()
    coarse = exact + (torch.log(far.clamp_min(1) / exact) / math.log(FARTHEST / exact) * (each_side - exact)).long()
    return (distances > 0) * each_side + torch.where(far < exact, far, coarse.clamp_max(each_side - 1))


class OverTime(nn.Module):
    """What a transformer block gets besides: a norm, and attention over the frames of each place; residual."""

    def __init__(self, channels: int, *, heads: int, rotary: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attn = RelativeAttention(channels, heads=heads, rotary=rotary)

    def forward(self, x: Float[Tensor, "images n c"], frames: int) -> Float[Tensor, "images n c"]:
        """Tokens of the images of whole clips, changed."""
        places = rearrange(x, "(b t) n c -> (b n) t c", t=frames)
        return x + rearrange(self.attn(self.norm(places)), "(b n) t c -> (b t) n c", n=x.shape[1])


class LaVieLayers(nn.Module):
    """All layers over time of a network, in the order of its blocks. channels, heads: of each block."""

    def __init__(self, channels: Sequence[int], heads: Sequence[int], rotary: int = 32) -> None:
        super().__init__()
        self.widths = list(zip(channels, heads, strict=True))
        self.layers = nn.ModuleList(OverTime(width, heads=count, rotary=rotary) for width, count in self.widths)


class VideoBlock(BasicTransformerBlock):
    """A transformer block of an image UNet with a layer over time between its attention to words and its MLP."""

    motion: TemporalContext
    over_time: OverTime

    def forward(
        self,
        hidden_states: Float[Tensor, "images n c"],
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Float[Tensor, "images words d"] | None = None,
        encoder_attention_mask: Tensor | None = None,
        *_more: object,
        **others: Any,  # noqa: ANN401 -- what blocks with other norms are told
    ) -> Float[Tensor, "images n c"]:
        """Tokens of images, changed."""
        given = others.get("cross_attention_kwargs") or {}
        x = hidden_states
        x = x + self.attn1(self.norm1(x), attention_mask=attention_mask, **given)
        words, mask = encoder_hidden_states, encoder_attention_mask
        x = x + self.attn2(self.norm2(x), encoder_hidden_states=words, attention_mask=mask, **given)
        if self.motion.layout is not None:
            x = self.over_time(x, self.motion.layout.frames)
        return x + self.ff(self.norm3(x))


class ClipNorm(nn.GroupNorm):
    """Group norm over all frames of a clip at once, as the published network has it in its residual blocks."""

    motion: TemporalContext

    def forward(self, input: Float[Tensor, "images c h w"]) -> Float[Tensor, "images c h w"]:
        """Features of the images of whole clips, normed; of images by themselves where time is off."""
        if self.motion.layout is None:
            return super().forward(input)
        clips = rearrange(input, "(b t) c h w -> b c t h w", t=self.motion.layout.frames)
        return rearrange(super().forward(clips), "b c t h w -> (b t) c h w")


def block_widths(unet: UNet2DConditionModel) -> list[tuple[int, int]]:
    """Channels and heads of each transformer block."""
    return [(block.norm1.weight.shape[0], block.attn1.heads) for _, block in blocks_of(unet)]


def blocks_of(unet: UNet2DConditionModel) -> Iterator[tuple[str, Any]]:
    """The network's transformer blocks by path, in the order of LaVieLayers."""
    return ((path, block) for path, block in unet.named_modules() if isinstance(block, BasicTransformerBlock))


def with_time(unet: UNet2DConditionModel, layers: LaVieLayers) -> TemporalContext:
    """Puts layers over time into an image UNet, and gives what switches them and norms over clips on."""
    motion = TemporalContext()
    for (_, block), over_time in zip(blocks_of(unet), layers.layers, strict=True):
        _becomes(block, VideoBlock, motion)
        block.add_module("over_time", over_time)
    for block in [module for module in unet.modules() if isinstance(module, ResnetBlock2D)]:
        _becomes(block.norm1, ClipNorm, motion)
        _becomes(block.norm2, ClipNorm, motion)
    _becomes(unet.conv_norm_out, ClipNorm, motion)
    return motion


def _becomes(module: Any, kind: type[nn.Module], motion: TemporalContext) -> None:  # noqa: ANN401 -- of a parent of `kind`
    """Its weights and names stay, so that hooks and adapters find it where they would."""
    module.__class__ = kind
    module.motion = motion
