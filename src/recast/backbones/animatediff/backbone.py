"""AnimateDiff as a backbone: Stable Diffusion whose frames see each other, conditioned on structure by ControlNets."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import MotionAdapter, UNetMotionModel
from torch import nn

from recast.backbones.animatediff.motion import image_unet, put_in
from recast.backbones.branches import temporal_layout
from recast.backbones.controlnets import opened_controlnets
from recast.backbones.image_prompt import ImagePrompt
from recast.backbones.stable_diffusion import ControlledStableDiffusion
from recast.backbones.stable_diffusion.prompt import PromptEncoder
from recast.denoising import Branch
from recast.diffusion.schedule import Schedule, schedule
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.model.metadata import json_object
from recast.networks.placement import first_weight
from recast.networks.temporal import TemporalContext


@dataclass(frozen=True, eq=False, kw_only=True)
class AnimateDiffBackbone(ControlledStableDiffusion):
    """An image UNet with motion modules in it, and what Stable Diffusion has. arXiv:2307.04725.

    motion: switches the modules on; with them off it is the image model, bit for bit. positions: of frames in them.
    image_schedule: the levels that the image model was trained on, where they are not those of the motion modules;
    images are then asked for at its timesteps. More than `max_frames` frames raise ShapeError.
    """

    motion: TemporalContext
    positions: int
    image_schedule: Schedule | None = None

    @property
    def max_frames(self) -> int:
        """The most frames that the motion modules have positions for."""
        return self.positions

    @property
    def has_temporal_layers(self) -> bool:
        """Motion modules."""
        return True

    def _temporal(self, branches: Mapping[int, Branch], frames: int) -> tuple[bool, ...]:
        return tuple(branch.temporal and frames > 1 for branch in branches.values())

    def _over_time(self, frames: int, temporal: Sequence[bool]) -> AbstractContextManager[None]:
        return self.motion.on(temporal_layout(frames, temporal, self.max_frames, first_weight(self.unet).device))

    def _timestep(self, sigma: float, *, temporal: bool) -> float:
        levels = self.schedule if temporal or self.image_schedule is None else self.image_schedule
        return levels.sigma_to_timestep(sigma)


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> AnimateDiffBackbone:
    """The backbone in a folder of AnimateDiffPipeline, or of an image model with a motion_adapter beside its unet.

    dtype: of the networks; latents stay fp32. Raises WeightsError for a part that is missing, unsafe or damaged, and
    for parts that were not made for each other.
    """
    unet, adapter = _image_unet(model), model.network("motion_adapter", MotionAdapter)
    motion, vae = put_in(unet, adapter), model.network("vae", AutoencoderKL)
    levels = schedule(model.scheduler_config())
    image_prompt = ImagePrompt.put_in(model, unet, device)
    networks: list[nn.Module] = [unet, vae]
    for network in networks:
        nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
        network.to(device, dtype).requires_grad_(False)
    return AnimateDiffBackbone(
        unet=unet,
        motion=motion,
        positions=adapter.config.motion_max_seq_length,
        image_schedule=_image_schedule(model, levels),
        controlnets=opened_controlnets(model, device, dtype),
        vae=vae,
        prompt=PromptEncoder.opened(model, device, dtype),
        image_prompt=image_prompt,
        schedule=levels,
        metadata=model.metadata,
    )


def _image_schedule(model: ModelFolder, levels: Schedule) -> Schedule | None:
    """The image model's own levels, where the folder has them. Raises WeightsError for another prediction."""
    if not model.has("image_scheduler"):
        return None
    own = schedule(model.scheduler_config("image_scheduler"))
    if own.prediction is not levels.prediction:
        wrong = f"image_scheduler is of {own.prediction} and scheduler of {levels.prediction}"
        raise WeightsError(f"{wrong}; one network has one prediction: take those of its own model; {model.path}")
    return own


def _image_unet(model: ModelFolder) -> UNet2DConditionModel:
    whole = json_object(model.component("unet") / "config.json").get("_class_name") == UNetMotionModel.__name__
    unet = image_unet(model.network("unet", UNetMotionModel)) if whole else model.network("unet", UNet2DConditionModel)
    channels = unet.config.in_channels, unet.config.out_channels
    if channels != (4, 4):
        wrong = f"the unet reads {channels[0]} channels and gives {channels[1]}; animatediff opens 4 to 4"
        raise WeightsError(f"{wrong}; {model.path}")
    return unet
