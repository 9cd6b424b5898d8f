"""Wan as a backbone: words to clips by rectified flow, four frames a latent."""

from dataclasses import dataclass

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan_vace import WanVACETransformer3DModel
from jaxtyping import Float
from torch import Tensor

from recast.backbones.video_transformer import Videos, VideoTransformerBackbone
from recast.types import Condition

WanNetwork = WanTransformer3DModel | WanVACETransformer3DModel


@dataclass(frozen=True, eq=False, kw_only=True)
class WanBackbone(VideoTransformerBackbone):
    """WanTransformer3DModel with its autoencoder and UMT5. arXiv:2503.20314.

    at_little_noise: Wan 2.2's second network, for timesteps below `boundary` (a share of all of them); None where one
    network has all levels.
    """

    network: WanNetwork
    at_little_noise: WanNetwork | None = None
    boundary: float = 0.0

    @property
    def pixel_multiple(self) -> int:
        """A latent's pixels times a patch's latents."""
        return self.autoencoder.pixel_stride * self.network.config.patch_size[1]

    @property
    def max_frames(self) -> int:
        """Positions over time; it was trained on 21 latents (81 frames)."""
        return self.network.rope.max_seq_len

    def _answered(
        self,
        videos: Videos,
        sigma: float,
        condition: Condition,
        tokens: Float[Tensor, "b n d"],
        *,
        apart: bool,
    ) -> Videos:
        network = self._at(sigma)
        like = network.patch_embedding.weight
        inputs = (
            self._given(videos, condition, apart=apart).to(like),
            self._timesteps(sigma, len(videos)),
            tokens.to(like),
        )
        return network(*inputs, return_dict=False)[0][:, :, -videos.shape[2] :]

    def _given(
        self,
        videos: Videos,
        condition: Condition,  # noqa: ARG002 -- for a network that reads more
        *,
        apart: bool,  # noqa: ARG002 -- the same
    ) -> Float[Tensor, "b channels whole y x"]:
        """What the network reads: the latents, or these and others beside or before them."""
        return videos

    def _at(self, sigma: float) -> WanNetwork:
        """The network of this level."""
        late = self.schedule.sigma_to_timestep(sigma) < self.boundary * len(self.schedule.sigmas)
        return self.network if self.at_little_noise is None or not late else self.at_little_noise

    def _timesteps(self, sigma: float, count: int) -> Float[Tensor, " b"]:
        device = self.network.patch_embedding.weight.device
        return torch.full((count,), self.schedule.sigma_to_timestep(sigma), device=device)
