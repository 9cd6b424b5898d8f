"""AnimateDiff as a backbone: Stable Diffusion whose frames see each other, conditioned on depth by a ControlNet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import MotionAdapter, UNetMotionModel
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from recast.backbones.animatediff.motion import image_unet, put_in
from recast.backbones.branches import (
    acting_sigmas,
    batches,
    check_kind,
    frame_numbers,
    isolated,
    structure_of,
    temporal_layout,
)
from recast.backbones.controlnets import Content, SharedControls, opened_controlnets, timesteps
from recast.backbones.image_prompt import ImagePrompt
from recast.backbones.residuals import handed_residuals, residual_arguments
from recast.backbones.stable_diffusion import StableDiffusionBackbone
from recast.backbones.stable_diffusion.prompt import PromptEncoder
from recast.conditions.detail import as_pictures, softened
from recast.control import Control
from recast.denoising import Branch
from recast.diffusion.parameterization import clean_from, scale_input
from recast.diffusion.schedule import Schedule, schedule
from recast.errors import BackboneError, WeightsError
from recast.model.folder import ModelFolder
from recast.model.metadata import json_object
from recast.networks.hooks import DenoisePass
from recast.networks.placement import first_weight
from recast.networks.temporal import TemporalContext
from recast.types import Condition, Kind, Latents, Maps, Structure, StructureUse


@dataclass(frozen=True, eq=False, kw_only=True)
class AnimateDiffBackbone(StableDiffusionBackbone):
    """An image UNet with motion modules in it, and what Stable Diffusion has. arXiv:2307.04725.

    motion: switches the modules on; with them off it is the image model, bit for bit. positions: of frames in them.
    controlnets: are conditioned on structure, frame by frame (arXiv:2302.05543), by its kind; the first takes
    `structure_channels` of a condition. image_schedule: the levels that the image model was trained on, where they are
    not those of the motion modules; images are then asked for at its timesteps.
    """

    motion: TemporalContext
    positions: int
    image_schedule: Schedule | None = None
    controlnets: Mapping[Kind, ControlNetModel] = field(default_factory=dict)

    @property
    def structure_kinds(self) -> frozenset[Kind]:
        """Those that ControlNets were trained on: by recast.json, which means depth where it names none."""
        return frozenset(self.controlnets)

    @property
    def max_frames(self) -> int:
        """The most frames that the motion modules have positions for."""
        return self.positions

    def structure_channels(self, structure: Structure) -> Maps:
        """The softened maps as pictures of 0..1, at the clip's size: a ControlNet shrinks them itself.

        Raises BackboneError for another kind of structure.
        """
        check_kind(structure, self.structure_kinds)
        maps = softened(structure.maps, structure.detail, self.trained_side).to(first_weight(self.unet).device)
        return as_pictures(maps, self._told_channels)

    @property
    def has_temporal_layers(self) -> bool:
        """Motion modules."""
        return True

    def check_structures(self, structures: Sequence[StructureUse], steps: int) -> None:
        """Raises BackboneError for a kind without a ControlNet, RequestError for a range that holds no step."""
        sigmas = self.sigmas(steps)
        for each in structures:
            check_kind(each, self.structure_kinds)
            acting_sigmas(sigmas, each)

    def with_structures(self, condition: Condition, structures: Sequence[Structure], steps: int) -> Condition:
        """The condition with a control for each structure, of its weight and in its range.

        Raises what `check_structures` raises.
        """
        sigmas = self.sigmas(steps)
        controls = [
            Control(each.kind, self.structure_channels(each), each.weight, acting_sigmas(sigmas, each))
            for each in structures
        ]
        return replace(condition, structure_channels=None, controls=tuple(controls))

    def denoise_branches(
        self, x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """One guess at the clean latents for each branch; a single frame is an image, its motion modules stay off.

        Raises BackboneError where the ControlNet needs structure and the condition has none, or the reverse, and
        ShapeError for more than `max_frames` frames.
        """
        condition = self._controlled(condition)
        groups, scaled = batches(branches, together=self.together), scale_input(x, sigma)
        words = None if self.image_prompt is None else -self.image_prompt.count
        controls = SharedControls(self.controlnets, condition.controls, sigma, scaled, text_tokens=words)
        with isolated(self.unet, self.pass_context, branches):
            predictions = torch.cat([self._predicted(controls, condition, group) for group in groups])
        return [clean_from(self.schedule.prediction, each, x, sigma) for each in predictions]

    def _predicted(
        self, controls: SharedControls, condition: Condition, branches: Mapping[int, Branch]
    ) -> Float[Tensor, "branches t c y x"]:
        unet, like, scaled = self.unet, first_weight(self.unet), controls.scaled
        number, count = len(branches), len(scaled)
        temporal = self._temporal(branches, count)
        contents = [
            Content(branch.tokens, self._timestep(controls.sigma, temporal=over_time))
            for branch, over_time in zip(branches.values(), temporal, strict=True)
        ]
        tokens = torch.cat([branch.tokens.expand(count, -1, -1) for branch in branches.values()])
        images = repeat(scaled, "t c y x -> (b t) c y x", b=number).to(like)
        added = handed_residuals(unet, condition.residuals, number, count) + controls.of(contents)
        now = DenoisePass(controls.sigma, tuple(branches), temporal, frame_numbers(condition, count))
        layout = temporal_layout(count, temporal, self.max_frames, like.device)
        inputs = images, timesteps(contents, count, like), tokens.to(like)
        with self.pass_context.on(now), self.motion.on(layout):
            answer = unet(*inputs, **residual_arguments(added), return_dict=False)[0]
        return rearrange(answer, "(b t) c y x -> b t c y x", b=number).to(scaled)

    def _temporal(self, branches: Mapping[int, Branch], frames: int) -> tuple[bool, ...]:
        return tuple(branch.temporal and frames > 1 for branch in branches.values())

    def _timestep(self, sigma: float, *, temporal: bool) -> float:
        levels = self.schedule if temporal or self.image_schedule is None else self.image_schedule
        return levels.sigma_to_timestep(sigma)

    def _controlled(self, condition: Condition) -> Condition:
        """The condition with its structure channels, if it has any, as the first ControlNet's control."""
        if condition.controls:
            if condition.structure_channels is not None:
                kinds = ", ".join(control.kind for control in condition.controls)
                raise BackboneError(f"structure channels are given beside controls of {kinds}; give one or the other")
            return condition
        pictures = structure_of(condition, self._told_channels)
        controls = () if pictures is None else (Control(next(iter(self.controlnets)), pictures),)
        return replace(condition, structure_channels=None, controls=controls)

    @property
    def _told_channels(self) -> int:
        return next((net.config.conditioning_channels for net in self.controlnets.values()), 0)


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
