"""Opens a folder of Stable Diffusion as the backbone that its network's channels ask for."""

from collections.abc import Callable
from functools import partial

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from recast.backbones.controlnets import opened_controlnets
from recast.backbones.image_prompt import ImagePrompt
from recast.backbones.stable_diffusion.backbone import StableDiffusionBackbone
from recast.backbones.stable_diffusion.controlled import ControlledStableDiffusion
from recast.backbones.stable_diffusion.instructed import InstructedStableDiffusion
from recast.backbones.stable_diffusion.prompt import PromptEncoder
from recast.backbones.stable_diffusion.xl import PairedPromptEncoder, StableDiffusionXLBackbone
from recast.diffusion.schedule import schedule
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.networks.placement import placed

BY_CHANNELS: dict[tuple[int, int], type[StableDiffusionBackbone]] = {
    (4, 4): StableDiffusionBackbone,
    (5, 4): StableDiffusionBackbone,
    (8, 4): InstructedStableDiffusion,
}
"""The backbone by the channels that its network reads and gives."""


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> StableDiffusionBackbone:
    """The backbone in a folder of StableDiffusionPipeline, or of its kin with ControlNets, depth, or a picture to edit.

    dtype: of the networks; latents stay fp32. Raises WeightsError for a part that is missing, unsafe or damaged, and
    for a network that reads other channels than latents, depth, or a picture to edit, such as one for inpainting.
    """
    unet = model.network("unet", UNet2DConditionModel).to(dtype=dtype)
    vae = model.network("vae", AutoencoderKL)
    # XL's as first published overflows in half precision, and says so.
    vae = placed(vae, device, torch.float32 if dtype is torch.float16 and vae.config.force_upcast else dtype)
    channels = unet.config.in_channels, unet.config.out_channels
    if channels not in BY_CHANNELS:
        wrong = f"the unet reads {channels[0]} channels and gives {channels[1]}"
        known = "4 to 4, 5 to 4 with depth, and 8 to 4 with a picture to edit"
        raise WeightsError(f"{wrong}; stable_diffusion opens {known}; {model.path}")
    kind: Callable[..., StableDiffusionBackbone] = BY_CHANNELS[channels]
    reader, image_prompt = PromptEncoder, ImagePrompt.put_in(model, unet, device)
    if unet.config.addition_embed_type is not None:
        kind, reader = _xl(unet, model), PairedPromptEncoder
    elif model.has("controlnet") and channels == (4, 4):
        kind = partial(ControlledStableDiffusion, controlnets=opened_controlnets(model, device, dtype))
    return kind(
        unet=placed(unet, device),
        vae=vae,
        prompt=reader.opened(model, device, dtype),
        image_prompt=image_prompt,
        schedule=schedule(model.scheduler_config()),
        metadata=model.metadata,
    )


def _xl(unet: UNet2DConditionModel, model: ModelFolder) -> type[StableDiffusionXLBackbone]:
    """The backbone of XL. Raises WeightsError for a network that is conditioned on something else.

    A refiner is conditioned on an aesthetic score in the place of a size, and has one text encoder.
    """
    kind = unet.config.addition_embed_type
    if kind != "text_time" or not (model.has("text_encoder") and model.has("text_encoder_2")):
        wrong = f"the unet is conditioned on {kind} beside words, and stable_diffusion opens the base network of XL"
        raise WeightsError(f"{wrong}, with two text encoders; {model.path}")
    for part, named in {"ip_adapter": "IP-Adapters", "controlnet": "ControlNets"}.items():
        if model.has(part):
            raise WeightsError(f"{named} of XL are not opened; take the folder without {part}; {model.path}")
    return StableDiffusionXLBackbone
