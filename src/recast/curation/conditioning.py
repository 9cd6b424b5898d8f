"""What the generator is trained on, precomputed for a clip: latent moments, structure latents, depth, embeddings."""

import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from recast.conditions.depth import DepthExtractor, normalized
from recast.conditions.detail import softened
from recast.conditions.image import ImageEncoder
from recast.data.examples import Example
from recast.data.storage import maps_of, steps_of
from recast.model.folder import ModelFolder, quiet
from recast.networks.placement import first_weight, placed
from recast.types import Clip, Frames, Latents, Maps

DEEPEST_LEVEL = 7


@dataclass(frozen=True, eq=False)
class Conditioner:
    """The networks of one model that compute examples.

    vae: an AutoencoderKL. scale: factor that gives latents unit variance.
    """

    vae: Any
    scale: float
    depth: DepthExtractor
    encoder: ImageEncoder
    unit_embeddings: bool

    @classmethod
    def opened(cls, model: str, device: str = "cpu") -> "Conditioner":
        """The networks of a known model or of a model folder. Raises WeightsError where one is missing or damaged."""
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

        folder, where = ModelFolder.found(model), torch.device(device)
        with quiet():
            vae = placed(folder.network("vae", AutoencoderKL), where)
            return cls(
                vae,
                vae.config.scaling_factor,
                DepthExtractor.opened(folder, where),
                ImageEncoder.opened(folder, where),
                folder.metadata.embedding_norm == "unit",
            )

    def example(self, frames: Frames, maps: Maps, levels: tuple[float, ...], caption: str | None) -> Example:
        """A clip as the generator is trained on it, in fp16. maps: its inverse depth, 0..1 over the clip."""
        structure = torch.stack([self.moments(_greys(softened(maps, level)))[:, :4] for level in levels])
        embeddings = self.encoder.embeddings(frames)
        if self.unit_embeddings:
            embeddings = F.normalize(embeddings, dim=-1)
        moments = self.moments(frames / 127.5 - 1)
        return Example(moments.half(), structure.half(), levels, embeddings.half(), caption)

    def maps(self, frames: Frames) -> Maps:
        """Inverse depth, 0..1 over the clip, quantised to steps of 1/65535."""
        return maps_of(steps_of(self.depth(Clip(frames, Fraction(1))).maps))

    @torch.no_grad()
    def moments(self, pictures: Float[Tensor, "t 3 h w"]) -> Float[Tensor, "t 8 y x"]:
        """Mean and log-variance of unit-variance latents, frame by frame. pictures: -1..1."""
        return torch.cat([self._moments(picture) for picture in pictures.split(1)])

    def _moments(self, picture: Float[Tensor, "1 3 h w"]) -> Latents:
        spread = self.vae.encode(picture.to(first_weight(self.vae)), return_dict=False)[0]
        return torch.cat([spread.mean * self.scale, spread.logvar + 2 * math.log(self.scale)], dim=1).float().cpu()


@cache
def conditioner(model: str, device: str) -> Conditioner:
    """The conditioner of a model, opened once a process."""
    return Conditioner.opened(model, device)


def levels_of(key: str, count: int) -> tuple[float, ...]:
    """The t_s of a clip's structure latents, ascending: 0, and count - 1 of 1..7 drawn with the clip's key as seed."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))
    others = rng.choice(np.arange(1, DEEPEST_LEVEL + 1), size=count - 1, replace=False)
    return (0.0, *(float(level) for level in sorted(others)))


def true_maps(inverse: Float[np.ndarray, "t h w"]) -> Maps:
    """A world's true inverse depth, normalised and quantised as `Conditioner.maps` does."""
    return maps_of(steps_of(normalized(torch.from_numpy(inverse)[:, None].float())))


def _greys(maps: Maps) -> Float[Tensor, "t 3 h w"]:
    return repeat(maps, "t 1 h w -> t c h w", c=3) * 2 - 1
