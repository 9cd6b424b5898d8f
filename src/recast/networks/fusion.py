"""An edit's features and attention fused with the source's, each where it is wanted: InFusion, arXiv:2308.00135."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from recast.networks.hooks import Attend, AttentionCall, FeatureCall, SiteKind
from recast.networks.map_control import PlaceMask
from recast.networks.recorded_attention import RecordAttention
from recast.networks.recorded_features import RecordFeatures, ReplayFeatures
from recast.types import Maps


@dataclass(frozen=True, eq=False, kw_only=True)
class FusedFeatures:
    """The source's features, plus what tells the edit's from them where that is large.

    source: recorded, as branch 0. threshold: the least norm of a place's difference that counts, as a share of the
    largest in the frame; at 1 none does, and below 0 all do. scale: what the difference is multiplied by.
    """

    source: RecordFeatures
    threshold: float
    scale: float = 1.0

    def interested(self, site: str, kind: SiteKind) -> bool:
        """Where features were recorded."""
        return self.source.interested(site, kind)

    def feature(self, call: FeatureCall) -> Maps:
        """The fused features. Raises BackboneError for frames that were not recorded."""
        theirs = ReplayFeatures(record=self.source, branch=0).feature(call)
        difference = call.features - theirs
        norm = difference.norm(dim=1, keepdim=True)
        edited = norm > self.threshold * norm.amax((-2, -1), keepdim=True)
        return theirs + self.scale * difference * edited


@dataclass(frozen=True, eq=False, kw_only=True)
class FusedKeyValues:
    """Attention to the source's keys and values, but where a mask has the edit attend to its own.

    source: holds "k" and "v" of the source, as branch 0. mask: None has all places attend to the source.
    """

    source: RecordAttention
    mask: PlaceMask | None = None

    def interested(self, site: str, kind: SiteKind) -> bool:
        """Where something was recorded."""
        return self.source.interested(site, kind)

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The fused answer. Raises BackboneError for what was not recorded."""
        place = {"site": call.site, "sigma": call.sigma, "branch": 0, "frames": call.frames}
        theirs = attend(replace(call, k=self.source.part("k", **place), v=self.source.part("v", **place)))
        if self.mask is None:
            return theirs
        return torch.lerp(theirs, attend(call), self.mask(call).to(theirs)[..., None])
