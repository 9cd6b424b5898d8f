"""What methods that edit some frames and carry them to the others, or follow motion, have alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import hypot
from typing import Annotated, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from recast.backbones.backbone import Backbone
from recast.conditions.flow import ClipFlow
from recast.conditions.patches import synthesized
from recast.conditions.propagation import propagated
from recast.conditions.tracks import PointTracks
from recast.conditions.warping import Shares
from recast.denoising import DenoiseInputs, Denoiser, StepHook, unchanged
from recast.diffusion.blend import blend_source
from recast.diffusion.excerpt import at_frames, excerpt, in_turn
from recast.diffusion.schedule import finish, truncated
from recast.diffusion.x0_hooks import encode_compensated
from recast.errors import BackboneError, RequestError, known
from recast.networks.attention_recipes import Trajectories
from recast.substrates.carriers import SubstrateCarrier
from recast.substrates.found import fit_of
from recast.substrates.keys import between_keys
from recast.types import Condition, Frames, Latents, Maps, Picks

OneLatent = Float[Tensor, "1 c y x"]


def check_latents(backbone: Backbone) -> None:
    """Raises BackboneError where frames share a latent: flow lies between frames, and latents follow it one by one."""
    if backbone.temporal_stride != 1:
        shared = backbone.temporal_stride
        raise BackboneError(
            f"this method carries single frames along flow, and {shared} frames of this model share a latent; take a "
            "model of an image autoencoder, or another method"
        )


def first_and_later(sigmas: list[float], strength: float, propagation: float) -> tuple[list[float], list[float]]:
    """The walk of a first frame, and the shorter one of each frame that is made of the one before.

    strength, propagation: the shares of the walk that they take; the later ones at most that of the first.
    """
    return truncated(sigmas, strength), truncated(sigmas, min(strength, propagation))


FIT_PASSES = 10
"""Over the clip, of a substrate that a method fits."""

Propagate = Callable[[Float[Tensor, "k c h w"], Sequence[int], Frames, ClipFlow], Maps]
"""All frames of a clip from its edited keyframes, their numbers, and the source's frames and flow."""


def by_flow(edited: Float[Tensor, "k c h w"], keys: Sequence[int], _frames: Frames, flow: ClipFlow) -> Maps:
    """As `propagated`."""
    return propagated(edited, keys, flow)


def over_substrate(kind: str) -> Propagate:
    """Over a canonical image, or layer by layer over an atlas, that is fitted to the source's frames for it."""

    def propagate(edited: Float[Tensor, "k c h w"], keys: Sequence[int], frames: Frames, flow: ClipFlow) -> Maps:
        substrate = fit_of(frames, kind, passes=FIT_PASSES, flow=flow).run()
        return between_keys(edited.float().cpu(), keys, SubstrateCarrier(substrate), len(frames)).to(edited)

    return propagate


PROPAGATIONS: dict[str, Propagate] = {
    "flow": by_flow,
    "patches": synthesized,
    "atlas": over_substrate("atlas"),
    "canonical": over_substrate("canonical"),
}
"""Ways from edited keyframes to the frames between, by name."""


@dataclass(frozen=True, kw_only=True)
class KeyframeKnobs:
    """What a method inherits that edits keyframes at equal distances and carries them to the frames between."""

    needs_source: ClassVar[bool] = False

    keyframe_every: Annotated[int, Field(ge=1, le=256)] = 10
    """Frames from a keyframe to the next."""
    between: str = "flow"
    """How frames between keyframes are made: flow carries both keyframes there; patches puts them together from
    patches of the keyframes, which is slower and smears less where things turn or come into view; canonical and atlas
    go over one picture, or a background and a foreground, fitted to the clip."""

    def __post_init__(self) -> None:
        known("way between keyframes", self.between, PROPAGATIONS)
        super().__post_init__()  # pyrefly: ignore[missing-attribute]


@runtime_checkable
class FrameKnobs(Protocol):
    """Knobs that come to a denoiser, of frames as a clip or as images."""

    def denoiser(self, inputs: DenoiseInputs, backbone: Backbone, cfg_scale: float) -> Denoiser:
        """The backbone guided."""
        ...


@dataclass(frozen=True, eq=False)
class FrameWalks:
    """Walks of some frames of an edit, and the way from keyframes to all frames. source: the clip's latents.

    Raises BackboneError where frames share a latent.
    """

    inputs: DenoiseInputs
    backbone: Backbone
    knobs: FrameKnobs
    source: Latents

    def __post_init__(self) -> None:
        check_latents(self.backbone)

    def alone(self, frame: int, sigmas: list[float], start: OneLatent | None = None) -> OneLatent:
        """One frame as an image, from its own latents with noise on them, or from `start` with the same noise."""
        return self._walk(self.source[[frame]] if start is None else start, torch.tensor([frame]), sigmas)

    def part(self, frame: int) -> DenoiseInputs:
        """The inputs of one frame alone."""
        return excerpt(self.inputs, torch.tensor([frame]), self.source)

    def beside(self, before: OneLatent, start: OneLatent, keep: Shares, picks: Picks, sigmas: list[float]) -> OneLatent:
        """The second frame of `picks`, from `start`, while the network sees the first one, finished, beside it.

        before, start: one frame of clean latents each. keep: where the second frame stays what `start` is, 0..1.
        """
        pair = torch.cat([before, start])
        kept = torch.cat([torch.ones_like(keep), keep]).to(pair)
        hold = blend_source(pair, self.inputs.noise(self.source)[picks], kept)
        return self._walk(pair, picks, sigmas, hold)[1:]

    @torch.no_grad()
    def completed(self, edited: Float[Tensor, "k c y x"], keys: list[int], last: float, between: str) -> Latents:
        """All frames: the edited keyframes, and those between as they are brought there in pixels.

        last: the level at which walks end, where the step hook sees the frames between. between: of PROPAGATIONS.
        """
        if len(keys) == len(self.source):
            return edited
        frames = self.inputs.clip.frames
        flow = ClipFlow.of(frames, self.inputs.flow)
        pixels = PROPAGATIONS[between](self.backbone.decode_pixels(edited), keys, frames, flow)
        return self.with_pixels(edited, keys, pixels, last)

    @torch.no_grad()
    def with_pixels(
        self, edited: Float[Tensor, "k c y x"], keys: list[int], pixels: Float[Tensor, "t 3 h w"], last: float
    ) -> Latents:
        """All frames: the edited keyframes, and latents of these pixels, -1..1, for the others; see `completed`."""
        latents = torch.index_copy(self.source, 0, torch.tensor(keys, device=edited.device), edited)
        between = torch.tensor(sorted({*range(len(latents))} - {*keys}), dtype=torch.long)
        if not len(between):
            return latents
        made = encode_compensated(pixels[between], self.backbone.encode_pixels, self.backbone.decode_pixels)
        hook = at_frames(self.inputs.step_hook, between, self.source, self.inputs.noise(self.source))
        latents[between] = finish(hook(hypot(1, last) * made, last), last)
        return latents

    def _walk(self, clean: Latents, picks: Picks, sigmas: list[float], hold: StepHook = unchanged) -> Latents:
        part = excerpt(self.inputs, picks, self.source)
        hook = in_turn(hold, part.step_hook)
        start = clean + sigmas[0] * self.inputs.noise(self.source)[picks]
        if len(sigmas) == 1:
            return hook(start, sigmas[0])
        denoise = self.knobs.denoiser(part, self.backbone, part.cfg_scale)
        return finish(part.sampler(denoise, start, sigmas, part.condition, step_hook=hook), sigmas[-1])


def anchored(denoise: Denoiser, size: int) -> Denoiser:
    """Passes of at most `size` frames, each of which has the first frame and the one before its own.

    Raises RequestError for more frames than a size below 3 can hold.
    """

    def anchored_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
        if len(x) > size < 3:
            raise RequestError(f"there are {len(x)} keyframes and a window of {size}; they need a window of 3")
        clean = [denoise(x[:size], sigma, condition.at(torch.arange(min(size, len(x)))))]
        for start in range(size, len(x), max(size - 2, 1)):
            picks = torch.tensor([0, start - 1, *range(start, min(start + size - 2, len(x)))])
            clean.append(denoise(x[picks], sigma, condition.at(picks))[2:])
        return torch.cat(clean)

    return anchored_denoise


def trajectories_of(inputs: DenoiseInputs) -> Callable[[tuple[int, int]], Trajectories]:
    """The clip's trajectories by optical flow (DIS), at each grid of places that is asked for."""
    assert inputs.condition.frames is not None, "the inputs number their frames"
    flow, frames = ClipFlow.of(inputs.clip.frames, inputs.flow), tuple(inputs.condition.frames.tolist())

    @cache
    def at(grid: tuple[int, int]) -> Trajectories:
        tracks = PointTracks.of(flow.resized(grid))
        return Trajectories.of_paths(tracks.places, tracks.reached, frames, grid)

    return at
