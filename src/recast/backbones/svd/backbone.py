"""Stable Video Diffusion as a backbone: frames that see each other and the picture that they start from."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.backbones.autoencoder import ImageLatentBackbone, as_frames, as_pixels
from recast.backbones.branches import check_kind, frame_numbers, passes
from recast.backbones.first_picture import first_pictures
from recast.backbones.svd.first_frame import beside, first_frame
from recast.backbones.svd.picture import embeddings
from recast.backbones.video_control import VideoControl
from recast.conditions.blend import blended
from recast.conditions.content import ContentInput, Medium
from recast.conditions.image import ImageEncoder, picture
from recast.control import FirstFrame, Motion
from recast.denoising import Branch
from recast.diffusion.continuous import continuous_schedule
from recast.diffusion.parameterization import clean_from, scale_input
from recast.errors import BackboneError, WeightsError
from recast.model.folder import ModelFolder
from recast.networks.attention import hooked
from recast.networks.hooks import DenoisePass, Hook
from recast.networks.placement import first_weight, placed
from recast.progress import Report, unreported
from recast.prompt import PromptTokens
from recast.types import ClipLatents, Condition, Frames, Kind, Latents, Maps, Structure, Tokens

MAX_FRAMES = 1024
"""Positions over time are sines of any number, so only memory bounds a pass."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SVDBackbone(ImageLatentBackbone):
    """A network of space and time that reads a picture: its latents beside each frame's, its embedding by attention.

    arXiv:2311.15127. It is told the rate, how much moves, and how much noise the picture is under. Where content is
    dropped so is the picture: tokens that are all zero mean none.
    decoded_at_once: frames that see each other in the decoder; more need much memory at 1024x576.
    """

    decoded_at_once: ClassVar[int] = 8

    vae: AutoencoderKLTemporalDecoder
    network: UNetSpatioTemporalConditionModel
    encoder: ImageEncoder

    @property
    def structure_kinds(self) -> frozenset[Kind]:
        """None."""
        return frozenset()

    @property
    def media(self) -> frozenset[Medium]:
        """Pictures: words are not read."""
        return frozenset({Medium.PICTURE})

    @property
    def has_temporal_layers(self) -> bool:
        """Convolutions and transformers over time."""
        return True

    @property
    def reads_clip(self) -> bool:
        """No: the picture alone, which may be any."""
        return False

    @property
    def max_frames(self) -> int:
        """See MAX_FRAMES; it was trained on fewer, as recast.json says."""
        return MAX_FRAMES

    def structure_channels(self, structure: Structure) -> Maps:
        """Raises BackboneError: the network reads no structure."""
        check_kind(structure, self.structure_kinds)
        raise AssertionError("no kind is known")

    def encode_content(self, inputs: Sequence[ContentInput], *, seed: int = 0) -> Tokens:  # noqa: ARG002 -- no draws
        """The embedding of the picture as one token; of several, their mean by weight. Raises BackboneError for words.

        `with_control_video` refuses several, since a clip starts with one.
        """
        if any(each.medium is Medium.WORDS for each in inputs):
            instead = "say --image FILE alone; to edit by words, edit the first frame by another model and give it here"
            raise BackboneError(f"this model starts a clip from a picture and reads no words; {instead}")
        parts = [(embeddings(self.encoder, picture(each.text)[None])[0], each.weight) for each in inputs]
        return rearrange(blended(parts), "d -> 1 d").to(first_weight(self.network).device)

    def prompt_tokens(self, inputs: Sequence[ContentInput]) -> PromptTokens | None:  # noqa: ARG002 -- no words
        """Always None: there are no words."""
        return None

    def source_content(self, frames: Frames) -> Tokens:
        """The embedding of the clip's first frame, which is what a clip starts with."""
        return embeddings(self.encoder, frames[:1]).to(first_weight(self.network).device)

    def null_tokens(self) -> Tokens:
        """A token of zeros, as in training where content was dropped."""
        like = first_weight(self.network)
        return torch.zeros(1, self.network.config.cross_attention_dim, device=like.device)

    @torch.no_grad()
    def with_control_video(self, condition: Condition, video: VideoControl, steps: int) -> Condition:
        """The condition with the picture that the clip starts with; the clip's own first frame where none is given.

        Raises RequestError for several pictures, MediaError for what is none, BackboneError for a structure.
        """
        if video.structures:
            self.check_structures(video.structures, steps)
        shown, own = (as_pixels(each.to(first_weight(self.vae).device)) for each in first_pictures(video))
        drawn = torch.randn(own.shape, generator=torch.Generator().manual_seed(video.seed), device="cpu")
        noise = video.motion.picture_noise * drawn.to(own)
        # The network reads the mean of the distribution as the autoencoder has it, not of unit variance.
        wanted, source = (self.encode_pixels(each + noise) / self.vae.config.scaling_factor for each in (shown, own))
        return replace(condition, first=FirstFrame(wanted, source, video.motion, video.first))

    def decode_pixels(self, latents: ClipLatents) -> Float[Tensor, "t 3 h w"]:
        """Latents to pixels of about -1..1, `decoded_at_once` frames at a time; gradients pass through."""
        return torch.cat([self._decoded(part) for part in latents.split(self.decoded_at_once)])

    @torch.no_grad()
    def decode(self, latents: ClipLatents, report: Report = unreported) -> Frames:
        """The same as frames on the CPU; `report` is called after each part."""
        decoded: list[Frames] = []
        for part in latents.split(self.decoded_at_once):
            decoded.append(as_frames(self._decoded(part)))
            report(sum(map(len, decoded)), len(latents))
        return torch.cat(decoded)

    def denoise_branches(
        self, x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """One guess at the clean latents for each branch. Frames without temporal layers are clips of one frame.

        Raises BackboneError for windows that start later than the clip, and for what the network cannot be given.
        """
        first = first_frame(condition, branches)
        scaled = scale_input(x, sigma)
        answers: dict[int, Latents] = {}
        for group in passes(branches, together=self.together, single=len(x) == 1):
            apart = not next(iter(group.values())).temporal and len(x) > 1
            numbers = frame_numbers(condition, len(x))
            current = DenoisePass(sigma, tuple(group), (not apart and len(x) > 1,) * len(group), numbers)
            with self.pass_context.on(current):
                made = self._answered(beside(scaled, first, group), sigma, first.motion, group, apart=apart)
            answers |= dict(zip(group, made.to(x), strict=True))
        return [clean_from(self.schedule.prediction, answers[number], x, sigma) for number in range(len(branches))]

    def hooked(self, *hooks: Hook) -> AbstractContextManager[None]:
        """Hooks are in force in the block, see `recast.networks.attention.hooked`."""
        return hooked(self.network, *hooks, context=self.pass_context)

    def _answered(
        self,
        clips: Float[Tensor, "b t channels y x"],
        sigma: float,
        motion: Motion,
        branches: Mapping[int, Branch],
        *,
        apart: bool,
    ) -> Float[Tensor, "b t c y x"]:
        like, frames = first_weight(self.network), clips.shape[1]
        rows = [branch.tokens.expand(frames if apart else 1, -1, -1) for branch in branches.values()]
        tokens = torch.cat(rows).to(like)
        # It was trained on the rate less one, as the published code has it.
        ids = torch.tensor([motion.fps - 1, motion.bucket, motion.picture_noise], device=like.device)
        answer = self.network(
            (rearrange(clips, "b t c y x -> (b t) 1 c y x") if apart else clips).to(like),
            torch.tensor(self.schedule.sigma_to_timestep(sigma), device=like.device),
            tokens,
            ids.expand(len(tokens), -1),
            return_dict=False,
        )[0]
        return rearrange(answer, "(b t) 1 c y x -> b t c y x", t=frames) if apart else answer

    def _decoded(self, latents: ClipLatents) -> Float[Tensor, "t 3 h w"]:
        scaled = (latents / self.vae.config.scaling_factor).to(first_weight(self.vae))
        return self.vae.decode(scaled, num_frames=len(latents)).sample.float()


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> SVDBackbone:
    """The backbone in a folder of StableVideoDiffusionPipeline.

    dtype: of the network and the autoencoder, which stays fp32 for float16, as its configuration asks; latents stay
    fp32. Raises WeightsError for a part that is missing, unsafe or damaged, and for a network of other channels.
    """
    network = model.network("unet", UNetSpatioTemporalConditionModel)
    vae = model.network("vae", AutoencoderKLTemporalDecoder)
    channels = network.config.in_channels, network.config.out_channels
    if channels != (8, 4):
        wrong = f"the unet reads {channels[0]} channels and gives {channels[1]}; svd opens 8 to 4"
        raise WeightsError(f"{wrong}; {model.path}")
    return SVDBackbone(
        network=placed(network, device, dtype),
        vae=placed(vae, device, torch.float32 if dtype is torch.float16 else dtype),
        encoder=ImageEncoder.opened(model, torch.device(device), keep_all=False),
        schedule=continuous_schedule(model.scheduler_config()),
        metadata=model.metadata,
    )
