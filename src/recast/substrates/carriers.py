"""Ways to carry a picture from one frame of a clip to another: along flow, by patches, or over a substrate."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from recast.conditions.flow import ClipFlow, Flow, resized_flow
from recast.conditions.patches import SHARP, nearest_patches, voted
from recast.conditions.warping import Shares, composed, visible, warped
from recast.substrates.between import at_size, flow_between_frames
from recast.substrates.layers import Substrate
from recast.substrates.reshaped import ShapeCarrier
from recast.types import Frames, Maps

SHAPE = "shape"
"""The carrier that reads shapes of subjects."""

Picture = Float[Tensor, "1 c h w"]
Sight = Float[Tensor, "1 1 h w"]
Led = tuple[Float[Tensor, "t 2 h w"], Float[Tensor, "t 1 h w"]]
"""From each frame into a keyframe, and how far the point can be seen there."""


@runtime_checkable
class Carrier(Protocol):
    """What brings a keyframe's picture to other frames. Pictures are of any size, and channels of any number."""

    def carried(self, picture: Picture, key: int, frame: int) -> tuple[Picture, Sight]:
        """A picture of frame `key` as frame `frame` shows it, and how far each pixel has a source in it, 0..1."""
        ...


@dataclass(frozen=True, eq=False)
class FlowCarrier:
    """Along optical flow, chained from frame to frame; what was hidden once on the way counts as hidden."""

    flow: ClipFlow
    _chains: dict[int, Led] = field(default_factory=dict, init=False, repr=False)

    def carried(self, picture: Picture, key: int, frame: int) -> tuple[Picture, Sight]:
        """As `Carrier` says."""
        flow, seen = self.led(key, frame)
        size = picture.shape[-2:]
        return warped(picture, resized_flow(flow, size)), at_size(seen, size)

    def led(self, key: int, frame: int) -> tuple[Flow, Shares]:
        """Where each pixel of a frame was in a keyframe."""
        if key not in self._chains:
            self._chains[key] = self._chain(key)
        flow, seen = self._chains[key]
        return flow[[frame]], seen[[frame]]

    def _chain(self, key: int) -> Led:
        count, size = len(self.flow.forward) + 1, self.flow.forward.shape[-2:]
        flows, seen = [torch.zeros(1, 2, *size)] * count, [torch.ones(1, 1, *size)] * count
        onward, back = pairwise(range(key, count)), pairwise(range(key, -1, -1))
        for near, frame in (*onward, *back):
            ways = (self.flow.backward, self.flow.forward) if frame > near else (self.flow.forward, self.flow.backward)
            step, against = (each[[min(near, frame)]] for each in ways)
            flows[frame] = composed(step, flows[near])
            seen[frame] = visible(step, against) * warped(seen[near], step)
        return torch.cat(flows), torch.cat(seen)


@dataclass(frozen=True, eq=False)
class PatchCarrier:
    """Put together from patches of the keyframe, looked for around where flow leads, at the size of `frames`."""

    frames: Frames
    by_flow: FlowCarrier

    def carried(self, picture: Picture, key: int, frame: int) -> tuple[Picture, Sight]:
        """As `Carrier` says; it is as sharp as `frames` are large."""
        shown = self.frames[[frame, key]].float() / 255
        matches, unlike = nearest_patches(shown[:1], shown[1:], self.by_flow.led(key, frame)[0])
        small = torch.nn.functional.interpolate(picture, list(shown.shape[-2:]), mode="area")
        size = picture.shape[-2:]
        return at_size(voted(small, matches), size), at_size(SHARP / (SHARP + unlike)[None, None], size)


@dataclass(frozen=True, eq=False)
class SubstrateCarrier:
    """Over the canvases of a canonical image or an atlas: each pixel by the layers that it shows."""

    substrate: Substrate

    def carried(self, picture: Picture, key: int, frame: int) -> tuple[Picture, Sight]:
        """As `Carrier` says."""
        size = picture.shape[-2:]
        total: Maps = torch.zeros_like(picture)
        seen = picture.new_zeros(1, 1, *size)
        weight = picture.new_zeros(1, 1, *size)
        for number, share in enumerate(self.substrate.shares()):
            flow, met = flow_between_frames(self.substrate, number, frame, key)
            part = at_size(share[[frame]], size)
            sight = part * at_size(met, size)
            # What is hidden in the keyframe counts a little, so that a pixel always has some colour.
            counted = sight + 1e-3 * part
            total = total + counted * warped(picture, resized_flow(flow, size))
            weight, seen = weight + counted, seen + sight
        return total / weight.clamp(min=1e-6), seen.clamp(0, 1)


@dataclass(frozen=True, eq=False)
class CarrierInputs:
    """What carriers are made of. substrate: fits one of the kind that is named, when it is asked for.

    shapes: where the subject is in edited keyframes, by number, 0..1, where that is known.
    """

    frames: Frames
    substrate: Callable[[str], Substrate]
    shapes: Mapping[int, Sight] = field(default_factory=dict)


def _by_flow(inputs: CarrierInputs) -> Carrier:
    return FlowCarrier(ClipFlow.of(inputs.frames))


def _by_patches(inputs: CarrierInputs) -> Carrier:
    return PatchCarrier(inputs.frames, FlowCarrier(ClipFlow.of(inputs.frames)))


def _by_atlas(inputs: CarrierInputs) -> Carrier:
    return SubstrateCarrier(inputs.substrate("atlas"))


def _by_canonical(inputs: CarrierInputs) -> Carrier:
    return SubstrateCarrier(inputs.substrate("canonical"))


def _by_shape(inputs: CarrierInputs) -> Carrier:
    return ShapeCarrier(inputs.substrate("atlas"), inputs.shapes)


CARRIERS: dict[str, Callable[[CarrierInputs], Carrier]] = {
    "flow": _by_flow,
    "patches": _by_patches,
    "atlas": _by_atlas,
    "canonical": _by_canonical,
    SHAPE: _by_shape,
}
"""Ways to carry keyframes, by name."""
