"""Opens a folder of StableDiffusionImageVariationPipeline, with motion modules, ControlNets and a prior beside it."""

from collections.abc import Callable
from functools import partial

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_motion_model import MotionAdapter

from recast.backbones.animatediff.motion import put_in
from recast.backbones.animatediff.motion_unet import image_schedule_of, image_unet_of
from recast.backbones.controlnets import opened_controlnets
from recast.backbones.image_variations.backbone import ImageVariationsBackbone, ImageVariationsVideo
from recast.backbones.stable_diffusion.prompt import PromptEncoder
from recast.conditions.content import ContentEncoders, Medium
from recast.conditions.squeezed_image import SqueezedImageEncoder
from recast.diffusion.schedule import schedule
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.model.metadata import json_object
from recast.networks.placement import placed


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> ImageVariationsBackbone:
    """The backbone in the folder; with motion_adapter frames see each other, with prior it reads words.

    dtype: of the networks; latents stay fp32. Raises WeightsError for a part that is missing, unsafe or damaged, and
    for parts that were not made for each other.
    """
    unet, vae = image_unet_of(model), model.network("vae", AutoencoderKL)
    kind: Callable[..., ImageVariationsBackbone] = ImageVariationsBackbone
    levels = schedule(model.scheduler_config())
    if model.has("motion_adapter"):
        adapter = model.network("motion_adapter", MotionAdapter)
        moving = {"motion": put_in(unet, adapter), "positions": adapter.config.motion_max_seq_length}
        kind = partial(ImageVariationsVideo, **moving, image_schedule=image_schedule_of(model, levels))
    placed(unet, device, dtype)
    placed(vae, device, dtype)
    controlnets = opened_controlnets(model, device, dtype)
    pictures = SqueezedImageEncoder.opened(model, torch.device(device))
    _check_widths(model, unet.config.cross_attention_dim, pictures.network.config.projection_dim)
    return kind(
        unet=unet,
        vae=vae,
        controlnets=controlnets,
        content=ContentEncoders(model, torch.device(device), {Medium.PICTURE: pictures}),
        reads_words=model.has("prior"),
        no_words=PromptEncoder.opened(model, device, dtype)("") if controlnets else None,
        schedule=levels,
        metadata=model.metadata,
    )


def _check_widths(model: ModelFolder, unet: int, encoder: int) -> None:
    """Raises WeightsError where encoder or prior make embeddings of another width than the UNet reads."""
    widths = {"image_encoder": encoder}
    if model.has("prior"):
        widths["prior"] = json_object(model.component("prior") / "config.json").get("embedding_dim", 768)
    for name, width in widths.items():
        if width != unet:
            wrong = f"{name} makes embeddings of {width} numbers and the unet reads {unet}"
            raise WeightsError(f"{wrong}: they are of different models; {model.path}")
