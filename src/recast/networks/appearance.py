"""CCEdit's appearance branch: what an edited frame adds to the features of that frame, for the others to follow."""

from dataclasses import replace

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.control import ControlResiduals

HIDDEN = 16
"""Channels between the frame's latents and the features of the first convolution."""


def appearance_branch(unet: UNet2DConditionModel) -> ControlNetModel:
    """A copy of the image network's way down that reads an edited frame's latents. arXiv:2309.16496, section 3.2.

    It starts without effect, by convolutions of zeros. Differs: it is a ControlNet whose picture is latents, beside the
    frame's noisy ones, where the published branch is given the edited frame's latents alone; so it begins as the image
    network that it is a copy of.
    """
    latents = unet.config.out_channels
    return ControlNetModel.from_unet(unet, conditioning_channels=latents, conditioning_embedding_out_channels=(HIDDEN,))


def appearance_residuals(
    branch: ControlNetModel,
    noisy: Float[Tensor, "b channels y x"],
    timestep: Float[Tensor, " b"],
    tokens: Float[Tensor, "b n d"],
    *,
    edited: Float[Tensor, "b 4 y x"],
    kept: Float[Tensor, " b"],
) -> ControlResiduals:
    """What edited frames add to their own features. noisy: all that the network reads of these frames.

    tokens: of no words, since what a frame looks like is told by the frame. kept: 0 where it was dropped.
    """
    down, mid = branch(noisy, timestep, tokens, edited, return_dict=False)
    share = rearrange(kept, "b -> b 1 1 1").to(mid)
    return ControlResiduals(tuple(share * each for each in down), share * mid)


def at_frame(residuals: ControlResiduals, frame: int, frames: int) -> ControlResiduals:
    """Residuals of one frame of each clip as those of all frames of the clips, zero for the others."""

    def spread(features: Float[Tensor, "b c y x"]) -> Float[Tensor, "bt c y x"]:
        whole = torch.zeros_like(features)[:, None].repeat(1, frames, 1, 1, 1)
        whole[:, frame] = features
        return rearrange(whole, "b t c y x -> (b t) c y x")

    return replace(residuals, down=tuple(map(spread, residuals.down)), mid=spread(residuals.mid))
