"""TAESD: a tiny autoencoder's decoder, for pictures in little time that are not those of the model's own decoder.

Learned by Ollin Boer Bohan to decode the latents of Stable Diffusion, as diffusers' AutoencoderTiny has it.
"""

from dataclasses import dataclass

import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

from recast.backbones.autoencoder import ImageLatentBackbone, as_frames
from recast.backbones.backbone import Backbone
from recast.errors import BackboneError, WeightsError
from recast.model.folder import ModelFolder, quiet
from recast.model.pulled import is_pulled
from recast.model.specs import SPECS
from recast.networks.placement import first_weight
from recast.progress import Report, unreported
from recast.types import ClipLatents, Frames

COMPONENT = "tiny_vae"
"""The subfolder of a model folder that holds one."""
BY_LATENTS = {(4, 0.18215): "taesd", (4, 0.13025): "taesdxl"}
"""The model by name that decodes latents of so many channels and this scaling factor: Stable Diffusion 1 and 2, XL."""


@dataclass(frozen=True, eq=False)
class TinyDecoder:
    """An AutoencoderTiny, of which the decoder is used. Lossy: fine detail and text are not those of the autoencoder.

    It reads latents as networks are trained on them, of unit variance.
    """

    network: AutoencoderTiny

    @classmethod
    def opened(
        cls, model: ModelFolder, backbone: Backbone, *, device: torch.device, dtype: torch.dtype
    ) -> "TinyDecoder":
        """That of the model's folder, else the pulled one that was trained on its autoencoder's latents.

        Raises BackboneError for latents that none was trained on, WeightsError for one that is not here, is damaged, or
        gives pictures of another size.
        """
        if not isinstance(backbone, ImageLatentBackbone):
            raise BackboneError("frames of this model share latents, and tiny decoders are of images; leave it out")
        folder = model if model.has(COMPONENT) else _pulled(backbone)
        network = folder.network(COMPONENT, AutoencoderTiny)
        config = network.config
        made = config.latent_channels, 2 ** (len(config.decoder_block_out_channels) - 1)
        wanted = backbone.vae.config.latent_channels, backbone.pixel_multiple
        if made != wanted:
            wrong = "{} channels and gives {} pixels a latent, and the model has {} and {}".format(*made, *wanted)
            raise WeightsError(f"{COMPONENT} reads latents of {wrong}; take another; {folder.path}")
        with quiet():  # diffusers notes that an empty list of layers should be kept in fp32
            return cls(network.to(device, dtype).requires_grad_(False))

    @classmethod
    def here(
        cls, model: ModelFolder, backbone: Backbone, *, device: torch.device, dtype: torch.dtype
    ) -> "TinyDecoder | None":
        """The same where there is one on this disk, else None."""
        try:
            return cls.opened(model, backbone, device=device, dtype=dtype)
        except (BackboneError, WeightsError):
            return None

    @torch.no_grad()
    def decode(self, latents: ClipLatents, report: Report = unreported) -> Frames:
        """Latents to frames on the CPU, one by one, as `Backbone.decode` does."""
        made, like = [], first_weight(self.network)
        for latent in latents.split(1):
            scaled = (latent / self.network.config.scaling_factor).to(like)
            made.append(as_frames(self.network.decode(scaled).sample.float()))
            report(len(made), len(latents))
        return torch.cat(made)


def _pulled(backbone: ImageLatentBackbone) -> ModelFolder:
    config = backbone.vae.config
    key = config.latent_channels, config.scaling_factor
    if key not in BY_LATENTS:
        known = " and ".join(f"{channels} and {scale:g} ({name})" for (channels, scale), name in BY_LATENTS.items())
        raise BackboneError(
            f"no tiny decoder is known for latents of {key[0]} channels and the scaling factor {key[1]:g}; there are "
            f"those of {known}: say --decoder own, or put one into the model's folder as {COMPONENT}"
        )
    name = BY_LATENTS[key]
    if not is_pulled(name):
        brings = f"`recast models pull {name}` brings it, {1000 * SPECS[name].gigabytes:g} MB"
        raise WeightsError(f"the tiny decoder is not here; {brings}, under {' and '.join(SPECS[name].licences)}")
    return ModelFolder.found(name)
