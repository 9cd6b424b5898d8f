"""Structure distance: whether places of a frame are as like each other in the edit as in the source."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recast.types import Frames

Places = Float[Tensor, "t n d"]
"""A feature for each of n places of each frame."""


@runtime_checkable
class PlaceEncoder(Protocol):
    """Turns frames into features of places."""

    def places(self, frames: Frames, /) -> Places:
        """One feature for each place, on the CPU."""
        ...


def structure_distance(features: Places, others: Places) -> float:
    """The mean squared difference of self-similarities, frame by frame: cosines of every two places.

    Splice (arXiv:2201.00424), equation 3, on keys of DINO-ViT's last layer. It does not change when the features are
    turned or scaled, as appearance does.
    """
    squared = [
        (_similarities(one) - _similarities(other)).square().mean() for one, other in zip(features, others, strict=True)
    ]
    return float(torch.stack(squared).mean())


def _similarities(features: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    unit = F.normalize(features, dim=1)
    return unit @ unit.T
