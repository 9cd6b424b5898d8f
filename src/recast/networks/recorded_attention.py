"""Attention kept in one pass and used again in another: by what it was computed from, its map, or its answer."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from recast.errors import BackboneError
from recast.networks.hooks import Attend, AttentionCall, SiteKind

Replayed = Literal["q", "k", "v", "probabilities", "answer"]
Part = Literal[Replayed, "hidden"]
Place = tuple[str, float | None, int | None]
"""Site, sigma and branch."""
ATTENTION_KINDS = frozenset({SiteKind.SELF, SiteKind.CROSS, SiteKind.TEMPORAL})


@dataclass(frozen=True, eq=False, kw_only=True)
class RecordAttention:
    """Keeps parts of each call it sees, and changes nothing.

    parts: what is kept. "hidden" is the layer's input, of which another layer's q, k and v can be made; "probabilities"
    are computed beside the layer's own kernel, and need most memory.
    kinds, sites: where; sites None is everywhere. Kept tensors have no gradient, and stay on their device.
    Calls that come again (same site, sigma, branch and frames) replace what was kept.
    """

    parts: Collection[Part] = ("q", "k", "v")
    kinds: frozenset[SiteKind] = ATTENTION_KINDS
    sites: frozenset[str] | None = None
    calls: dict[Place, dict[tuple[int, ...] | None, dict[str, Tensor]]] = field(default_factory=dict)
    """What was kept, by place and frames."""
    site_kinds: dict[str, SiteKind] = field(default_factory=dict)
    """What stands at the sites that were seen."""

    def interested(self, site: str, kind: SiteKind) -> bool:
        """Where it looks."""
        return kind in self.kinds and (self.sites is None or site in self.sites)

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The answer as it is."""
        answer = attend(call)
        place = (call.site, call.sigma, call.branch)
        self.site_kinds[call.site] = call.kind
        windows = self.calls.setdefault(place, {})
        windows.pop(call.frames, None)  # so that the latest stands last
        windows[call.frames] = {name: _part(name, call, answer) for name in self.parts}
        return answer

    def part(
        self,
        name: Part,
        *,
        site: str,
        sigma: float | None,
        branch: int | None,
        frames: tuple[int, ...] | None,
    ) -> Tensor:
        """What was kept of some frames, by their absolute numbers; axes as in AttentionCall.

        A window that was seen as a whole is given as it was. Otherwise, but for temporal attention, its frames are
        put together from other windows, the latest that has each. None stands for what is not known, as in the calls.
        Raises BackboneError for what was not kept.
        """
        windows = self.calls.get((site, sigma, branch), {})
        if frames in windows and name in windows[frames]:
            return windows[frames][name]
        apart = () if self.site_kinds.get(site) is SiteKind.TEMPORAL else frames or ()
        rows = [_row(frame, windows, name) for frame in apart]
        kept = [row for row in rows if row is not None]
        if not kept or len(kept) < len(rows):
            asked = f"branch {branch}, sigma {sigma}, frames {frames}"
            raise BackboneError(f"no {name} was recorded at {site} for {asked}; record that pass first")
        return torch.stack(kept)


@dataclass(frozen=True, eq=False, kw_only=True)
class ReplayAttention:
    """Uses recorded parts instead of a call's own, where `record` looked.

    parts: "answer" is given as it was; "probabilities" weigh the call's own values (arXiv:2208.01626); q, k and v take
    the place of the call's own, and the layer attends. branch: the recorded one; None is the call's own number.
    Raises BackboneError for another part: q, k and v are there before hooks are called, so "hidden" changes nothing.
    """

    record: RecordAttention
    parts: Collection[Replayed] = ("q", "k", "v")
    branch: int | None = None

    def __post_init__(self) -> None:
        if strange := set(self.parts) - set(get_args(Replayed)):
            raise BackboneError(f"{min(strange)} cannot be replayed; the parts are {', '.join(get_args(Replayed))}")

    def interested(self, site: str, kind: SiteKind) -> bool:
        """Where something was recorded."""
        return self.record.interested(site, kind)

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The answer with recorded parts. Raises BackboneError for what was not recorded."""
        branch = call.branch if self.branch is None else self.branch
        asked = {"site": call.site, "sigma": call.sigma, "branch": branch, "frames": call.frames}
        kept = {name: self.record.part(name, **asked) for name in self.parts}
        if "answer" in kept:
            return kept["answer"]
        changed = replace(call, q=kept.get("q", call.q), k=kept.get("k", call.k), v=kept.get("v", call.v))
        return changed.weighted(kept["probabilities"]) if "probabilities" in kept else attend(changed)


def _part(name: Part, call: AttentionCall, answer: Tensor) -> Tensor:
    if name == "answer":
        return answer.detach()
    return call.probabilities().detach() if name == "probabilities" else getattr(call, name).detach()


def _row(frame: int, windows: dict[tuple[int, ...] | None, dict[str, Tensor]], name: str) -> Tensor | None:
    seen: Iterable[tuple[int, ...] | None] = reversed(windows)
    holding = (frames for frames in seen if frames and frame in frames and name in windows[frames])
    found = next(holding, None)
    return None if found is None else windows[found][name][found.index(frame)]
