"""Latents of Stable Diffusion's image autoencoder, and levels of a scheduler: what families on top of them share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from jaxtyping import Float
from torch import Tensor

from recast.backbones.branches import check_sole
from recast.backbones.sides import SizedByMetadata
from recast.diffusion.schedule import Schedule
from recast.errors import NotFiniteError, WeightsError
from recast.networks.hooks import PassContext
from recast.networks.placement import first_weight
from recast.progress import Report, unreported
from recast.types import ClipLatents, Condition, Frames, Kind, Latents, Maps, Structure, StructureUse

ImageEncodingVAE = AutoencoderKL | AutoencoderKLTemporalDecoder
"""Both encode images one by one; the second decodes frames that see each other."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageLatentBackbone(SizedByMetadata, ABC):
    """The part of a backbone that is an image autoencoder and noise levels; a frame has one latent.

    together: asks for all branches in one pass, which is faster; one after the other needs less memory, and the answers
    are the same. pass_context: tells hooks the pass at hand.
    """

    vae: ImageEncodingVAE
    schedule: Schedule
    together: bool = True
    pass_context: PassContext = field(default_factory=PassContext, repr=False)

    def __post_init__(self) -> None:
        scale = self.vae.config.scaling_factor
        if not isinstance(scale, int | float) or not isfinite(scale) or scale <= 0:
            raise WeightsError(f"vae: scaling_factor is {scale!r} and must be a number above 0; get the folder again")

    @property
    def pixel_multiple(self) -> int:
        """Pixels a latent, along one side; networks themselves take latents of any size."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def temporal_stride(self) -> int:
        """1: each frame has a latent of its own."""
        return 1

    def sigmas(self, steps: int) -> list[float]:
        """`steps` + 1 falling noise levels, the last one 0."""
        return self.schedule.timestep_sigmas(steps)

    @abstractmethod
    def structure_channels(self, structure: Structure) -> Maps:
        """A structure as the network reads it. Raises BackboneError for a kind that the network does not read."""

    @property
    @abstractmethod
    def structure_kinds(self) -> frozenset[Kind]:
        """The kinds of structure that the network can be conditioned on."""

    def check_structures(
        self,
        structures: Sequence[StructureUse],
        steps: int,  # noqa: ARG002 -- planes act at every step
    ) -> None:
        """Raises BackboneError for a kind that the network does not read, for several, a weight or a range."""
        check_sole(structures, self.structure_kinds, optional=self.metadata.structure_optional)

    def with_structures(self, condition: Condition, structures: Sequence[Structure], steps: int) -> Condition:
        """The condition with the one structure's planes, 0 for a weight of 0. Raises what `check_structures` raises."""
        self.check_structures(structures, steps)
        planes = self.structure_channels(structures[0])
        return replace(condition, structure_channels=planes if structures[0].weight else torch.zeros_like(planes))

    def encode_pixels(self, pixels: Float[Tensor, "t 3 h w"]) -> ClipLatents:
        """Pixels of -1..1 to unit-variance latents, frame by frame; gradients pass through."""
        return torch.cat([encoded_picture(self.vae, picture) for picture in pixels.split(1)])

    def decode_pixels(self, latents: ClipLatents) -> Float[Tensor, "t 3 h w"]:
        """Latents to pixels of about -1..1, not clamped, frame by frame; gradients pass through."""
        return torch.cat([_decoded_picture(self.vae, latent) for latent in latents.split(1)])

    @torch.no_grad()
    def encode(self, frames: Frames) -> ClipLatents:
        """Frames to unit-variance latents; the mean of the distribution."""
        return self.encode_pixels(as_pixels(frames))

    @torch.no_grad()
    def decode(self, latents: ClipLatents, report: Report = unreported) -> Frames:
        """Latents to frames on the CPU, rounded and clamped, frame by frame; `report` is called after each."""
        decoded = []
        for latent in latents.split(1):
            decoded.append(as_frames(self.decode_pixels(latent)))
            report(len(decoded), len(latents))
        return torch.cat(decoded)


def as_pixels(frames: Frames) -> Float[Tensor, "t 3 h w"]:
    """8-bit frames as pixels of -1..1."""
    return frames / 127.5 - 1


def as_frames(pixels: Float[Tensor, "t 3 h w"]) -> Frames:
    """Pixels of -1..1 as 8-bit frames on the CPU, rounded and clamped. Raises NotFiniteError for what is no number."""
    if not pixels.isfinite().all():
        raise NotFiniteError(
            "the model's answer holds numbers that are not finite, so there is no picture; try --dtype float32, or a "
            "--cfg nearer to 1"
        )
    return ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()


def encoded_picture(vae: ImageEncodingVAE, pictures: Float[Tensor, "t 3 h w"]) -> Latents:
    """Pictures of -1..1 to latents, all at once."""
    mean = vae.encode(pictures.to(first_weight(vae))).latent_dist.mean
    return mean.float() * vae.config.scaling_factor


def _decoded_picture(vae: ImageEncodingVAE, latents: Latents) -> Float[Tensor, "t 3 h w"]:
    assert isinstance(vae, AutoencoderKL), "a family of another decoder says how it decodes"
    scaled = (latents / vae.config.scaling_factor).to(first_weight(vae))
    return vae.decode(scaled).sample.float()
