"""The nouns that the stages hand to each other.

Axis letters, everywhere in the project: t frame, c channel, h w row and column in pixels, y x row and column of
latents, n token, d and e feature width, b batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from recast.control import Control, ControlResiduals, FirstFrame, ReferenceLatents
from recast.errors import ClipError, ShapeError
from recast.prompt import PromptTokens

Frames = UInt8[Tensor, "t 3 h w"]
Latents = Float[Tensor, "t c y x"]
ClipLatents = Float[Tensor, "latents c y x"]
"""Latents beside frames in one signature: there are as many of them as `latent_count` says."""
Maps = Float[Tensor, "t c h w"]
Picks = Int[Tensor, " t"]
Embedding = Float[Tensor, " e"]
Tokens = Float[Tensor, "... n d"]
"""What cross-attention reads: [n d] for all frames alike, or [t n d], tokens for each frame."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A run of RGB frames.

    frames: uint8 sRGB, 0 to 255, in display orientation (rotation tags already applied).
    fps: frames per second, exact (30000/1001, not 29.97); the mean rate where the source's varies.
    first: index in the source of the first frame; noise is seeded by it, so that windows of one clip agree.
    Raises ClipError for no frames, for others than of 8 bits, and for a rate that is not above 0.
    """

    frames: Frames
    fps: Fraction
    first: int = 0

    def __post_init__(self) -> None:
        if not len(self.frames):
            raise ClipError("a clip needs at least one frame and has none")
        if self.frames.dtype != torch.uint8:
            raise ClipError(f"a clip's frames are 8-bit numbers, 0 to 255 (torch.uint8), not {self.frames.dtype}")
        if self.fps <= 0:
            raise ClipError(f"a clip has more than {self.fps} frames a second")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return float(len(self) / self.fps)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns, in pixels."""
        return self.frames.shape[-2], self.frames.shape[-1]

    def latent_frames(self, stride: int) -> Picks:
        """Numbers in the source of the frames that its latents start with or, past the first, end with."""
        return self.first + stride * torch.arange(latent_count(len(self), stride))


def latent_count(frames: int, stride: int) -> int:
    """Latents of so many frames: one of the first frame, and one of each `stride` that follow, the last filled up."""
    return 1 + ceil((frames - 1) / stride)


class Kind(StrEnum):
    """What a structure map measures, and in what unit."""

    DEPTH = "depth"
    """1 channel, inverse depth scaled to 0..1 over the whole clip, 1 nearest."""
    EDGES = "edges"
    """1 channel, 0..1, 1 on an edge."""
    LINEART = "lineart"
    """1 channel, 0..1, 1 on a drawn line."""
    HED = "hed"
    """1 channel, 0..1, how surely there is an outline: soft edges, as of HED (arXiv:1504.06375)."""
    POSE = "pose"
    """3 channels, 0..1, OpenPose's skeleton in its colours on black (arXiv:1812.08008)."""
    MOTION = "motion"
    """3 channels, 0..1: red how far to the right a place moves until the next frame, green how far down, .5 for rest.

    0 and 1 are an eighth of the frame's short side to either way, or more; blue is .5.
    """

    @property
    def channels(self) -> int:
        """Channels of its maps."""
        return 3 if self in (Kind.POSE, Kind.MOTION) else 1


@runtime_checkable
class StructureUse(Protocol):
    """What is asked of a structure before there are maps of it; the fields are those of `Structure`."""

    @property
    def kind(self) -> Kind:
        """What its maps measure."""
        ...

    @property
    def weight(self) -> float:
        """How strongly it acts."""
        ...

    @property
    def within(self) -> tuple[float, float]:
        """The share of a full walk in which it acts."""
        ...


@dataclass(frozen=True, eq=False)
class Structure:
    """What must stay where it is: one map a frame, at the clip's pixel size.

    detail: t_s of Gen-1 (arXiv:2302.03011, section 3.3), 0 keeps all, 7 keeps the least; the maps here are not yet
    softened; one t_s for all maps, or one for each. weight: how strongly it acts. within: the share of a full walk in
    which it acts, 0 is its noisy start.
    """

    kind: Kind
    maps: Maps
    detail: float | Float[Tensor, " t"] = 0.0
    weight: float = 1.0
    within: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        details = self.detail.tolist() if isinstance(self.detail, Tensor) else [self.detail]
        if not all(0 <= detail <= 7 for detail in details):
            wrong = next(detail for detail in details if not 0 <= detail <= 7)
            raise ShapeError(f"structure detail is {wrong:g}; it goes from 0 (keep all) to 7 (keep the least)")
        if isinstance(self.detail, Tensor) and len(details) != len(self.maps):
            raise ShapeError(f"structure detail is given for {len(details)} maps and there are {len(self.maps)}")
        if self.maps.shape[1] != self.kind.channels:
            raise ShapeError(f"{self.kind} has {self.kind.channels} channels a map, not {self.maps.shape[1]}")


@dataclass(frozen=True, eq=False)
class Condition:
    """All that a denoiser is conditioned on, besides the noise level.

    cond: the tokens of the target content, [n d] for all frames or [t n d] for each. uncond: the null tokens, those of
    no content. negative: the tokens of a negative prompt, which guidance pushes away from in place of the null tokens.
    structure_channels: what the method of that name of the backbone gave, one for each frame: channels beside latents
    (Gen-1: depth latents and channels that say t_s; 2-depth), or a ControlNet's pictures at the clip's size. frames:
    the frames' absolute numbers in the source, which windows keep; None where nobody asks. Where the backbone's
    `temporal_stride` is above 1, "frame" here is a latent, and its number is `Clip.latent_frames`.
    residuals: added to the UNet's features, besides what a ControlNet of the backbone adds. controls: what
    `Backbone.with_structures` gave its ControlNets, several and each with a weight. words: how `cond` spells a prompt.
    references: pictures that the network sees before the clip, the same in any window. first: the picture that the clip
    starts with, where the network reads one.
    """

    cond: Tokens
    uncond: Tokens
    structure_channels: Maps | None = None
    frames: Picks | None = None
    negative: Tokens | None = None
    residuals: ControlResiduals | None = None
    controls: tuple[Control, ...] = ()
    words: PromptTokens | None = None
    references: ReferenceLatents | None = None
    first: FirstFrame | None = None

    def check_frames(self, count: int) -> None:
        """Raises ShapeError unless all that is given frame by frame is given for `count` of them."""
        for what, given in self._counts():
            if given != count:
                raise ShapeError(f"{what} are given for {given} frames and there are {count}; give one for each")

    def at(self, picks: Picks) -> "Condition":
        """The same for a choice of frames, in the order of `picks`. Raises ShapeError for a frame that it lacks."""
        most = int(picks.max()) if len(picks) else -1
        for what, given in self._counts():
            if most >= given:
                raise ShapeError(f"frame {most} is asked for and {what} are given for {given} frames, from 0 on")
        return replace(
            self,
            cond=_tokens_at(self.cond, picks),
            uncond=_tokens_at(self.uncond, picks),
            structure_channels=None if self.structure_channels is None else _at(self.structure_channels, picks),
            frames=None if self.frames is None else _at(self.frames, picks),
            negative=None if self.negative is None else _tokens_at(self.negative, picks),
            residuals=None if self.residuals is None else self.residuals.at(picks),
            controls=tuple(control.at(picks) for control in self.controls),
        )

    def _counts(self) -> Iterator[tuple[str, int]]:
        """For how many frames each part is given that is given frame by frame."""
        for name, tokens in (("cond", self.cond), ("uncond", self.uncond), ("negative", self.negative)):
            if tokens is not None and tokens.ndim == 3:
                yield f"{name} tokens", len(tokens)
        for name, maps in (("structure channels", self.structure_channels), ("frame numbers", self.frames)):
            if maps is not None:
                yield name, len(maps)
        if self.residuals is not None:
            yield from (("residuals", len(each)) for each in (*self.residuals.down, self.residuals.mid))
        yield from ((f"pictures of {control.kind}", len(control.pictures)) for control in self.controls)


def _tokens_at(tokens: Tokens, picks: Picks) -> Tokens:
    return tokens if tokens.ndim == 2 else _at(tokens, picks)


def _at(each: Tensor, picks: Picks) -> Tensor:
    return each[picks.to(each.device)]
