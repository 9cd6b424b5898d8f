"""A clip's substrate by name: one canonical image, or an atlas of a background and a foreground."""

from collections.abc import Callable

import torch

from recast.conditions.flow import ClipFlow
from recast.conditions.warping import Shares
from recast.errors import RequestError, ShapeError
from recast.substrates.fit import Fit
from recast.substrates.motion import moving_masks, softened
from recast.types import Frames

LayersOf = Callable[[Frames, ClipFlow, Shares | None], tuple[Shares, ...]]
"""The alphas of a clip's layers, the lowest first, from its flow and a mask of its foreground if one is given."""


def one_layer(frames: Frames, _flow: ClipFlow, mask: Shares | None) -> tuple[Shares, ...]:
    """Everywhere. Raises RequestError for a mask, which says nothing here."""
    if mask is not None:
        raise RequestError("a canonical image is one layer and reads no mask; leave --mask out, or say --by atlas")
    return (torch.ones(len(frames), 1, *frames.shape[-2:]),)


def two_layers(frames: Frames, flow: ClipFlow, mask: Shares | None) -> tuple[Shares, ...]:
    """A background everywhere, and over it what the mask marks; without one, what moves otherwise than the rest.

    Raises RequestError where nothing is marked or moves, ShapeError for a mask of another size.
    """
    below = torch.ones(len(frames), 1, *frames.shape[-2:])
    if mask is None:
        if len(frames) < 2:
            raise RequestError("one frame shows no motion to find a foreground by; give a mask (--mask)")
        return below, softened(moving_masks(frames, flow))
    if mask.shape != below.shape:
        raise ShapeError(f"masks are {tuple(mask.shape)} and the clip has {tuple(below.shape)}; give one of its size")
    if not mask.any():
        raise RequestError("the mask marks nothing, so there is no foreground; say --by canonical for one layer")
    return below, mask


SUBSTRATES: dict[str, LayersOf] = {"canonical": one_layer, "atlas": two_layers}
"""Ways to take a clip apart into layers, by name."""


def fit_of(
    frames: Frames, kind: str, mask: Shares | None = None, passes: int = 40, flow: ClipFlow | None = None
) -> Fit:
    """The fit of this kind's layers to frames, around the middle one; flow by DIS if not given.

    Raises what finding the layers raises.
    """
    flow = ClipFlow.of(frames) if flow is None else flow
    alphas = SUBSTRATES[kind](frames, flow, mask)
    return Fit(frames, flow, alphas, len(frames) // 2, passes)
