"""What a denoiser is, what walks with it, and what a method is given to make one edit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from recast.curves import Curve
from recast.layout import NO_GUIDES, Guides
from recast.types import Clip, Condition, Frames, Latents, Picks, Tokens


@dataclass(frozen=True, eq=False)
class Branch:
    """One evaluation of the network at one noise level: with this content, its temporal layers on or off.

    picture: whether a network that reads the picture to edit is given it; other networks read none. perturbed: maps of
    self-attention in the middle of the network are the identity. frames_alone: temporal layers are on, and in their
    attention each frame sees itself alone.
    """

    tokens: Tokens
    temporal: bool = True
    picture: bool = True
    perturbed: bool = False
    frames_alone: bool = False

    @property
    def way(self) -> tuple[bool, bool, bool, bool]:
        """How the network is evaluated, whatever the content."""
        return self.temporal, self.picture, self.perturbed, self.frames_alone


@runtime_checkable
class Denoiser(Protocol):
    """A guess at the clean latents. Guidance and windows turn one into another.

    Noise is added, never mixed in: x = clean + sigma * noise (Karras et al. 2022, arXiv:2206.00364).
    """

    def __call__(self, x: Latents, sigma: float, condition: Condition) -> Latents:
        """The clean latents most likely hidden in `x` at noise level `sigma` (> 0, the same for all frames)."""
        ...


@runtime_checkable
class StepHook(Protocol):
    """Changes, or only looks at, the latents at the end of a sampling step, at the level just reached."""

    def __call__(self, x: Latents, sigma: float, /) -> Latents:
        """The latents to go on with. May raise Cancelled."""
        ...


def unchanged(x: Latents, _sigma: float, /) -> Latents:
    """The edit that does nothing."""
    return x


@runtime_checkable
class Sampler(Protocol):
    """Walks latents down the noise levels. It sees a denoiser, never a network.

    It asks the denoiser at levels above 0 only, not above sigmas[0], and as often as it likes: at each of `sigmas`, or
    between them. A denoiser that holds something for each level gives that of the nearest one.
    """

    def __call__(
        self,
        denoise: Denoiser,
        x: Latents,
        sigmas: list[float],
        condition: Condition,
        *,
        step_hook: StepHook = unchanged,
    ) -> Latents:
        """From `x` at level sigmas[0] to sigmas[-1], 0 for most models. Raises ScheduleError where levels rise."""
        ...


@runtime_checkable
class FlowEstimator(Protocol):
    """Estimates optical flow between frames."""

    def __call__(self, frames: Frames, others: Frames, /) -> Float[Tensor, "s 2 h w"]:
        """Flow from each frame into the other one of the same index, in pixels to the right and down, on the CPU."""
        ...


Noise = Callable[[Latents, int], Latents]
"""Standard normal noise like some latents, another for each number."""


@runtime_checkable
class NoisySampler(Sampler, Protocol):
    """A sampler that draws noise on its way."""

    def under(self, noise: Noise) -> Sampler:
        """The same, with this noise in the place of its own."""
        ...


@dataclass(frozen=True, eq=False)
class DenoiseInputs:
    """One edit, ready to denoise. Pure data: a method reads it and changes nothing.

    steps: network levels of a full walk, 1..1000. cfg_scale: guidance, omega in Gen-1's eq. 8; 1 is none.
    ensemble: answers that are averaged at each step, see `recast.diffusion.ensemble`.
    window: most latents over time that the network sees at once. seed: of the noise, together with the frame's index.
    temporal_stride: the backbone's, frames that share a latent.
    step_hook: called after each step down. inversion_hook: called after each step of methods that first take the clip
    up the levels; it looks on and changes nothing. source: the condition under which the clip itself is described: its
    own content, its own structure; None for methods that do not need it.
    pictured: tokens of the wanted pictures, where a method reads them apart (`pictures_apart`); the condition's are
    then those of the words alone. flow: estimates optical flow for methods that follow it; None: by DIS.
    curves: settings of the method, by name, that change over the frames, by their numbers in the source; only methods
    that name them in `over_time` are given any. guides: where things are to be, for clips without a source.
    Conditions without the frames' numbers are given those of the clip, by which hooks find frames in windows. Raises
    ShapeError for conditions that are given frame by frame for another number of frames than the clip has latents.
    """

    clip: Clip
    condition: Condition
    sampler: Sampler
    steps: int = 25
    cfg_scale: float = 4.0
    ensemble: int = 1
    window: int = 16
    seed: int = 0
    step_hook: StepHook = field(default=unchanged)
    inversion_hook: StepHook = field(default=unchanged)
    source: Condition | None = None
    temporal_stride: int = 1
    pictured: Tokens | None = None
    flow: FlowEstimator | None = None
    curves: Mapping[str, Curve] = field(default_factory=dict)
    guides: Guides = NO_GUIDES

    def __post_init__(self) -> None:
        frames = self.clip.latent_frames(self.temporal_stride)
        for name, condition in (("condition", self.condition), ("source", self.source)):
            if condition is not None:
                condition.check_frames(len(frames))
                object.__setattr__(self, name, _numbered(condition, frames))
        if isinstance(self.sampler, NoisySampler):
            object.__setattr__(self, "sampler", self.sampler.under(self.noise))

    def noise(self, like: Latents, number: int = 0) -> Latents:
        """Standard normal noise, a frame's own by (seed, index in the source): the same in any window and batch.

        number: which of a frame's noises; 0 is the one that a walk starts from.
        """
        frames = (self.clip.first + self.temporal_stride * i for i in range(len(like)))
        drawn = [torch.randn(like.shape[1:], generator=_generator(self.seed, frame, number)) for frame in frames]
        return torch.stack(drawn).to(like)


def _numbered(condition: Condition, frames: Picks) -> Condition:
    return replace(condition, frames=frames) if condition.frames is None else condition


def _generator(seed: int, frame: int, number: int) -> torch.Generator:
    # A stream for each. The multipliers are odd and large, so that neighbouring seeds and frames never share one.
    return torch.Generator().manual_seed((seed * 1_000_003 + frame + number * 998_244_353_003) % 2**63)
