"""What hooks are: functions around the attention layers and blocks of a network, and what they are called with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypedDict, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor


class SiteKind(StrEnum):
    """What stands at a site of a network. The first three are attention layers, the others give features."""

    SELF = "self"
    """Each frame's places attend to each other."""
    CROSS = "cross"
    """Each frame's places attend to content tokens."""
    TEMPORAL = "temporal"
    """The frames of each place attend to each other."""
    RESIDUAL = "residual"
    """The last convolution of a residual block, before the skip connection is added."""
    RESNET = "resnet"
    """A residual block."""
    TRANSFORMER = "transformer"
    """A spatial transformer, with the temporal one behind it where there is one."""
    BLOCK = "block"
    """All layers of one resolution, on the way down or up, or the middle; skip connections are not given."""


@dataclass(frozen=True, eq=False)
class DenoisePass:
    """One pass of a network, as a backbone tells it to hooks.

    branches: the number of each clip of the batch among those asked of `denoise_branches`. temporal: whether temporal
    layers act on it. frames: absolute numbers of the frames, the same for all branches.
    """

    sigma: float
    branches: tuple[int, ...]
    temporal: tuple[bool, ...]
    frames: tuple[int, ...]


class PassFacts(TypedDict):
    """What a call says of its pass; see DenoisePass."""

    sigma: float | None
    branch: int | None
    frames: tuple[int, ...] | None


class PassContext:
    """Tells hooks which pass is going through the network; None between passes. One pass at a time."""

    def __init__(self) -> None:
        self.current: DenoisePass | None = None

    @contextmanager
    def on(self, current: DenoisePass | None) -> Iterator[None]:
        """The pass inside the block is this one."""
        before, self.current = self.current, current
        try:
            yield
        finally:
            self.current = before

    def facts(self, branch: int | None) -> PassFacts:
        """What is known of the pass at hand, for a call of one branch."""
        if self.current is None:
            return PassFacts(sigma=None, branch=branch, frames=None)
        return PassFacts(sigma=self.current.sigma, branch=branch, frames=self.current.frames)

    def shares(self, kind: SiteKind, rows: int) -> list[tuple[int | None, slice]]:
        """Each branch's number and rows in a batch that a layer of this kind sees; all of them outside a known pass.

        None for a layer over time where frames see each other in no branch.
        """
        current_pass = self.current
        if current_pass is None:
            return [(None, slice(0, rows))]
        pairs = zip(current_pass.branches, current_pass.temporal, strict=True)
        numbers = [number for number, temporal in pairs if temporal or kind is not SiteKind.TEMPORAL]
        each = rows // max(1, len(numbers))
        return [(number, slice(i * each, (i + 1) * each)) for i, number in enumerate(numbers)]


@dataclass(frozen=True, eq=False)
class AttentionCall:
    """One branch in one attention layer: projected queries, keys and values, heads not yet split.

    Axis b is a frame in self and cross attention, and a place (row by row) in temporal attention; n are the queries
    (places; frames where temporal), m the keys.
    site: the layer's path in the diffusers UNet, such as down_blocks.0.attentions.0.transformer_blocks.0.attn1.
    grid: rows and columns that the places of a frame form. hidden: the layer's input, normalized.
    scale: of the products of queries and keys. sigma, branch, frames: see DenoisePass; None outside of one, and
    then axis b holds the whole batch. causal: no query takes a key behind its own place.
    """

    site: str
    kind: SiteKind
    grid: tuple[int, int]
    heads: int
    hidden: Float[Tensor, "b n c"]
    q: Float[Tensor, "b n e"]
    k: Float[Tensor, "b m e"]
    v: Float[Tensor, "b m e"]
    scale: float
    sigma: float | None = None
    branch: int | None = None
    frames: tuple[int, ...] | None = None
    causal: bool = False

    def probabilities(self) -> Float[Tensor, "b heads n m"]:
        """The attention map: for each query, how much of each key it takes; sums to 1 over m. Needs b*heads*n*m."""
        q, k = heads_split(self.q, self.heads), heads_split(self.k, self.heads)
        # In place: the products are the largest tensors of a pass.
        scores = (q @ k.mT).mul_(self.scale).float()
        if self.causal:
            scores = scores + no_later(scores)
        return scores.softmax(-1).to(q.dtype)

    def weighted(self, probabilities: Float[Tensor, "b heads n m"]) -> Float[Tensor, "b n e"]:
        """The answer that a map gives with these values."""
        return rearrange(probabilities @ heads_split(self.v, self.heads), "b h n d -> b n (h d)")


@dataclass(frozen=True, eq=False)
class FeatureCall:
    """What one block made of one branch. site: its path in the diffusers UNet; for the rest see AttentionCall."""

    site: str
    kind: SiteKind
    features: Float[Tensor, "t c h w"]
    sigma: float | None = None
    branch: int | None = None
    frames: tuple[int, ...] | None = None


Attend = Callable[[AttentionCall], Tensor]
"""Answers a call: the hooks further in, and behind them the layer's own kernel."""


@runtime_checkable
class AttentionHook(Protocol):
    """Middleware around attention: may change the call, change the answer, or answer by itself.

    Branches of one batch come in their order, one call each. With gradient checkpointing a call comes again during
    backward: keep things by site, sigma and branch, never by counting calls.
    It may have `interested(site: str, kind: SiteKind) -> bool`; layers that no hook is interested in stay as they were.
    """

    def __call__(self, call: AttentionCall, attend: Attend, /) -> Float[Tensor, "b n e"]:
        """The answer, of the queries' shape, before the layer's output projection."""
        ...


@runtime_checkable
class FeatureHook(Protocol):
    """Looks at or changes what blocks give; otherwise as AttentionHook. One object may be both."""

    def feature(self, call: FeatureCall, /) -> Float[Tensor, "t c h w"]:
        """The features to go on with, of the same shape."""
        ...


Hook = AttentionHook | FeatureHook


def interested(hook: Hook, site: str, kind: SiteKind) -> bool:
    """Whether the hook wants to be called there; by default everywhere."""
    predicate = getattr(hook, "interested", None)
    return predicate is None or bool(predicate(site, kind))


def no_later(scores: Float[Tensor, "*b n m"]) -> Float[Tensor, "n m"]:
    """What is added to products of queries and keys so that no query takes a key behind its own place."""
    return torch.full_like(scores[(0,) * (scores.ndim - 2)], -torch.inf).triu(1)


def heads_split(x: Float[Tensor, "b n e"], heads: int) -> Float[Tensor, "b h n d"]:
    """Each head's features apart, as a view."""
    return rearrange(x, "b n (h d) -> b h n d", h=heads)
