"""Stable Diffusion that reads an instruction, and the picture to edit beside the latents: InstructPix2Pix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from recast.backbones.stable_diffusion.backbone import StableDiffusionBackbone
from recast.denoising import Branch
from recast.types import Condition, Frames, Kind, Latents


@dataclass(frozen=True, eq=False, kw_only=True)
class InstructedStableDiffusion(StableDiffusionBackbone):
    """An image UNet of eight channels: the latents, and those of the picture to edit. arXiv:2211.09800.

    The picture stands in `Condition.structure_channels`, see `picture_channels`; without it, and in branches that are
    not to see it, its channels are zero, as they were where training dropped it. It reads no structure.
    """

    @property
    def structure_kinds(self) -> frozenset[Kind]:
        """None: the added channels are the picture's."""
        return frozenset()

    def picture_channels(self, frames: Frames) -> Latents:
        """Frames as the network reads the picture to edit: the autoencoder's mean, not scaled to unit variance."""
        return self.encode(frames) / self.vae.config.scaling_factor

    def denoise_branches(
        self, x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """One guess at the clean latents for each branch. Raises BackboneError for a picture of other channels."""
        if condition.structure_channels is None:
            nothing = x.new_zeros(len(x), self._extra_channels, *x.shape[-2:])
            condition = replace(condition, structure_channels=nothing)
        return super().denoise_branches(x, sigma, condition, branches)

    def _batched(
        self, inputs: Float[Tensor, "t channels y x"], branches: Mapping[int, Branch]
    ) -> Float[Tensor, "rows channels y x"]:
        kept = inputs.shape[1] - self._extra_channels
        bare = torch.cat([inputs[:, :kept], torch.zeros_like(inputs[:, kept:])], dim=1)
        return torch.cat([inputs if branch.picture else bare for branch in branches.values()])
