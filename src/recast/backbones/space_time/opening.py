"""Opens a folder that recast trained as the backbone that its parts ask for."""

from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.controlnets.controlnet import ControlNetModel

from recast.backbones.space_time.backbone import InstructedSpaceTime, SpaceTimeBackbone
from recast.backbones.space_time.edited_frame import EditedFrameBackbone
from recast.backbones.space_time.several import ComposedBackbone, PosedBackbone
from recast.backbones.stable_diffusion.prompt import PromptEncoder
from recast.conditions.image import ImageEncoder
from recast.diffusion.schedule import schedule
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.networks.condition_encoder import ConditionEncoder
from recast.networks.conditioned import APPEARANCE, ENCODER, POSES
from recast.networks.placement import placed
from recast.networks.pose_encoder import PoseEncoder
from recast.networks.storage import loaded

BARE = (4, 5, 8)
"""Channels that networks without parts beside them read: latents; with depth; with the clip to edit."""


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> SpaceTimeBackbone:
    """The backbone in a folder of unet, temporal, text encoder, autoencoder, and what reads further conditions.

    dtype: of the networks; latents stay fp32. Raises WeightsError for a part that is missing, unsafe or damaged, and
    for a network of other channels than its parts give.
    """
    net, vae = loaded(model, dtype), model.network("vae", AutoencoderKL)
    placed(net, device, dtype)
    placed(vae, device, dtype)
    shared: dict[str, Any] = {
        "unet": net.unet,
        "motion": net.temporal_context,
        "positions": net.max_frames,
        "vae": vae,
        "prompt": PromptEncoder.opened(model, device, dtype),
        "schedule": schedule(model.scheduler_config()),
        "metadata": model.metadata,
    }
    read = net.unet.config.in_channels
    if model.has(ENCODER):
        return _composed(model, read, shared, device=device, dtype=dtype)
    if read not in BARE:
        wrong = f"the unet reads {read} channels and there is no {ENCODER}"
        raise WeightsError(f"{wrong}; without one it reads 4, 5 with depth, or 8 with a clip to edit; {model.path}")
    if model.has(POSES):
        poses = model.network(POSES, PoseEncoder)
        placed(poses, device, dtype)
        return PosedBackbone(**shared, poses=poses)
    if model.has(APPEARANCE):
        branch = model.network(APPEARANCE, ControlNetModel)
        placed(branch, device, dtype)
        return EditedFrameBackbone(**shared, appearance=branch)
    return (InstructedSpaceTime if read == 8 else SpaceTimeBackbone)(**shared)


def _composed(
    model: ModelFolder, read: int, shared: dict[str, Any], *, device: str, dtype: torch.dtype
) -> ComposedBackbone:
    encoder = model.network(ENCODER, ConditionEncoder)
    if read != 4 + encoder.width:
        wrong = f"the unet reads {read} channels and {ENCODER} makes {encoder.width} beside four of latents"
        raise WeightsError(f"{wrong}; they are of two networks; {model.path}")
    placed(encoder, device, dtype)
    pictured = encoder.picture is not None
    image_encoder = ImageEncoder.opened(model, torch.device(device)) if pictured else None
    return ComposedBackbone(**shared, encoder=encoder, image_encoder=image_encoder)
