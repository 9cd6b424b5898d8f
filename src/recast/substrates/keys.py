"""Keyframes that were edited, carried through a clip: what they changed, where it can be seen."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from recast.conditions.propagation import HIDDEN, colour_mapped
from recast.errors import RequestError, ShapeError
from recast.substrates.carriers import Carrier, Picture, Sight
from recast.types import Maps

CHANGED = (4.0, 12.0)
"""Of 255: a pixel whose channels differ by less is not changed, by more wholly; compression makes small differences."""
WHOLE = 0.5
"""A keyframe of which more is changed is a new look of the whole frame, and goes for what it does not show as well."""
FIT_EVERY = 4
"""Every so many pixels of a keyframe tell what its edit does to colours."""

Image = UInt8[Tensor, "3 h w"]


@dataclass(frozen=True, eq=False)
class EditedKey:
    """One frame of a clip before and after its edit."""

    before: Image
    after: UInt8[Tensor, "3 _ _"]

    def __post_init__(self) -> None:
        if self.before.shape != self.after.shape:
            sizes = [f"{each.shape[-1]}x{each.shape[-2]}" for each in (self.after, self.before)]
            raise ShapeError(f"the edited frame is {sizes[0]} and the clip {sizes[1]}; give one of the clip's size")

    @cached_property
    def layered(self) -> Float[Tensor, "1 4 h w"]:
        """The edited frame's colours, 0..255, and how far each pixel is changed, 0..1."""
        away = (self.after.float() - self.before.float()).abs().amax(dim=0, keepdim=True)
        changed = ((away - CHANGED[0]) / (CHANGED[1] - CHANGED[0])).clamp(0, 1)
        return torch.cat([self.after.float(), changed])[None]

    @cached_property
    def is_whole(self) -> bool:
        """Whether most of the frame is changed."""
        return bool(self.layered[:, 3].mean() > WHOLE)

    def recoloured(self, frame: Image) -> Float[Tensor, "1 3 h w"]:
        """A frame by the map of colours that is nearest to this edit."""
        pair = (each[None, :, ::FIT_EVERY, ::FIT_EVERY].float() / 255 for each in (self.before, self.after))
        return 255 * colour_mapped(frame[None].float() / 255, *pair).clamp(0, 1)


def keyed(frame: Image, number: int, keys: Mapping[int, EditedKey], carrier: Carrier) -> Image:
    """A frame of the clip with what its keyframes changed; a keyframe is as it was edited, bit for bit.

    Of two keyframes around it each counts by its nearness, and hardly where it does not show a point. What none shows
    stays the frame's own; or, where keyframes are changed as a whole, gets its own pixels in their colours.
    Raises RequestError for no keyframes.
    """
    if not keys:
        raise RequestError("there is no edited keyframe to carry; give one")
    if number in keys:
        return keys[number].after
    shares = _nearness(number, sorted(keys))
    base = frame[None].float()
    total, weight, seen = torch.zeros_like(keys[next(iter(shares))].layered), 0.0, torch.zeros_like(base[:, :1])
    mapped = torch.zeros_like(base)
    for key, share in shares.items():
        brought, sight = carrier.carried(keys[key].layered, key, number)
        total, weight = total + share * (sight + HIDDEN) * brought, weight + share * (sight + HIDDEN)
        seen = torch.maximum(seen, sight)
        mapped = mapped + share * (keys[key].recoloured(frame) if keys[key].is_whole else base)
    return _composed(base, total / weight, seen, mapped)


def between_keys(edited: Float[Tensor, "k c h w"], keys: Sequence[int], carrier: Carrier, count: int) -> Maps:
    """All of a clip's frames from its edited keyframes alone, which are given as they are; shares as in `keyed`."""
    numbered = dict(zip(keys, edited.split(1), strict=True))
    return torch.cat([_mixed(numbered, number, carrier) for number in range(count)])


def _mixed(pictures: Mapping[int, Picture], number: int, carrier: Carrier) -> Picture:
    if number in pictures:
        return pictures[number]
    total, weight = torch.zeros_like(next(iter(pictures.values()))), 0.0
    for key, share in _nearness(number, sorted(pictures)).items():
        brought, sight = carrier.carried(pictures[key], key, number)
        total, weight = total + share * (sight + HIDDEN) * brought, weight + share * (sight + HIDDEN)
    return total / weight


def _composed(base: Picture, brought: Float[Tensor, "1 4 h w"], seen: Sight, unseen: Picture) -> Image:
    changed = brought[:, 3:]
    shown = base + changed * (brought[:, :3] - base)
    return (unseen + seen * (shown - unseen)).round().clamp(0, 255).to(torch.uint8)[0]


def _nearness(number: int, keys: list[int]) -> dict[int, float]:
    """The keyframes around a frame and their shares; past the first or the last one it alone."""
    after = bisect_left(keys, number)
    if after in (0, len(keys)):
        return {keys[min(after, len(keys) - 1)]: 1.0}
    first, last = keys[after - 1], keys[after]
    near = (number - first) / (last - first)
    return {first: 1 - near, last: near}
