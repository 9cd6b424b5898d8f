"""Image UNets with ControlNets (arXiv:2302.05543): each frame an image, conditioned on content and structures."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from recast.backbones.branches import batches, check_kind, frame_numbers, isolated, structure_of
from recast.backbones.controlnets import Content, SharedControls, timesteps
from recast.backbones.residuals import handed_residuals, residual_arguments
from recast.backbones.stable_diffusion.backbone import StableDiffusionBackbone
from recast.backbones.stable_diffusion.structure_controls import StructureControls
from recast.conditions.detail import as_pictures, softened
from recast.control import Control
from recast.denoising import Branch
from recast.diffusion.parameterization import clean_from, scale_input
from recast.errors import BackboneError
from recast.networks.hooks import DenoisePass
from recast.networks.placement import first_weight
from recast.types import Condition, Kind, Latents, Maps, Structure, Tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class ControlledUNet(StructureControls):
    """An image UNet whose features ControlNets add to, frame by frame.

    controlnets: by the kind of structure that each was trained on; the first takes `structure_channels` of a condition.
    """

    controlnets: Mapping[Kind, ControlNetModel] = field(default_factory=dict)

    @property
    def structure_kinds(self) -> frozenset[Kind]:
        """Those that ControlNets were trained on: by recast.json, which means depth where it names none."""
        return frozenset(self.controlnets)

    def structure_channels(self, structure: Structure) -> Maps:
        """The softened maps as pictures of 0..1, at the clip's size: a ControlNet shrinks them itself.

        Raises BackboneError for another kind of structure.
        """
        check_kind(structure, self.structure_kinds)
        maps = softened(structure.maps, structure.detail, self.trained_side).to(first_weight(self.unet).device)
        return as_pictures(maps, self._told_channels)

    def denoise_branches(
        self, x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """One guess at the clean latents for each branch; a single frame is an image.

        Raises BackboneError where the ControlNet needs structure and the condition has none, or the reverse.
        """
        condition = self._controlled(condition)
        groups, scaled = batches(branches, together=self.together), scale_input(x, sigma)
        controls = SharedControls(self.controlnets, condition.controls, sigma, scaled, text_tokens=self._text_tokens)
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
            Content(self._read_by_controlnets(branch.tokens), self._timestep(controls.sigma, temporal=over_time))
            for branch, over_time in zip(branches.values(), temporal, strict=True)
        ]
        tokens = torch.cat([branch.tokens.expand(count, -1, -1) for branch in branches.values()])
        images = repeat(scaled, "t c y x -> (b t) c y x", b=number).to(like)
        added = handed_residuals(unet, condition.residuals, number, count) + controls.of(contents)
        now = DenoisePass(controls.sigma, tuple(branches), temporal, frame_numbers(condition, count))
        inputs = images, timesteps(contents, count, like), tokens.to(like)
        with self.pass_context.on(now), self._over_time(count, temporal):
            answer = unet(*inputs, **residual_arguments(added), return_dict=False)[0]
        return rearrange(answer, "(b t) c y x -> b t c y x", b=number).to(scaled)

    def _over_time(self, frames: int, temporal: Sequence[bool]) -> AbstractContextManager[None]:  # noqa: ARG002 -- images
        """What switches layers over time on for a batch; there are none."""
        return nullcontext()

    def _timestep(self, sigma: float, *, temporal: bool) -> float:  # noqa: ARG002 -- images
        return self.schedule.sigma_to_timestep(sigma)

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

    def _read_by_controlnets(self, tokens: Tokens) -> Float[Tensor, "*f places d"]:
        """What ControlNets read in place of a branch's tokens; for one and the same tensor they are evaluated once."""
        return tokens

    @property
    def _text_tokens(self) -> int | None:
        """Where the tokens that ControlNets read end; None for all."""
        return None

    @property
    def _told_channels(self) -> int:
        return next((net.config.conditioning_channels for net in self.controlnets.values()), 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class ControlledStableDiffusion(ControlledUNet, StableDiffusionBackbone):
    """Stable Diffusion with ControlNets, which read words and never the tokens of an IP-Adapter."""

    @property
    def _text_tokens(self) -> int | None:
        return None if self.image_prompt is None else -self.image_prompt.count
