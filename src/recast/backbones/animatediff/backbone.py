"""AnimateDiff as a backbone: Stable Diffusion whose frames see each other, conditioned on depth by a ControlNet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import MotionAdapter, UNetMotionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from recast.backbones.animatediff.motion import image_unet, put_in
from recast.backbones.branches import batches, check_kind, frame_numbers, structure_of
from recast.backbones.residuals import handed_residuals, residual_arguments
from recast.backbones.stable_diffusion import StableDiffusionBackbone
from recast.backbones.stable_diffusion.prompt import PromptEncoder
from recast.conditions.detail import softened
from recast.control import ControlResiduals
from recast.diffusion.parameterization import clean_from, scale_input
from recast.diffusion.schedule import schedule
from recast.errors import ShapeError, WeightsError
from recast.model.folder import ModelFolder
from recast.model.metadata import json_object
from recast.networks.hooks import DenoisePass
from recast.networks.temporal import BatchLayout, TemporalContext
from recast.types import Branch, Condition, Kind, Latents, Maps, Structure


@dataclass(frozen=True, eq=False, kw_only=True)
class AnimateDiffBackbone(StableDiffusionBackbone):
    """An image UNet with motion modules in it, and what Stable Diffusion has. arXiv:2307.04725.

    motion: switches the modules on; with them off it is the image model, bit for bit. positions: of frames in them.
    controlnet: is conditioned on the structure, frame by frame (arXiv:2302.05543); None where the model knows none.
    """

    motion: TemporalContext
    positions: int
    controlnet: ControlNetModel | None = None

    @property
    def structure_kinds(self) -> frozenset[Kind]:
        """Those that recast.json names, depth where it names none; none at all without a ControlNet."""
        return frozenset(map(Kind, self.metadata.structures)) if self.controlnet is not None else frozenset()

    @property
    def max_frames(self) -> int:
        """The most frames that the motion modules have positions for."""
        return self.positions

    def structure_channels(self, structure: Structure) -> Maps:
        """The softened maps as grey pictures of 0..1, at the clip's size: a ControlNet shrinks them itself.

        Raises BackboneError for another kind of structure.
        """
        check_kind(structure, self.structure_kinds)
        maps = softened(structure.maps, structure.detail, self.trained_side).to(self.unet.device)
        return repeat(maps, "t 1 h w -> t c h w", c=self._told_channels)

    def denoise_branches(
        self, x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """One guess at the clean latents for each branch; a single frame is an image, its motion modules stay off.

        Raises BackboneError where the ControlNet needs structure and the condition has none, or the reverse, and
        ShapeError for more than `max_frames` frames.
        """
        structure_of(condition, self._told_channels)
        groups, scaled = batches(branches, together=self.together), scale_input(x, sigma)
        answers = torch.cat([self._predicted(scaled, sigma, condition, group) for group in groups])
        return [clean_from(self.schedule.prediction, answer, x, sigma) for answer in answers]

    def _predicted(
        self, scaled: Latents, sigma: float, condition: Condition, branches: Mapping[int, Branch]
    ) -> Float[Tensor, "branches t c y x"]:
        unet, number, count = self.unet, len(branches), len(scaled)
        temporal = tuple(branch.temporal and count > 1 for branch in branches.values())
        tokens = torch.cat([branch.tokens.expand(count, -1, -1) for branch in branches.values()])
        images = repeat(scaled, "t c y x -> (b t) c y x", b=number).to(unet.device, unet.dtype)
        timestep = torch.tensor(self.schedule.sigma_to_timestep(sigma), device=unet.device)
        inputs = images, timestep, tokens.to(unet.device, unet.dtype)
        added = handed_residuals(unet, condition.residuals, number, count)
        added += self._controlled(*inputs, condition.structure_channels)
        now = DenoisePass(sigma, tuple(branches), temporal, frame_numbers(condition, count))
        with self.pass_context.on(now), self.motion.on(self._layout(count, temporal)):
            answer = unet(*inputs, **residual_arguments(added), return_dict=False)[0]
        return rearrange(answer, "(b t) c y x -> b t c y x", b=number).to(scaled)

    def _controlled(
        self, images: Tensor, timestep: Tensor, tokens: Tensor, maps: Maps | None
    ) -> list[ControlResiduals]:
        """What the ControlNet adds to the UNet's features."""
        if self.controlnet is None or maps is None:
            return []
        pictures = repeat(maps, "t c h w -> (b t) c h w", b=len(images) // len(maps)).to(images)
        down, middle = self.controlnet(images, timestep, tokens, pictures, return_dict=False)
        return [ControlResiduals(tuple(down), middle)]

    def _layout(self, frames: int, temporal: tuple[bool, ...]) -> BatchLayout | None:
        if not any(temporal):
            return None
        if frames > self.max_frames:
            wrong = f"the motion modules see at most {self.max_frames} frames at once and were given {frames}"
            raise ShapeError(f"{wrong}; use smaller windows")
        videos = torch.tensor(temporal, device=self.unet.device).nonzero().flatten()
        return BatchLayout(frames, None if all(temporal) else videos)

    @property
    def _told_channels(self) -> int:
        return 0 if self.controlnet is None else self.controlnet.config.conditioning_channels


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> AnimateDiffBackbone:
    """The backbone in a folder of AnimateDiffPipeline, or of an image model with a motion_adapter beside its unet.

    dtype: of the networks; latents stay fp32. Raises WeightsError for a part that is missing, unsafe or damaged, and
    for parts that were not made for each other.
    """
    unet, adapter = _image_unet(model), model.network("motion_adapter", MotionAdapter)
    motion, vae = put_in(unet, adapter), model.network("vae", AutoencoderKL)
    controlnet = model.network("controlnet", ControlNetModel) if model.has("controlnet") else None
    networks: list[nn.Module] = [unet, vae, *([controlnet] if controlnet else [])]
    for network in networks:
        nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
        network.to(device, dtype).requires_grad_(False)
    return AnimateDiffBackbone(
        unet=unet,
        motion=motion,
        positions=adapter.config.motion_max_seq_length,
        controlnet=controlnet,
        vae=vae,
        prompt=PromptEncoder.opened(model, device, dtype),
        schedule=schedule(model.part("scheduler", DDIMScheduler).config),
        metadata=model.metadata,
    )


def _image_unet(model: ModelFolder) -> UNet2DConditionModel:
    whole = json_object(model.component("unet") / "config.json").get("_class_name") == UNetMotionModel.__name__
    unet = image_unet(model.network("unet", UNetMotionModel)) if whole else model.network("unet", UNet2DConditionModel)
    channels = unet.config.in_channels, unet.config.out_channels
    if channels != (4, 4):
        wrong = f"the unet reads {channels[0]} channels and gives {channels[1]}; animatediff opens 4 to 4"
        raise WeightsError(f"{wrong}; {model.path}")
    return unet
