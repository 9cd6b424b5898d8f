"""An image UNet that reads the tokens of words, and depth as a channel more than latents, from one that read others."""

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

DEPTH_CHANNELS = 1
"""Besides those of latents, as Stable Diffusion 2-depth has them."""


@torch.no_grad()
def take_weights(unet: UNet2DConditionModel, source: UNet2DConditionModel) -> None:
    """Copies what fits of another network's weights, and of its first layer what reads latents.

    Transformers that the other lacks start without effect. Keys and values of words start at random: the other's read
    tokens of another width.
    """
    held, latents = source.state_dict(), unet.config.out_channels
    for name, weight in unet.state_dict().items():
        if name in held and held[name].shape == weight.shape:
            weight.copy_(held[name])
        elif name == "conv_in.weight":
            weight[:, :latents] = held[name][:, :latents]
        elif name.endswith(("proj_out.weight", "proj_out.bias")) and ".attentions." in name:
            weight.zero_()
