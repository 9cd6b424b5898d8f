"""An edited keyframe whose subject has another shape, carried by the foreground of an atlas: arXiv:2301.13173."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from recast.conditions.flow import resized_flow
from recast.conditions.warping import Shares, fused, warped
from recast.errors import RequestError
from recast.substrates.between import at_size, met_between_frames
from recast.substrates.layers import Substrate

Layered = Float[Tensor, "1 4 h w"]
"""Colours, 0..255, and how far each pixel is changed, 0..1."""
Sight = Float[Tensor, "1 1 h w"]
ALIKE = (16.0, 32.0)
"""Of 255: a changed pixel nearer than this to what the background shows there is background; farther off is not."""


@dataclass(frozen=True)
class Outline:
    """What an edit does to a keyframe's subject: where it is now and was not, and where it was and is not."""

    grown: Sight
    left: Sight


@dataclass(frozen=True, eq=False)
class ShapeCarrier:
    """Brings a keyframe's subject to other frames in its new shape; where it is no more, they show what lies behind.

    shapes: where the subject is in edited keyframes, by number, 0..1. Without one it is where the edit differs from the
    source, in one piece with what is left of the subject, and not where it shows what the background does.

    Differs from the paper: the new shape lies on the canvas as the keyframe shows it, so no correspondences of features
    are looked for, and no network makes what the keyframe does not show; that stays the clip's own.
    """

    substrate: Substrate
    shapes: Mapping[int, Sight] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.substrate.layers) != 2:
            raise RequestError("a subject changes its shape over an atlas, which has a foreground and a background")

    def carried(self, picture: Layered, key: int, frame: int) -> tuple[Layered, Sight]:
        """As `Carrier` says; the picture is an edited frame as `EditedKey.layered` gives it."""
        size, outline = picture.shape[-2:], self.outline(picture, key)
        own = self.substrate.shares()[1][[frame]]
        flow, met = met_between_frames(self.substrate, 1, frame, key)
        grown, left = (met * warped(each, flow) for each in (outline.grown, outline.left))
        subject = at_size(own * (1 - left) + (1 - own) * grown, size)
        brought = _changed_in(warped(picture, resized_flow(flow, size)), at_size((1 - own) * grown, size))
        behind, sight = self._behind(picture, outline, key, frame)
        behind = _changed_in(behind, at_size(own * left, size))
        seen = fused(torch.maximum(sight, at_size(own * left, size)), at_size(met, size), subject)
        return fused(behind, brought, subject), seen

    def outline(self, picture: Layered, key: int) -> Outline:
        """How the subject of an edited keyframe differs from that of the source."""
        own = self.substrate.shares()[1][[key]]
        small = F.interpolate(picture, list(own.shape[-2:]), mode="area")
        if key in self.shapes:
            shape = at_size(self.shapes[key], own.shape[-2:])
            return Outline((shape - own).clamp(min=0), (own - shape).clamp(min=0))
        colours, changed = small[:, :3], small[:, 3:]
        off = (colours - 255 * self._background(frame=key)).abs().amax(dim=1, keepdim=True)
        left = own * changed * (1 - ((off - ALIKE[0]) / (ALIKE[1] - ALIKE[0])).clamp(0, 1))
        grown = changed * (1 - own)
        return Outline(grown * _in_one_piece(own - left, grown), left)

    def _behind(self, picture: Layered, outline: Outline, key: int, frame: int) -> tuple[Layered, Sight]:
        """The background with what the keyframe changed of it; where the keyframe hides it, as the clip has it."""
        size = picture.shape[-2:]
        flow, met = met_between_frames(self.substrate, 0, frame, key)
        bare = self.substrate.shares()[0][[key]] * (1 - outline.grown) + outline.left
        sight = at_size(met * warped(bare, flow), size)
        own = at_size(255 * self._background(frame), size)
        return fused(
            torch.cat([own, torch.zeros_like(own[:, :1])], dim=1), warped(picture, resized_flow(flow, size)), sight
        ), sight

    def _background(self, frame: int) -> Float[Tensor, "1 3 h w"]:
        layer = self.substrate.layers[0]
        return layer.rendered()[[frame]]


def _changed_in(picture: Layered, region: Sight) -> Layered:
    """The picture, changed wholly in a region."""
    return torch.cat([picture[:, :3], torch.maximum(picture[:, 3:], region)], dim=1)


def _in_one_piece(kept: Shares, grown: Shares) -> Shares:
    """1 where what has grown hangs together with what was kept."""
    plane = ((kept > 0.5) | (grown > 0.5))[0, 0].numpy().astype(np.uint8)
    count, numbers = cv2.connectedComponents(plane)
    held = [number for number in range(1, count) if (kept[0, 0].numpy()[numbers == number] > 0.5).any()]
    return torch.from_numpy(np.isin(numbers, held)).to(kept)[None, None]
