"""Tokens of several frames merged where they are alike, before self-attention: VidToMe, arXiv:2312.10656."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import floor

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recast.networks.attention_recipes import frames_of
from recast.networks.hooks import Attend, AttentionCall, SiteKind

PARTS = ("hidden", "q", "k", "v")
Parts = dict[str, Float[Tensor, "n _"]]


def merged_groups(
    features: Float[Tensor, "n c"], target: Bool[Tensor, " n"], ratio: float
) -> tuple[Int[Tensor, " n"], int]:
    """Bipartite soft matching (ToMe, arXiv:2210.09461): for each token the number of its group, and how many there are.

    target: tokens that others are merged into; they are groups 0, 1, ... in their order. ratio: the share of the other
    tokens that are merged, those most like their nearest target by cosine; each of the rest is a group of its own.
    """
    targets, others = target.nonzero().flatten(), (~target).nonzero().flatten()
    unit = F.normalize(features, dim=-1)
    likeness, nearest = (unit[others] @ unit[targets].mT).max(-1)
    merged = likeness.argsort(descending=True, stable=True)[: floor(ratio * len(others) + 1e-9)]
    alone = torch.ones(len(others), dtype=torch.bool, device=features.device)
    alone[merged] = False
    groups = torch.empty(len(features), dtype=torch.long, device=features.device)
    groups[targets] = torch.arange(len(targets), device=features.device)
    groups[others[merged]] = nearest[merged]
    groups[others[alone]] = len(targets) + torch.arange(int(alone.sum()), device=features.device)
    return groups, len(targets) + int(alone.sum())


def group_means(x: Float[Tensor, "n c"], groups: Int[Tensor, " n"], count: int) -> Float[Tensor, "groups c"]:
    """The mean of each group; `means[groups]` gives it back to its members."""
    total = x.new_zeros(count, x.shape[1]).index_add(0, groups, x)
    return total / x.new_zeros(count).index_add(0, groups, x.new_ones(len(x)))[:, None]


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenMerging:
    """The frames of a chunk attend to each other as one set of tokens, those alike merged into one and split after.

    Projections are affine, so merging queries, keys and values is the same as merging the layer's input. chunk: frames;
    where chunks begin, and the frame of a chunk that the others are merged into, is drawn at each noise level. ratio:
    of tokens that are merged in a chunk. global_ratio: of a chunk's merged tokens that are merged into those kept from
    the chunks before it at this level, which are attended to as well; None keeps none. In windows chunks lie within the
    window, and what is kept goes on from window to window.

    Differs from the paper: chunks are merged into what is kept, never the other way round, and what is kept has the
    size of the first chunk's. Merged tokens become their mean; the published code keeps the target's alone.
    """

    chunk: int = 4
    ratio: float = 0.9
    global_ratio: float | None = 0.8
    seed: int = 0
    kept: dict[tuple[str, int | None], tuple[float | None, Parts]] = field(default_factory=dict)
    """By site and branch: the noise level, and the tokens that later chunks are merged into."""

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In self-attention."""
        return kind is SiteKind.SELF

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The answers, those of merged tokens equal."""
        rng = torch.Generator().manual_seed((self.seed * 1_000_003 + hash((call.sigma, frames_of(call)))) % 2**63)
        frames = len(call.q)
        first = int(torch.randint(min(self.chunk, frames), (), generator=rng))
        edges = [0, *range(first or self.chunk, frames, self.chunk), frames]
        return torch.cat([self._chunk(call, slice(*each), rng, attend) for each in pairwise(edges)])

    def _chunk(self, call: AttentionCall, rows: slice, rng: torch.Generator, attend: Attend) -> Tensor:
        parts = {name: rearrange(getattr(call, name)[rows], "f n e -> (f n) e") for name in PARTS}
        places, count = call.q.shape[1], rows.stop - rows.start
        target = torch.zeros(count, places, dtype=torch.bool, device=call.q.device)
        target[int(torch.randint(count, (), generator=rng))] = True
        groups, number = merged_groups(parts["hidden"], target.flatten(), self.ratio)
        merged = {name: group_means(each, groups, number) for name, each in parts.items()}
        answer = self._beside_kept(call, merged, attend)
        return rearrange(answer[groups], "(f n) e -> f n e", n=places)

    def _beside_kept(self, call: AttentionCall, merged: Parts, attend: Attend) -> Tensor:
        """The answer for merged tokens, which attend to those kept too; then keeps these."""
        place = call.site, call.branch
        sigma, kept = self.kept.get(place, (None, {}))
        if self.global_ratio is None or not kept or sigma != call.sigma:
            self.kept[place] = call.sigma, merged
            return _attended(call, merged, attend)
        size = len(kept["q"])
        both = {name: torch.cat([kept[name], each]) for name, each in merged.items()}
        target = torch.arange(len(both["q"]), device=call.q.device) < size
        groups, number = merged_groups(both["hidden"], target, self.global_ratio)
        means = {name: group_means(each, groups, number) for name, each in both.items()}
        self.kept[place] = call.sigma, {name: each[:size].detach() for name, each in means.items()}
        return _attended(call, means, attend)[groups[size:]]


def _attended(call: AttentionCall, tokens: Parts, attend: Attend) -> Tensor:
    hidden, q, k, v = (tokens[name][None] for name in PARTS)
    return attend(replace(call, hidden=hidden, q=q, k=k, v=v))[0]
