"""Attention over frames that shifts features little, for an image UNet: the STAM of EI2, arXiv:2305.17431."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from recast.networks.temporal import Features

ITERATIONS = 16
"""Of the power method; a random matrix's norm is found to within 3 % or so."""


class NormalizedLinear(nn.Linear):
    """A linear map, without bias, by its matrix over that matrix's spectral norm, so that it makes no vector longer.

    below: whether a matrix of a norm below 1 stays as it is, so that it may begin at zero.
    """

    def __init__(self, channels: int, *, below: bool = False) -> None:
        super().__init__(channels, channels, bias=False)
        self.below = below
        if below:
            nn.init.zeros_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """Channels last."""
        least = 1.0 if self.below else torch.finfo(self.weight.dtype).tiny
        return F.linear(input, self.weight / spectral_norm(self.weight).clamp(min=least))


class ShiftRestrictedAttention(nn.Module):
    """Residual: self-attention over the frames of each place, of centred features by normalized maps; none at first.

    Centring in place of layer normalization leaves the features' own scale and hands no mean on, and maps that make
    nothing longer bound the variance that is added: both are what shifts the features that the image model's later
    layers were trained on (sections on covariate shift). Differs: features are centred by their mean over all frames
    and places of a clip, channel by channel; the last map's norm is 1 at most, where that of all others is 1, and
    begins at zero; the layer follows the transformer, where the paper's stands in it.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (NormalizedLinear(channels) for _ in range(3))
        self.to_out = NormalizedLinear(channels, below=True)

    def forward(self, x: Features) -> Features:
        """Features of whole clips, changed."""
        _, _, _, h, w = x.shape
        tokens = rearrange(x - x.mean((1, 3, 4), keepdim=True), "b t c h w -> (b h w) t c")
        q, k, v = (
            rearrange(project(tokens), "n t (heads d) -> n heads t d", heads=self.heads)
            for project in (self.to_q, self.to_k, self.to_v)
        )
        mixed = rearrange(F.scaled_dot_product_attention(q, k, v), "n heads t d -> n t (heads d)")
        return x + rearrange(self.to_out(mixed), "(b h w) t c -> b t c h w", h=h, w=w)


def spectral_norm(weight: Float[Tensor, "out e"]) -> Float[Tensor, ""]:
    """A matrix's largest singular value, by the power method from the same start each time; differentiable."""
    with torch.no_grad():
        right = F.normalize(weight.new_ones(weight.shape[1]), dim=0)
        for _ in range(ITERATIONS):
            right = F.normalize(weight.mT @ (weight @ right), dim=0)
        left = F.normalize(weight @ right, dim=0)
    return left @ weight @ right
