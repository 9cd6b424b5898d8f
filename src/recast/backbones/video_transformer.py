"""Transformers of video as backbones: clips over compressed time, words by T5; what the families share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from recast.backbones.autoencoder import as_frames, as_pixels
from recast.backbones.branches import check_sole, passes, structure_of
from recast.backbones.sides import SizedByMetadata
from recast.backbones.t5_prompt import T5Prompt
from recast.backbones.video_autoencoder import VideoAutoencoder, filled
from recast.conditions.blend import blended
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.diffusion.parameterization import Prediction, clean_from, scale_input
from recast.diffusion.schedule import FlowSchedule, Schedule, schedule
from recast.errors import BackboneError, WeightsError
from recast.model.folder import ModelFolder
from recast.networks.hooks import Hook
from recast.progress import Report, unreported
from recast.prompt import PromptTokens
from recast.types import ClipLatents, Condition, Frames, Kind, Latents, Maps, Structure, StructureUse, Tokens

Videos = Float[Tensor, "b c t y x"]
"""Latents of clips as transformers read them."""


@dataclass(frozen=True, eq=False, kw_only=True)
class VideoTransformerBackbone(SizedByMetadata, ABC):
    """An autoencoder that compresses time, a T5 and noise levels; latents in fp32.

    The levels are of rectified flow (arXiv:2209.03003), but for CogVideoX, which is a diffusion of velocity.

    together: asks for all branches in one pass, which is faster; one after the other needs less memory, and the answers
    are the same. A branch without temporal layers sees each latent as a clip of one frame, which the network was
    trained on as pictures.
    """

    autoencoder: VideoAutoencoder
    prompt: T5Prompt
    schedule: Schedule
    together: bool = True

    @property
    def structure_kinds(self) -> frozenset[Kind]:
        """None: the network reads words alone."""
        return frozenset()

    @property
    def media(self) -> frozenset[Medium]:
        """Words."""
        return frozenset({Medium.WORDS})

    @property
    @abstractmethod
    def pixel_multiple(self) -> int:
        """Pixels a place of the transformer, along one side."""

    @property
    @abstractmethod
    def max_frames(self) -> int:
        """The most latents over time."""

    @property
    def _read_channels(self) -> int:
        """Channels of a condition that are read beside the latents, where no structure is."""
        return 0

    @abstractmethod
    def _answered(
        self, videos: Videos, sigma: float, condition: Condition, tokens: Float[Tensor, "b n d"], *, apart: bool
    ) -> Videos:
        """The network's answer to clips; apart: they are the single latents of one clip, branch by branch."""

    @property
    def temporal_stride(self) -> int:
        """Frames that share a latent."""
        return self.autoencoder.temporal_stride

    @property
    def has_temporal_layers(self) -> bool:
        """Attention over all places of all latents."""
        return True

    def sigmas(self, steps: int) -> list[float]:
        """`steps` + 1 falling noise levels, the last one 0."""
        return self.schedule.timestep_sigmas(steps)

    def encode_pixels(self, pixels: Float[Tensor, "t 3 h w"]) -> ClipLatents:
        """Pixels of -1..1 to unit-variance latents, the last frame repeated to fill up the last latent."""
        return self.autoencoder.encoded(filled(pixels, self.temporal_stride))

    def decode_pixels(self, latents: ClipLatents) -> Float[Tensor, "t 3 h w"]:
        """Latents to pixels of about -1..1, not clamped."""
        return torch.cat(list(self.autoencoder.decoded(latents)))

    @torch.no_grad()
    def encode(self, frames: Frames) -> ClipLatents:
        """Frames to unit-variance latents; the mean of the distribution."""
        return self.encode_pixels(as_pixels(frames))

    @torch.no_grad()
    def decode(self, latents: ClipLatents, report: Report = unreported) -> Frames:
        """Latents to frames on the CPU, part by part as the autoencoder gives them; `report` is called after each."""
        decoded: list[Frames] = []
        for part in self.autoencoder.decoded(latents):
            decoded.append(as_frames(part))
            done = 1 + (sum(map(len, decoded)) - 1) // self.temporal_stride
            report(done, len(latents))
        return torch.cat(decoded)

    def structure_channels(self, structure: Structure) -> Maps:
        """Raises BackboneError: the network reads no structure."""
        check_sole([replace(structure, weight=1.0, within=(0.0, 1.0))], self.structure_kinds)
        raise AssertionError("a family that reads structure says how")

    def check_structures(self, structures: Sequence[StructureUse], steps: int) -> None:  # noqa: ARG002 -- at all steps
        """Raises BackboneError: the network reads no structure."""
        check_sole(structures, self.structure_kinds)

    def with_structures(self, condition: Condition, structures: Sequence[Structure], steps: int) -> Condition:
        """Raises BackboneError: the network reads no structure."""
        self.check_structures(structures, steps)
        return condition

    def encode_content(self, inputs: Sequence[ContentInput], *, seed: int = 0) -> Tokens:  # noqa: ARG002 -- no draws
        """The prompt's tokens; of several, their mean by weight. Raises BackboneError for a medium it cannot read."""
        strange = sorted({each.medium for each in inputs} - self.media)
        if strange:
            raise BackboneError("this model reads words only; leave the pictures out, or take a VACE or Gen-1 model")
        texts = [(each.text, each.weight) for each in inputs if each.medium is Medium.WORDS] or [("", 1.0)]
        prompts = [(rearrange(self.prompt(text), "n d -> (n d)"), weight) for text, weight in texts]
        return rearrange(blended(prompts), "(n d) -> n d", n=self.prompt.places)

    def prompt_tokens(self, inputs: Sequence[ContentInput]) -> PromptTokens | None:  # noqa: ARG002 -- no maps by word
        """Always None: attention to single words cannot be looked at here."""
        return None

    def source_content(self, frames: Frames) -> Tokens:  # noqa: ARG002 -- words alone say it
        """The tokens of no words: what a clip shows is said by --source-prompt, or not at all."""
        return self.null_tokens()

    def null_tokens(self) -> Tokens:
        """The tokens of empty words, as in training where content was dropped."""
        return self.prompt("")

    def hooked(self, *hooks: Hook) -> AbstractContextManager[None]:
        """Raises BackboneError for any hook."""
        if hooks:
            raise BackboneError("its attention sees all latents at once, and hooks know layers that see single frames")
        return nullcontext()

    def denoise_branches(
        self, x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """One guess at the clean latents for each branch.

        Raises BackboneError for what a transformer of video cannot: see `check_asked`.
        """
        check_asked(condition, branches)
        if not self.structure_kinds:
            structure_of(condition, self._read_channels)
        prediction = self.schedule.prediction
        scaled = scale_input(x, sigma, prediction)
        answers: dict[int, Latents] = {}
        for group in passes(branches, together=self.together, single=len(x) == 1):
            apart = not next(iter(group.values())).temporal and len(x) > 1
            pattern = "t c y x -> (b t) c 1 y x" if apart else "t c y x -> b c t y x"
            rows = [_rows(branch.tokens, len(x) if apart else 1) for branch in group.values()]
            videos = repeat(scaled, pattern, b=len(group))
            made = self._answered(videos, sigma, condition, torch.cat(rows), apart=apart)
            back = "(b t) c 1 y x -> b t c y x" if apart else "b c t y x -> b t c y x"
            answers |= dict(zip(group, rearrange(made.to(x), back, b=len(group)), strict=True))
        return [clean_from(prediction, answers[number], x, sigma) for number in range(len(branches))]


def check_asked(condition: Condition, branches: Sequence[Branch]) -> None:
    """Raises BackboneError for residuals of ControlNets, perturbed attention, and prompts that differ by frame."""
    if condition.residuals is not None:
        raise BackboneError("residuals are of a UNet's features, and this network is a transformer; leave them out")
    for branch in branches:
        if branch.perturbed or branch.frames_alone:
            wrong = "perturbed-attention and motion-free guidance change single attention layers of a UNet"
            raise BackboneError(f"{wrong}, and this network is a transformer; leave them out")
        if branch.tokens.ndim == 3 and branch.temporal and len(branch.tokens) > 1:
            raise BackboneError("this model reads one prompt for a whole clip, and was given one for each frame")


def _rows(tokens: Tokens, count: int) -> Float[Tensor, "rows n d"]:
    return tokens.expand(count, -1, -1)


def flow_schedule(model: ModelFolder) -> FlowSchedule:
    """The levels of a folder's scheduler. Raises WeightsError for one that is not of rectified flow."""
    levels = schedule(model.scheduler_config())
    if not isinstance(levels, FlowSchedule):
        wrong = f"the scheduler is of {levels.prediction} and transformers of video predict {Prediction.FLOW}"
        raise WeightsError(f"{wrong}; take the scheduler of the model itself; {model.path}")
    return levels
