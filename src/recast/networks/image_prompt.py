"""Cross-attention that reads image tokens beside those of words: IP-Adapter, arXiv:2308.06721."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from recast.errors import WeightsError
from recast.networks.hooks import SiteKind, heads_split
from recast.networks.sites import attention_sites

_KEYS, _VALUES = "to_k_ip.weight", "to_v_ip.weight"


class PictureAttention(nn.Module):
    """Attention to the last `count` tokens, those of a picture, by keys and values of their own. Section 3.2.2."""

    def __init__(self, keys: Tensor, values: Tensor, *, count: int, scale: float) -> None:
        super().__init__()
        self.keys, self.values = nn.Parameter(keys), nn.Parameter(values)
        self.count, self.scale = count, scale

    def split(self, tokens: Float[Tensor, "b n d"]) -> tuple[Float[Tensor, "b words d"], Float[Tensor, "b pictured d"]]:
        """Tokens of words, and of the picture."""
        return tokens[:, : -self.count], tokens[:, -self.count :]

    def forward(self, q: Float[Tensor, "b n e"], image: Float[Tensor, "b m d"], heads: int) -> Float[Tensor, "b n e"]:
        """What it adds to attention to the words, before the output projection."""
        return self.scale * _attended(q, F.linear(image, self.keys), F.linear(image, self.values), heads)


@dataclass(frozen=True, eq=False)
class ImagePromptProcessor:
    """Attends to words, and apart to a picture. plain: the layer's processor before."""

    picture: PictureAttention
    plain: object

    def __call__(
        self,
        attn: Attention,
        hidden_states: Float[Tensor, "b n c"],
        encoder_hidden_states: Float[Tensor, "b m d"],
        attention_mask: Tensor | None = None,
    ) -> Float[Tensor, "b n c"]:
        """The layer's answer, as diffusers asks for it."""
        assert attention_mask is None, "diffusers gives a UNet's cross-attention no mask unless it is asked to"
        words, image = self.picture.split(encoder_hidden_states)
        q = attn.to_q(hidden_states)
        answer = _attended(q, attn.to_k(words), attn.to_v(words), attn.heads) + self.picture(q, image, attn.heads)
        projection, dropout = attn.to_out or (nn.Identity(), nn.Identity())
        return dropout(projection(answer)) / attn.rescale_output_factor


def _attended(
    q: Float[Tensor, "b n e"], k: Float[Tensor, "b m e"], v: Float[Tensor, "b m e"], heads: int
) -> Float[Tensor, "b n e"]:
    q, k, v = (heads_split(each, heads) for each in (q, k, v))
    return rearrange(F.scaled_dot_product_attention(q, k, v), "b h n d -> b n (h d)")


def read_pictures(unet: UNet2DConditionModel, weights: Mapping[str, Tensor], *, count: int, scale: float) -> None:
    """Puts an IP-Adapter's keys and values into every cross-attention layer of the UNet, for good.

    weights: as published, by the number of the layer among the UNet's attention layers: "1.to_k_ip.weight" and so on.
    count: image tokens. Raises WeightsError for weights of another network.
    """
    layers = [site.layer for site in attention_sites(unet) if site.kind is SiteKind.CROSS]
    names = {f"{2 * index + 1}.{part}": layer for index, layer in enumerate(layers) for part in (_KEYS, _VALUES)}
    for wrong, odd in {"lacks": names.keys() - weights.keys(), "has unknown": weights.keys() - names.keys()}.items():
        if odd:
            raise WeightsError(f"ip_adapter {wrong} {len(odd)} weights, such as {min(odd)}; it is of another network")
    for name, layer in names.items():
        if weights[name].shape != layer.to_k.weight.shape:
            shapes = f"{tuple(weights[name].shape)} where the unet's layer has {tuple(layer.to_k.weight.shape)}"
            raise WeightsError(f"ip_adapter: {name} is {shapes}; take the adapter of this unet's family")
    for index, layer in enumerate(layers):
        keys, values = (weights[f"{2 * index + 1}.{part}"].to(layer.to_k.weight) for part in (_KEYS, _VALUES))
        picture = PictureAttention(keys, values, count=count, scale=scale)
        layer.add_module("picture", picture)
        own: Any = ImagePromptProcessor(picture, layer.processor)
        layer.processor = own
