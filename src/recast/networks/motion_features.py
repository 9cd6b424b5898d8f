"""How a clip moves, as a network's features tell: what their means over places do from frame to frame."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from recast.networks.hooks import FeatureCall, SiteKind

FrameMeans = Mapping[str, Float[Tensor, "t _"]]
"""Features' means over all places, frame by frame, by site. arXiv:2311.17009, section 4.1."""


@dataclass(frozen=True, eq=False)
class MeanFeatures:
    """Keeps the means over places of features at some residual blocks and transformers, with gradients.

    It changes nothing. sites: paths. rows: by site and frame. Frames may come window by window, in order.
    """

    sites: re.Pattern[str]
    rows: dict[str, dict[int, Tensor]] = field(default_factory=dict)

    @property
    def means(self) -> FrameMeans:
        """Of all frames that came, in their order."""
        return {site: torch.stack([held[frame] for frame in sorted(held)]) for site, held in self.rows.items()}

    def interested(self, site: str, kind: SiteKind) -> bool:
        """Where it looks."""
        return kind in (SiteKind.RESNET, SiteKind.TRANSFORMER) and self.sites.fullmatch(site) is not None

    def feature(self, call: FeatureCall) -> Tensor:
        """The features as they are."""
        numbers = range(len(call.features)) if call.frames is None else call.frames
        self.rows.setdefault(call.site, {}).update(zip(numbers, call.features.float().mean((-2, -1)), strict=True))
        return call.features


def motion_loss(edited: FrameMeans, source: FrameMeans) -> Float[Tensor, ""]:
    """1 - cosine of differences between frames, its mean over all pairs of two frames, summed over sites: 0 to 2 each.

    What is added to all frames alike, and how large differences are, does not count.
    """
    apart = ~torch.eye(len(next(iter(source.values()))), dtype=torch.bool)
    losses = []
    for site, means in source.items():
        ours, theirs = (each[:, None] - each[None] for each in (edited[site], means))
        losses.append(1 - F.cosine_similarity(ours[apart], theirs[apart], dim=-1).mean())
    return torch.stack(losses).sum()
