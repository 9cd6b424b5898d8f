"""The image UNet in ModelScope's network, and its layers over time behind that one's layers."""

from collections.abc import Iterator
from typing import Any

import torch
from diffusers.models.resnet import TemporalConvLayer
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from recast.networks.temporal import TemporalContext

_OVER_TIME = ("temp_convs", "temp_attentions", "transformer_in")
"""Names, in the whole network, of the layers over time."""


class OverFrames(nn.Module):
    """A convolution or a transformer over the frames of each place, residual. arXiv:2308.06571, section 3.2."""

    def __init__(self, layer: TemporalConvLayer | TransformerTemporalModel) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t c h w"]:
        """Features of whole clips, changed."""
        changed = self.layer(rearrange(x, "b t c h w -> (b t) c h w"), num_frames=x.shape[1])
        images = changed if isinstance(changed, Tensor) else changed.sample
        return rearrange(images, "(b t) c h w -> b t c h w", t=x.shape[1])


def taken_apart(whole: UNet3DConditionModel) -> tuple[UNet2DConditionModel, TemporalContext]:
    """The image UNet, with the layers over time behind its layers, and what switches them on; weights are shared.

    A convolution over time stands behind each residual block, a transformer over time behind each spatial one and
    behind the first convolution: the order in which the whole network has them.
    """
    unet, motion = _image_unet(whole), TemporalContext()
    motion.follow(unet.conv_in, OverFrames(whole.transformer_in))
    for level, held in zip(_levels(unet), _levels(whole), strict=True):
        for layer, over_time in _pairs(level, held):
            motion.follow(layer, OverFrames(over_time))
    return unet, motion


def _image_unet(whole: UNet3DConditionModel) -> UNet2DConditionModel:
    config = {name: value for name, value in whole.config.items() if not name.startswith("_")}
    widths, sizes = config["block_out_channels"], config["attention_head_dim"]
    sizes = [sizes] * len(widths) if isinstance(sizes, int) else sizes
    config |= {way: tuple(kind.replace("3D", "2D") for kind in config[way]) for way in _WAYS}
    # UNet2DConditionModel calls the number of heads so, the other the size of one.
    config["attention_head_dim"] = tuple(width // size for width, size in zip(widths, sizes, strict=True))
    with torch.device("meta"):  # it gets the other's weights, and needs none of its own
        unet = UNet2DConditionModel.from_config(config | {"use_linear_projection": True})
    weights = {name: weight for name, weight in whole.state_dict().items() if not _is_over_time(name)}
    unet.load_state_dict(weights, assign=True)
    return unet.eval()


_WAYS = ("down_block_types", "up_block_types")


def _is_over_time(name: str) -> bool:
    return any(part in name.split(".") for part in _OVER_TIME)


def _levels(unet: UNet2DConditionModel | UNet3DConditionModel) -> list[Any]:
    return [*unet.down_blocks, unet.mid_block, *unet.up_blocks]


def _pairs(level: Any, held: Any) -> Iterator[tuple[nn.Module, Any]]:  # noqa: ANN401 -- blocks of diffusers, of many classes
    """The layers of a level of the image network, each with the one over time that follows it in the whole network."""
    yield from zip(level.resnets, held.temp_convs, strict=True)
    if hasattr(held, "temp_attentions"):
        yield from zip(level.attentions, held.temp_attentions, strict=True)
