"""A UNet of images over latents as a backbone: what families share that differ in what they read as content."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from recast.backbones.autoencoder import ImageLatentBackbone
from recast.backbones.branches import batches, check_kind, frame_numbers, isolated, with_structure
from recast.backbones.residuals import handed_residuals, residual_arguments
from recast.conditions.depth import depth_channel
from recast.conditions.detail import softened
from recast.denoising import Branch
from recast.diffusion.parameterization import clean_from, scale_input
from recast.networks.attention import hooked
from recast.networks.hooks import DenoisePass, Hook
from recast.networks.placement import first_weight
from recast.types import Condition, Kind, Latents, Maps, Structure

MAX_FRAMES = 1024
"""Frames do not see each other, so only memory bounds a pass; this is the longest window that a request may have."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageUNetBackbone(ImageLatentBackbone):
    """An image UNet, its autoencoder and noise levels. arXiv:2112.10752.

    Networks may be of any precision and on any device; latents come and go in fp32 on the network's device.
    """

    unet: UNet2DConditionModel

    @property
    def structure_kinds(self) -> frozenset[Kind]:
        """Depth for 2-depth, whose network reads a fifth channel; none for the others."""
        return frozenset({Kind.DEPTH}) if self._extra_channels else frozenset()

    @property
    def has_temporal_layers(self) -> bool:
        """None: see `inflated` for a network that has some."""
        return False

    @property
    def short_side(self) -> int:
        """The short side, in pixels, that the network was trained on, by its own configuration."""
        return self.unet.config.sample_size * self.pixel_multiple

    @property
    def max_frames(self) -> int:
        """See MAX_FRAMES."""
        return MAX_FRAMES

    def structure_channels(self, structure: Structure) -> Maps:
        """Inverse depth as its fifth channel, see `depth_channel`. Raises BackboneError for another kind."""
        check_kind(structure, self.structure_kinds)
        maps = softened(structure.maps, structure.detail, self.trained_side).to(first_weight(self.unet).device)
        return depth_channel(maps, (maps.shape[-2] // self.pixel_multiple, maps.shape[-1] // self.pixel_multiple))

    def denoise_branches(
        self, x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """One guess at the clean latents for each branch; frames are images apart, and `temporal` changes nothing.

        Raises BackboneError where the network needs depth and the condition has none, or the reverse.
        """
        inputs = with_structure(scale_input(x, sigma), condition, self._extra_channels)
        groups = batches(branches, together=self.together)
        with isolated(self.unet, self.pass_context, branches):
            predictions = torch.cat([self._answered(inputs, sigma, condition, group) for group in groups])
        return [clean_from(self.schedule.prediction, each, x, sigma) for each in predictions]

    def hooked(self, *hooks: Hook) -> AbstractContextManager[None]:
        """Hooks are in force in the block, see `recast.networks.attention.hooked`."""
        return hooked(self.unet, *hooks, context=self.pass_context)

    def _answered(
        self,
        inputs: Float[Tensor, "t channels y x"],
        sigma: float,
        condition: Condition,
        branches: Mapping[int, Branch],
    ) -> Float[Tensor, "branches t c y x"]:
        unet, like, number = self.unet, first_weight(self.unet), len(branches)
        tokens = [branch.tokens.expand(len(inputs), -1, -1) for branch in branches.values()]
        frames = frame_numbers(condition, len(inputs))
        added = handed_residuals(unet, condition.residuals, number, len(inputs))
        temporal = self._temporal(branches, len(inputs))
        with self.pass_context.on(DenoisePass(sigma, tuple(branches), temporal, frames)):
            images = self._batched(inputs, branches).to(like)
            answer = unet(
                images,
                torch.tensor(self.schedule.sigma_to_timestep(sigma), device=like.device),
                **self._conditioning(torch.cat(tokens).to(like), images),
                return_dict=False,
                **residual_arguments(added),
            )[0]
        return rearrange(answer, "(b t) c y x -> b t c y x", b=number).to(inputs)

    def _conditioning(
        self,
        tokens: Float[Tensor, "rows n d"],
        images: Float[Tensor, "rows channels y x"],  # noqa: ARG002 -- XL's sizes
    ) -> Mapping[str, Any]:
        """Arguments of the network that tell it content."""
        return {"encoder_hidden_states": tokens}

    def _batched(
        self, inputs: Float[Tensor, "t channels y x"], branches: Mapping[int, Branch]
    ) -> Float[Tensor, "rows channels y x"]:
        """What the network is given, the frames of one branch after those of another."""
        return repeat(inputs, "t c y x -> (b t) c y x", b=len(branches))

    def _temporal(self, branches: Mapping[int, Branch], frames: int) -> tuple[bool, ...]:  # noqa: ARG002 -- images
        """Whether frames see each other, in each branch."""
        return (False,) * len(branches)

    @property
    def _extra_channels(self) -> int:
        return self.unet.config.in_channels - self.unet.config.out_channels
