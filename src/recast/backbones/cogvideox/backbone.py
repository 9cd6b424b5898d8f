"""CogVideoX as a backbone: words to clips by a diffusion of velocity, four frames a latent."""

from dataclasses import dataclass

import torch
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.backbones.video_transformer import Videos, VideoTransformerBackbone
from recast.errors import BackboneError
from recast.networks.placement import first_weight
from recast.types import Condition

MAX_LATENTS = 128
"""Positions over time are computed for any number, so only memory bounds a pass; it was trained on 13 (49 frames)."""

Corner = tuple[int, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class CogVideoXBackbone(VideoTransformerBackbone):
    """CogVideoXTransformer3DModel with its autoencoder and T5. arXiv:2408.06072.

    2B adds sines of places to its features; 5B turns queries and keys by them (rotary embeddings).
    """

    network: CogVideoXTransformer3DModel

    @property
    def pixel_multiple(self) -> int:
        """A latent's pixels times a patch's latents."""
        return self.autoencoder.pixel_stride * self.network.config.patch_size

    @property
    def max_frames(self) -> int:
        """See MAX_LATENTS."""
        return MAX_LATENTS

    def _answered(
        self, videos: Videos, sigma: float, condition: Condition, tokens: Float[Tensor, "b n d"], *, apart: bool
    ) -> Videos:
        like, places = first_weight(self.network), self.network.config.max_text_seq_length
        if tokens.shape[1] != places:
            raise BackboneError(f"this model reads {places} tokens of words and was given {tokens.shape[1]}")
        read = rearrange(self._given(videos, condition, apart=apart), "b c t y x -> b t c y x")
        answer = self.network(
            read.to(like),
            encoder_hidden_states=tokens.to(like),
            timestep=torch.full((len(videos),), self.schedule.sigma_to_timestep(sigma), device=like.device),
            image_rotary_emb=self._rotations(videos, like.device),
            return_dict=False,
        )[0]
        return rearrange(answer, "b t c y x -> b c t y x")

    def _given(
        self,
        videos: Videos,
        condition: Condition,  # noqa: ARG002 -- for a network that reads more
        *,
        apart: bool,  # noqa: ARG002 -- the same
    ) -> Float[Tensor, "b channels t y x"]:
        """What the network reads: the latents, or these and others beside them."""
        return videos

    def _rotations(self, videos: Videos, device: torch.device) -> tuple[Tensor, Tensor] | None:
        """Cosines and sines by which places are turned; None where positions are added to features."""
        config = self.network.config
        if not config.use_rotary_positional_embeddings:
            return None
        patch = config.patch_size
        rows, columns = videos.shape[-2] // patch, videos.shape[-1] // patch
        cosines, sines = get_3d_rotary_pos_embed(
            embed_dim=config.attention_head_dim,
            crops_coords=fitted((rows, columns), (config.sample_height // patch, config.sample_width // patch)),
            grid_size=(rows, columns),
            temporal_size=videos.shape[2],
            device=device,
        )
        return cosines, sines


def fitted(places: tuple[int, int], trained: tuple[int, int]) -> tuple[Corner, Corner]:
    """The corners of a grid as large as there is room for in the middle of the one that was trained on.

    In places of the latter; row and column each. Places of any other grid lie evenly between them.
    """
    scale = min(trained[0] / places[0], trained[1] / places[1])
    rows, columns = (round(scale * side) for side in places)
    top, left = round((trained[0] - rows) / 2), round((trained[1] - columns) / 2)
    return (top, left), (top + rows, left + columns)
