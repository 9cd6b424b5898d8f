"""The Gen-1 network as a backbone: latents, structure channels, content tokens and eq. 8's branches."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.embeddings import ImageProjection
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from recast.backbones.autoencoder import ImageLatentBackbone
from recast.backbones.branches import batches, check_kind, frame_numbers, isolated, with_structure
from recast.backbones.residuals import handed_residuals, residual_arguments
from recast.conditions.content import ContentEncoders, ContentInput, Medium
from recast.conditions.detail import as_pictures, detail_channels, softened
from recast.denoising import Branch
from recast.diffusion.parameterization import clean_from, scale_input
from recast.diffusion.schedule import schedule
from recast.errors import BackboneError
from recast.model.folder import ModelFolder
from recast.networks.attention import hooked
from recast.networks.hooks import DenoisePass, Hook
from recast.networks.placement import first_weight, placed
from recast.networks.spacetime import SpaceTimeUNet
from recast.networks.storage import loaded
from recast.prompt import PromptTokens
from recast.types import Condition, Embedding, Frames, Kind, Latents, Maps, Structure, Tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class Gen1Backbone(ImageLatentBackbone):
    """A space-time UNet, its autoencoder and its noise levels. arXiv:2302.03011.

    Networks may be of any precision and on any device; latents come and go in fp32 on the network's device.
    projection: makes tokens of a content embedding; None takes it as the one token.
    content: makes an embedding of content inputs, with a seed; None where there is no folder with encoders.
    """

    net: SpaceTimeUNet
    projection: ImageProjection | None = None
    content: Callable[[Sequence[ContentInput], int], Embedding] | None = None

    @property
    def unet(self) -> UNet2DConditionModel:
        """The network, whose weights diffusers names; layers over time are called temporal, behind the spatial ones."""
        return self.net.unet

    @property
    def structure_kinds(self) -> frozenset[Kind]:
        """The kinds of structure that the network can be conditioned on."""
        return frozenset(map(Kind, self.metadata.structures)) if self._extra_channels else frozenset()

    @property
    def media(self) -> frozenset[Medium]:
        """Words, by the prior, and pictures."""
        return frozenset(Medium)

    @property
    def has_temporal_layers(self) -> bool:
        """Convolutions and attention over time."""
        return True

    @property
    def max_frames(self) -> int:
        """The most frames that have places."""
        return self.net.max_frames

    def structure_channels(self, structure: Structure) -> Maps:
        """The softened maps as latents, and t_s in four channels. Raises BackboneError for another kind of structure.

        Maps of 0..1 become pictures and go through the image autoencoder, as in the paper's section 3.3.
        """
        check_kind(structure, self.structure_kinds)
        pictures = as_pictures(softened(structure.maps, structure.detail, self.trained_side)) * 2 - 1
        latents = self.encode_pixels(pictures)
        size, own = (latents.shape[-2], latents.shape[-1]), structure.detail
        each = own.tolist() if isinstance(own, Tensor) else [own] * len(latents)
        detail = torch.stack([detail_channels(one, size) for one in each])
        return torch.cat([latents, detail.to(latents)], dim=1)

    def embedding_tokens(self, embedding: Embedding) -> Tokens:
        """A content embedding as the tokens that cross-attention reads."""
        vector = embedding.to(first_weight(self.net.unet).device)
        if self.metadata.embedding_norm == "unit":
            vector = F.normalize(vector, dim=0)
        vector = rearrange(vector, "e -> 1 e")
        return vector if self.projection is None else self.projection(vector)[0].float()

    def encode_content(self, inputs: Sequence[ContentInput], *, seed: int = 0) -> Tokens:
        """One embedding (of words by the prior, of pictures by the image encoder) as tokens.

        Raises BackboneError for a backbone without encoders, and otherwise as `ContentEncoders` does.
        """
        if self.content is None:
            raise BackboneError("this backbone was made without encoders of content; open it from a model folder")
        return self.embedding_tokens(self.content(inputs, seed))

    def prompt_tokens(self, inputs: Sequence[ContentInput]) -> PromptTokens | None:  # noqa: ARG002 -- of one embedding
        """Always None: the tokens are of one embedding, and none of them is a word."""
        return None

    def source_content(self, frames: Frames) -> Tokens:
        """The mean content of the frames as tokens, as the network was trained on it."""
        if self.content is None:
            raise BackboneError("this backbone was made without encoders of content; open it from a model folder")
        return self.embedding_tokens(self.content.of_frames(frames))

    def null_tokens(self) -> Tokens:
        """As many tokens, all zero: Gen-1's network is trained with them where content is dropped."""
        count = 1 if self.projection is None else self.projection.num_image_text_embeds
        return torch.zeros(count, self.net.unet.config.cross_attention_dim, device=first_weight(self.net.unet).device)

    def denoise_branches(
        self, x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """One guess at the clean latents for each branch; a single frame is an image, its temporal layers stay off.

        Raises BackboneError where the network needs structure channels and the condition has none, or the reverse.
        """
        inputs = with_structure(scale_input(x, sigma), condition, self._extra_channels)
        groups = batches(branches, together=self.together)
        with isolated(self.net, self.pass_context, branches):
            predictions = torch.cat([self._answered(inputs, sigma, condition, group) for group in groups])
        return [clean_from(self.schedule.prediction, each, x, sigma) for each in predictions]

    def hooked(self, *hooks: Hook) -> AbstractContextManager[None]:
        """Hooks are in force in the block, see `recast.networks.attention.hooked`."""
        return hooked(self.net, *hooks, context=self.pass_context)

    def _answered(
        self,
        inputs: Float[Tensor, "t channels y x"],
        sigma: float,
        condition: Condition,
        branches: Mapping[int, Branch],
    ) -> Float[Tensor, "branches t c y x"]:
        like, asked = first_weight(self.net.unet), list(branches.values())
        temporal = tuple(branch.temporal and len(inputs) > 1 for branch in asked)
        added = handed_residuals(self.net.unet, condition.residuals, len(asked), len(inputs))
        frames = frame_numbers(condition, len(inputs))
        with self.pass_context.on(DenoisePass(sigma, tuple(branches), temporal, frames)):
            answer = self.net(
                repeat(inputs, "t c h w -> b t c h w", b=len(asked)).to(like),
                torch.full((len(asked),), self.schedule.sigma_to_timestep(sigma), device=like.device),
                torch.stack(torch.broadcast_tensors(*(branch.tokens for branch in asked))).to(like),
                video=torch.tensor(temporal),
                **residual_arguments(added),
            )
        return answer.to(inputs)

    @property
    def _extra_channels(self) -> int:
        return self.net.extra_channels


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Gen1Backbone:
    """The backbone in a model folder: unet, temporal, vae, scheduler, and projection where it has one.

    dtype: of the networks; latents stay fp32. Raises WeightsError for a part that is missing, unsafe or damaged.
    """
    projection = model.network("projection", ImageProjection) if model.has("projection") else None
    return Gen1Backbone(
        net=placed(loaded(model, dtype), device),
        vae=placed(model.network("vae", AutoencoderKL), device, dtype),
        schedule=schedule(model.scheduler_config()),
        projection=projection and placed(projection, device),
        content=ContentEncoders(model, torch.device(device)),
        metadata=model.metadata,
    )
