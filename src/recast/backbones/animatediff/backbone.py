"""AnimateDiff as a backbone: Stable Diffusion whose frames see each other, conditioned on structure by ControlNets."""

from dataclasses import dataclass

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_motion_model import MotionAdapter

from recast.backbones.animatediff.motion import put_in
from recast.backbones.animatediff.motion_unet import MotionUNet, image_schedule_of, image_unet_of
from recast.backbones.controlnets import opened_controlnets
from recast.backbones.image_prompt import ImagePrompt
from recast.backbones.stable_diffusion import ControlledStableDiffusion
from recast.backbones.stable_diffusion.prompt import PromptEncoder
from recast.diffusion.schedule import schedule
from recast.model.folder import ModelFolder
from recast.networks.placement import placed


@dataclass(frozen=True, eq=False, kw_only=True)
class AnimateDiffBackbone(MotionUNet, ControlledStableDiffusion):
    """Stable Diffusion with motion modules. arXiv:2307.04725."""


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> AnimateDiffBackbone:
    """The backbone in a folder of AnimateDiffPipeline, or of an image model with a motion_adapter beside its unet.

    dtype: of the networks; latents stay fp32. Raises WeightsError for a part that is missing, unsafe or damaged, and
    for parts that were not made for each other.
    """
    unet, adapter = image_unet_of(model), model.network("motion_adapter", MotionAdapter)
    motion, vae = put_in(unet, adapter), model.network("vae", AutoencoderKL)
    levels = schedule(model.scheduler_config())
    image_prompt = ImagePrompt.put_in(model, unet, device)
    placed(unet, device, dtype)
    placed(vae, device, dtype)
    return AnimateDiffBackbone(
        unet=unet,
        motion=motion,
        positions=adapter.config.motion_max_seq_length,
        image_schedule=image_schedule_of(model, levels),
        controlnets=opened_controlnets(model, device, dtype),
        vae=vae,
        prompt=PromptEncoder.opened(model, device, dtype),
        image_prompt=image_prompt,
        schedule=levels,
        metadata=model.metadata,
    )
