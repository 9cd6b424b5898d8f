"""Attention maps of an edit made from the source's: Prompt-to-Prompt, arXiv:2208.01626, and blends by maps of words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.errors import BackboneError
from recast.networks.attention_recipes import References, frames_of
from recast.networks.hooks import Attend, AttentionCall, SiteKind
from recast.networks.recorded_attention import Part, RecordAttention

WORD_PLACES, SELF_PLACES = 32 * 32, 16 * 16
"""Most places of a frame in layers whose maps of words, and of places, are kept; as published."""
PlaceMask = Callable[[AttentionCall], Float[Tensor, "b n"]]
"""How much of its own map each place of a call keeps, 0..1."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Which content tokens of a source stand for which of an edit.

    mapping: each target token's map is this sum of the source tokens' maps. own: the share, 0..1, of its own map that a
    target token keeps instead; 1 for words that the source has not. weights: what each map is multiplied by (reweight).
    """

    mapping: Float[Tensor, "source target"]
    own: Float[Tensor, " target"]
    weights: Float[Tensor, " target"]

    @classmethod
    def same(cls, tokens: int) -> "Alignment":
        """Token by token, for prompts of one length that differ by single words: replace."""
        return cls(torch.eye(tokens), torch.zeros(tokens), torch.ones(tokens))

    def reweighted(self, tokens: Sequence[int], weight: float) -> "Alignment":
        """The same with the maps of some target tokens multiplied."""
        weights = self.weights.clone()
        weights[list(tokens)] *= weight
        return replace(self, weights=weights)


@dataclass(frozen=True, eq=False, kw_only=True)
class CrossMapControl:
    """Weighs the edit's own values by the source's maps, token by token as aligned; section 3.2 of the paper.

    record: of the source's "probabilities". recorded_branch: of the source in it. branch: of the edit that is changed,
    the others are left alone. alignment: None where both have the same tokens by place. mask: where the edit keeps its
    own maps; None is nowhere.
    """

    record: RecordAttention
    alignment: Alignment | None = None
    mask: PlaceMask | None = None
    recorded_branch: int = 0
    branch: int = 0

    def interested(self, site: str, kind: SiteKind) -> bool:
        """In cross-attention that was recorded."""
        return kind is SiteKind.CROSS and self.record.interested(site, kind)

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The answer by the controlled map. Raises BackboneError for tokens that the alignment does not fit."""
        if call.branch != self.branch:
            return attend(call)
        theirs = _recorded(self.record, "probabilities", call, self.recorded_branch)
        chosen = self.alignment or Alignment.same(theirs.shape[-1])
        if chosen.mapping.shape != (theirs.shape[-1], call.k.shape[1]):
            wrong = f"{theirs.shape[-1]} tokens of the source and {call.k.shape[1]} of the edit at {call.site}"
            raise BackboneError(f"an alignment of {tuple(chosen.mapping.shape)} tokens does not fit {wrong}")
        mapping, own, weights = (each.to(theirs) for each in (chosen.mapping, chosen.own, chosen.weights))
        maps = torch.lerp(theirs @ mapping, call.probabilities(), own) if own.any() else theirs @ mapping
        return call.weighted(_masked(maps, call, self.mask) * weights)


@dataclass(frozen=True, eq=False, kw_only=True)
class SelfMapControl:
    """Weighs the edit's own values by the source's maps of self-attention, but where a mask keeps the edit's.

    FateZero's blending, arXiv:2303.09535, equation 8. record: of the source's queries and keys, by which the layer's
    own kernel weighs the edit's values: no map is kept, which would be the square of the places of a frame and head.
    mask: None takes the source's maps everywhere. branch: the edit's that is changed; None is all.
    """

    record: RecordAttention
    mask: PlaceMask | None = None
    recorded_branch: int = 0
    branch: int | None = None

    def interested(self, site: str, kind: SiteKind) -> bool:
        """In self-attention that was recorded."""
        return kind is SiteKind.SELF and self.record.interested(site, kind)

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The answer by the blended map: a map is blended row by row, so its answers are."""
        if self.branch not in (None, call.branch):
            return attend(call)
        q, k = (_recorded(self.record, name, call, self.recorded_branch) for name in ("q", "k"))
        theirs = attend(replace(call, q=q, k=k))
        if self.mask is None:
            return theirs
        return torch.lerp(theirs, attend(call), self.mask(call).to(theirs)[..., None])


@dataclass(frozen=True, eq=False, kw_only=True)
class WordMaps:
    """Where content tokens are looked at: their maps of cross-attention, summed over tokens, as one picture a frame.

    tokens: by place. branch: that is looked at. size: of the pictures, to which each layer's map is enlarged; they are
    averaged over heads and layers. most_places: layers with more are passed over (16 x 16 as published).
    """

    tokens: tuple[int, ...]
    size: tuple[int, int]
    branch: int = 0
    most_places: int = 256
    sums: dict[tuple[float | None, int], Tensor] = field(default_factory=dict)
    """By sigma and frame: the sum over layers."""

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In cross-attention."""
        return kind is SiteKind.CROSS

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The answer as it is."""
        if call.branch == self.branch and call.q.shape[1] <= self.most_places:
            looked = call.probabilities()[..., list(self.tokens)].sum(-1).mean(1).detach().float()
            pictures = rearrange(looked, "b (y x) -> b 1 y x", y=call.grid[0])
            enlarged = F.interpolate(pictures, self.size, mode="bilinear", align_corners=False)
            for frame, picture in zip(frames_of(call), enlarged, strict=True):
                key = call.sigma, frame
                self.sums[key] = self.sums.get(key, 0) + picture
        return attend(call)

    def mask(
        self,
        sigma: float | None,
        frames: Sequence[int],
        threshold: float = 0.3,
        references: References | None = None,
    ) -> Float[Tensor, "t 1 y x"]:
        """1 where a frame's picture is above `threshold` times its largest value, widened by a place; else 0.

        LocalBlend of the published code. references: of `frames`, whose pictures each is first averaged with, all of
        them as shares of their largest value (Edit-A-Video). Raises BackboneError for what was not seen.
        """
        if missing := [frame for frame in frames if (sigma, frame) not in self.sums]:
            raise BackboneError(f"no map of words was seen for frame {missing[0]} at sigma {sigma}; record it first")
        pictures = torch.stack([self.sums[sigma, frame] for frame in frames])
        if references is not None:
            shares = dict(zip(frames, pictures / pictures.amax((-2, -1), keepdim=True), strict=True))
            among = ([shares[each] for each in (frame, *references(frame))] for frame in frames)
            pictures = torch.stack([torch.stack(each).mean(0) for each in among])
        wide = F.max_pool2d(pictures, 3, stride=1, padding=1)
        return (wide > threshold * wide.amax((-2, -1), keepdim=True)).to(pictures)

    def place_mask(self, threshold: float = 0.3) -> PlaceMask:
        """The mask at a call's places, for SelfMapControl."""

        def at_places(call: AttentionCall) -> Tensor:
            mask = self.mask(call.sigma, frames_of(call), threshold)
            return rearrange(F.interpolate(mask, call.grid, mode="nearest"), "b 1 y x -> b (y x)")

        return at_places


def record_words() -> RecordAttention:
    """What CrossMapControl reads of the source."""
    return RecordAttention(parts=("probabilities",), kinds=frozenset({SiteKind.CROSS}))


def record_places() -> RecordAttention:
    """What SelfMapControl reads of the source."""
    return RecordAttention(parts=("q", "k"), kinds=frozenset({SiteKind.SELF}))


def _masked(
    maps: Float[Tensor, "b heads n m"], call: AttentionCall, mask: PlaceMask | None
) -> Float[Tensor, "b heads n m"]:
    """The maps, and the call's own where the mask keeps them."""
    if mask is None:
        return maps
    return torch.lerp(maps, call.probabilities(), rearrange(mask(call).to(maps), "b n -> b 1 n 1"))


def _recorded(record: RecordAttention, name: Part, call: AttentionCall, branch: int) -> Tensor:
    return record.part(name, site=call.site, sigma=call.sigma, branch=branch, frames=call.frames)
