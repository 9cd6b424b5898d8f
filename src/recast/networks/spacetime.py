"""The space-time UNet of Gen-1: an image UNet with temporal layers. arXiv:2302.03011, section 3.2."""

from copy import deepcopy
from functools import partial

import torch
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from recast.errors import ShapeError
from recast.networks.placement import first_weight
from recast.networks.temporal import BatchLayout, TemporalContext, TemporalConv, TemporalTransformer, is_over_time

_ops = torch.ops.aten
PRODUCTS = (
    _ops.convolution.default,
    _ops.mm.default,
    _ops.addmm.default,
    _ops.bmm.default,
    _ops.baddbmm.default,
    _ops._scaled_dot_product_flash_attention.default,
    _ops._scaled_dot_product_flash_attention_for_cpu.default,
    _ops._scaled_dot_product_efficient_attention.default,
    _ops._scaled_dot_product_cudnn_attention.default,
)
"""Operators that take nearly all time of a step; selective checkpointing stores their results."""


class SpaceTimeUNet(nn.Module):
    """An image UNet with temporal layers after its spatial ones, which can be switched off.

    unet: any conditional UNet of diffusers. It becomes part of this network; `inflate` copies it first.
    max_frames: longest clip, the number of position embeddings; see TemporalTransformer. causal: no frame sees a later
    one (arXiv:2306.00943, section 3.3).

    With temporal layers off it is the image UNet, bit for bit; new temporal layers have no effect until trained.
    """

    def __init__(self, unet: UNet2DConditionModel, *, max_frames: int = 32, causal: bool = False) -> None:
        super().__init__()
        self.unet = unet
        self.max_frames = max_frames
        self.causal = causal
        self.temporal_context = TemporalContext()
        for module in list(unet.modules()):
            if isinstance(module, ResnetBlock2D):
                self.temporal_context.follow(module.conv1, TemporalConv(module.conv1.out_channels, causal=causal))
                self.temporal_context.follow(module.conv2, TemporalConv(module.conv2.out_channels, causal=causal))
            elif isinstance(module, Transformer2DModel):
                self.temporal_context.follow(module, _like(module, max_frames, causal=causal))
        self.to(device=unet.device, dtype=unet.dtype)

    def forward(
        self,
        x: Float[Tensor, "b t c h w"],
        timestep: Shaped[Tensor, " b"],
        tokens: Float[Tensor, "b *t n d"],
        video: bool | Bool[Tensor, " b"] = True,
        **residuals: Tensor | tuple[Tensor, ...],
    ) -> Float[Tensor, "b t out h w"]:
        """The network's prediction (noise, velocity or clean latents, as it was trained) for noisy latents `x`.

        x: mixed with noise as the network was trained, structure channels behind the latents' channels.
        timestep: 0..999, may lie between two. tokens: [b n d] for all frames of a clip, or [b t n d] for each.
        video: False keeps a clip's frames apart from each other; one answer for all clips or one for each.
        residuals: of the image UNet, under diffusers' names, for images of (b t).
        Raises ShapeError for more than `max_frames` frames.
        """
        frames = x.shape[1]
        images = rearrange(x, "b t c h w -> (b t) c h w")
        with self.temporal_context.on(self._layout(frames, video)):
            answer = self.unet(
                images,
                repeat(timestep, "b -> (b t)", t=frames),
                encoder_hidden_states=_for_each_frame(tokens, frames),
                return_dict=False,
                **residuals,
            )[0]
        return rearrange(answer, "(b t) c h w -> b t c h w", t=frames)

    def _layout(self, frames: int, video: bool | Bool[Tensor, " b"]) -> BatchLayout | None:
        which = video if isinstance(video, Tensor) else torch.tensor([video])
        if not which.any():
            return None
        if frames > self.max_frames:
            raise ShapeError(
                f"the network sees at most {self.max_frames} frames at once and was given {frames}; use smaller windows"
            )
        return BatchLayout(
            frames, None if which.all() else which.nonzero().flatten().to(first_weight(self.unet).device)
        )

    @property
    def extra_channels(self) -> int:
        """Number of structure channels, which follow the latents' channels in its input."""
        return self.unet.config.in_channels - self.unet.config.out_channels

    @property
    def token_width(self) -> int:
        """Width of the tokens that cross-attention reads."""
        return self.unet.config.cross_attention_dim

    def enable_gradient_checkpointing(self, *, selective: bool = False) -> "SpaceTimeUNet":
        """Recomputes activations in the backward pass to save memory; gradients are the same.

        By default whole blocks are recomputed, which adds a third to a step's FLOPs; selective: only norms, activations
        and sums, which adds almost none and saves less memory.
        """
        keep = PRODUCTS if selective else ()
        self.unet.enable_gradient_checkpointing(partial(self.temporal_context.recomputed, keep=keep))
        return self

    def disable_gradient_checkpointing(self) -> "SpaceTimeUNet":
        """Stores all activations for the backward pass."""
        self.unet.disable_gradient_checkpointing()
        return self

    def image_state_dict(self) -> dict[str, Tensor]:
        """The image UNet's own weights, under diffusers' names."""
        return {name: weight for name, weight in self.unet.state_dict().items() if not is_over_time(name)}

    def temporal_state_dict(self) -> dict[str, Tensor]:
        """The weights of the temporal layers, named by the spatial layer that each follows."""
        return {name: weight for name, weight in self.unet.state_dict().items() if is_over_time(name)}

    def image_parameters(self) -> list[nn.Parameter]:
        """Parameters of the image UNet."""
        return [weight for name, weight in self.unet.named_parameters() if not is_over_time(name)]

    def temporal_parameters(self) -> list[nn.Parameter]:
        """Parameters of the temporal layers."""
        return [weight for name, weight in self.unet.named_parameters() if is_over_time(name)]


def inflate(unet: UNet2DConditionModel, extra_channels: int = 0, max_frames: int = 32) -> SpaceTimeUNet:
    """A space-time UNet that starts as a copy of `unet`: its prediction for each frame is the same.

    extra_channels: of structure, after the latents' channels, with zero weights. max_frames: see SpaceTimeUNet.
    """
    net = SpaceTimeUNet(deepcopy(unet), max_frames=max_frames)
    if extra_channels:
        widen(net.unet, extra_channels)
    return net


def widen(unet: UNet2DConditionModel, extra_channels: int) -> None:
    """Adds input channels with zero weights after the present ones: predictions stay the same."""
    old = unet.conv_in
    channels = old.in_channels + extra_channels
    kernel = unet.config.conv_in_kernel
    new = nn.Conv2d(channels, old.out_channels, kernel, padding=kernel // 2)
    new.to(device=unet.device, dtype=unet.dtype)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, : old.in_channels] = old.weight
        new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=channels)


def _like(spatial: Transformer2DModel, max_frames: int, *, causal: bool) -> TemporalTransformer:
    blocks = spatial.transformer_blocks
    return TemporalTransformer(
        spatial.norm.num_channels,
        heads=blocks[0].attn1.heads,
        layers=len(blocks),
        max_frames=max_frames,
        causal=causal,
    )


def _for_each_frame(tokens: Float[Tensor, "b *t n d"], frames: int) -> Float[Tensor, "bt n d"]:
    if tokens.ndim == 3:
        # Of one clip it would be a view, for which torch takes another kernel, whose last bits differ.
        return repeat(tokens, "b n d -> (b t) n d", t=frames).contiguous()
    return rearrange(tokens, "b t n d -> (b t) n d").contiguous()
