"""What a method may ask of a trained generator; nothing else of it is known to methods."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.networks.hooks import Hook
from recast.progress import Report, unreported
from recast.prompt import PromptTokens
from recast.types import ClipLatents, Condition, Frames, Kind, Latents, Maps, Structure, StructureUse, Tokens


@runtime_checkable
class Backbone(Protocol):
    """A trained generator: autoencoder, network and noise levels."""

    @property
    def structure_kinds(self) -> frozenset[Kind]:
        """The kinds of structure that the network can be conditioned on."""
        ...

    @property
    def media(self) -> frozenset[Medium]:
        """What content may be said in: words, pictures or both."""
        ...

    @property
    def pixel_multiple(self) -> int:
        """Both sides of a clip must be multiples of this many pixels."""
        ...

    @property
    def temporal_stride(self) -> int:
        """Frames that share a latent: 1 for image autoencoders, 4 for Wan's.

        t frames have 1 + ceil((t - 1) / temporal_stride) latents: the first frame has one of its own.
        """
        ...

    @property
    def short_side(self) -> int:
        """The short side, in pixels, that clips are brought to where the user says none."""
        ...

    @property
    def trained_side(self) -> int:
        """The short side, in pixels, of the frames that the network was trained on; t_s is measured at it."""
        ...

    @property
    def max_frames(self) -> int:
        """The most latents over time that the network can see at once: frames, where `temporal_stride` is 1."""
        ...

    @property
    def has_temporal_layers(self) -> bool:
        """Whether frames see each other in the network; where not, each is an image of its own."""
        ...

    def sigmas(self, steps: int) -> list[float]:
        """`steps` + 1 falling noise levels that the network was trained on, the last one 0."""
        ...

    def encode_pixels(self, pixels: Float[Tensor, "t 3 h w"]) -> ClipLatents:
        """Pixels of -1..1 to unit-variance latents; the mean of the distribution, no randomness; differentiable.

        Frames that do not fill the last latent are followed by repetitions of the last one.
        """
        ...

    def decode_pixels(self, latents: ClipLatents) -> Float[Tensor, "t 3 h w"]:
        """Latents to pixels of about -1..1, on the network's device and in its range; differentiable.

        1 + (n - 1) * temporal_stride frames of n latents; whoever filled up the last latent drops its surplus.
        """
        ...

    def encode(self, frames: Frames) -> ClipLatents:
        """`encode_pixels` of 8-bit frames, without gradients."""
        ...

    def decode(self, latents: ClipLatents, report: Report = unreported) -> Frames:
        """`decode_pixels` as 8-bit frames on the CPU, without gradients, in chunks that bound memory.

        report: called after each chunk with the latents that are done and their number.
        """
        ...

    def structure_channels(self, structure: Structure) -> Maps:
        """A structure as the network reads it. Raises BackboneError for a kind that is not in `structure_kinds`."""
        ...

    def check_structures(self, structures: Sequence[StructureUse], steps: int) -> None:
        """Finds what cannot be honoured over a walk of so many steps, before there are maps.

        Raises BackboneError for what the family cannot do: a kind, several at once, a weight, a range. Raises
        RequestError for a range that holds no step.
        """
        ...

    def with_structures(self, condition: Condition, structures: Sequence[Structure], steps: int) -> Condition:
        """The condition with these structures, at least one, over a walk of so many steps.

        Raises what `check_structures` raises.
        """
        ...

    def encode_content(self, inputs: Sequence[ContentInput], *, seed: int = 0) -> Tokens:
        """What the user asked to see as the tokens that cross-attention reads; several inputs are blended by weight.

        seed: for encoders that draw, such as a prior. Raises RequestError for weights that cannot be or too many words,
        MediaError for what is no picture, WeightsError for an encoder that the model lacks, BackboneError for a medium
        that the family cannot read.
        """
        ...

    def prompt_tokens(self, inputs: Sequence[ContentInput]) -> PromptTokens | None:
        """How the tokens of `encode_content` spell the words; None where they are not those of one prompt."""
        ...

    def source_content(self, frames: Frames) -> Tokens:
        """What a clip shows as it is, as tokens: its frames' own content where the family reads pictures, else none."""
        ...

    def null_tokens(self) -> Tokens:
        """The tokens of no content: what the network was given where content was dropped in training."""
        ...

    def denoise_branches(
        self, x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """One guess at the clean latents for each branch, evaluated together; `condition` gives the planes.

        A single frame is answered as an image, whatever `temporal` says.
        """
        ...

    def hooked(self, *hooks: Hook) -> AbstractContextManager[None]:
        """Attention and feature hooks are in force inside the block, outermost first, and leave no trace.

        They are called once a branch, in the order of `branches`, and given its number, sigma and the frames' absolute
        numbers. Raises BackboneError for an attention layer that hooks cannot answer for.
        """
        ...


@runtime_checkable
class PictureBackbone(Backbone, Protocol):
    """A backbone whose network reads the picture to edit beside the latents, as InstructPix2Pix's does."""

    def picture_channels(self, frames: Frames) -> Latents:
        """Frames as the network reads them, for `Condition.structure_channels`."""
        ...
