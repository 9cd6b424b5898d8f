"""Features kept in one pass and put into another, and hooks that are in force at some places and noise levels only."""

import re
from dataclasses import dataclass, field

import torch
from torch import Tensor

from recast.errors import BackboneError
from recast.networks.hooks import (
    Attend,
    AttentionCall,
    AttentionHook,
    FeatureCall,
    FeatureHook,
    Hook,
    SiteKind,
    interested,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class RecordFeatures:
    """Keeps the features of blocks, frame by frame, and changes nothing.

    kind, sites: which blocks. Kept tensors have no gradient. Calls that come again replace what was kept.
    """

    kind: SiteKind
    sites: re.Pattern[str]
    kept: dict[tuple[str, float | None, int | None], dict[int, Tensor]] = field(default_factory=dict)
    """By site, sigma and branch: the features of each frame."""

    def interested(self, site: str, kind: SiteKind) -> bool:
        """Where it looks."""
        return kind is self.kind and self.sites.fullmatch(site) is not None

    def feature(self, call: FeatureCall) -> Tensor:
        """The features as they are."""
        rows = zip(_numbers(call), call.features.detach(), strict=True)
        self.kept.setdefault((call.site, call.sigma, call.branch), {}).update(rows)
        return call.features


@dataclass(frozen=True, eq=False, kw_only=True)
class ReplayFeatures:
    """Puts recorded features in place of a block's own: feature injection. Plug-and-Play, arXiv:2211.12572.

    branch: the recorded one; None is the call's own number. Windows are given their frames. Raises BackboneError for
    what was not recorded.
    """

    record: RecordFeatures
    branch: int | None = None

    def interested(self, site: str, kind: SiteKind) -> bool:
        """Where something was recorded."""
        return self.record.interested(site, kind)

    def feature(self, call: FeatureCall) -> Tensor:
        """The recorded features."""
        branch = call.branch if self.branch is None else self.branch
        frames = self.record.kept.get((call.site, call.sigma, branch), {})
        if missing := set(_numbers(call)) - set(frames):
            asked = f"branch {branch}, sigma {call.sigma}, frame {min(missing)}"
            raise BackboneError(f"no features were recorded at {call.site} for {asked}; record that pass first")
        return torch.stack([frames[frame] for frame in _numbers(call)])


@dataclass(frozen=True, eq=False, kw_only=True)
class LimitedHook:
    """A hook that is in force at some sites, above a noise level, and where there are not too many places.

    sites: None is everywhere that the hook is interested in. above: levels up to this one are left alone. most_places:
    of a frame, beyond which a layer or block is left alone; maps need the square of it.
    """

    hook: Hook
    sites: re.Pattern[str] | None = None
    above: float = 0.0
    most_places: int | None = None

    def interested(self, site: str, kind: SiteKind) -> bool:
        """Where the hook is, if the site is one of those named."""
        return (self.sites is None or self.sites.fullmatch(site) is not None) and interested(self.hook, site, kind)

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """By the hook where it is in force, else the layer's own answer."""
        if isinstance(self.hook, AttentionHook) and self._in_force(call.sigma, call.grid):
            return self.hook(call, attend)
        return attend(call)

    def feature(self, call: FeatureCall) -> Tensor:
        """By the hook where it is in force, else the features as they are."""
        if isinstance(self.hook, FeatureHook) and self._in_force(call.sigma, call.features.shape[-2:]):
            return self.hook.feature(call)
        return call.features

    def _in_force(self, sigma: float | None, grid: tuple[int, int] | torch.Size) -> bool:
        small = self.most_places is None or grid[0] * grid[1] <= self.most_places
        return small and (sigma is None or sigma > self.above)


def _numbers(call: FeatureCall) -> tuple[int, ...]:
    return tuple(range(len(call.features))) if call.frames is None else call.frames
