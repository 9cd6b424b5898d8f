"""A bank of what earlier frames held in self-attention: later frames attend to it, and are fused with what is alike."""

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from recast.networks.hooks import Attend, AttentionCall, SiteKind

BankPlace = tuple[str, int | None]
"""Site and branch."""


@dataclass(frozen=True, eq=False)
class BankedTokens:
    """Keys, values and answers of places of earlier frames, one row a place; a layer's whole memory of the past."""

    k: Float[Tensor, "m e"]
    v: Float[Tensor, "m e"]
    answer: Float[Tensor, "m e"]

    def merged(self, new: "BankedTokens") -> "BankedTokens":
        """The new frame's tokens, each the mean of itself and of those of the bank whose keys are most like its own.

        The bank keeps its size however many frames went by, and forgets slowly: dynamic merging of arXiv:2405.15757,
        where halves of both are drawn at random, and one is merged into the other.
        """
        nearest = (F.normalize(self.k, dim=-1) @ F.normalize(new.k, dim=-1).mT).argmax(-1)
        pairs = ((self.k, new.k), (self.v, new.v), (self.answer, new.answer))
        return BankedTokens(*(_averaged(old, kept, nearest) for old, kept in pairs))


@dataclass(eq=False, kw_only=True)
class FeatureBank:
    """Self-attention of a stream: each frame attends to itself and to the bank, then enters it. arXiv:2405.15757.

    threshold: answers whose cosine with the most similar one in the bank is above it are fused with that. fusion: the
    share of the bank's answer in what is fused, 0 fuses nothing. interval: of how many frames one enters the bank, with
    its answers as they were before they were fused.

    Frames go by their absolute numbers, each once: a frame that comes again, in an overlapping window, sees the bank
    and does not enter it anew. For one walk at one noise level: what it holds is of the level that it saw.
    """

    threshold: float
    fusion: float
    interval: int = 1
    tokens: dict[BankPlace, BankedTokens] = field(default_factory=dict)
    seen: dict[BankPlace, list[int]] = field(default_factory=dict)
    """The numbers of the frames that went by."""

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In self-attention."""
        return kind is SiteKind.SELF

    def __call__(self, call: AttentionCall, attend: Attend) -> Float[Tensor, "b n e"]:
        """The answers of the call's frames, one after another."""
        assert call.frames is not None, "backbones say which frames a pass has"
        place = (call.site, call.branch)
        answers = []
        for row, frame in enumerate(call.frames):
            own, bank = self._answer(call, row, place, attend), self.tokens.get(place)
            answers.append(own if bank is None else self._fused(own, bank.answer))
            if frame not in self.seen.setdefault(place, []):
                self._pass(place, frame, BankedTokens(call.k[row], call.v[row], own))
        return torch.stack(answers)

    def _answer(self, call: AttentionCall, row: int, place: BankPlace, attend: Attend) -> Float[Tensor, "n e"]:
        one = replace(call, **{name: getattr(call, name)[row : row + 1] for name in ("hidden", "q", "k", "v")})
        bank = self.tokens.get(place)
        if bank is None:
            return attend(one)[0]
        return attend(replace(one, k=torch.cat([one.k, bank.k[None]], 1), v=torch.cat([one.v, bank.v[None]], 1)))[0]

    def _fused(self, answer: Float[Tensor, "n e"], banked: Float[Tensor, "m e"]) -> Float[Tensor, "n e"]:
        likeness, nearest = (F.normalize(answer, dim=-1) @ F.normalize(banked, dim=-1).mT).max(-1)
        share = self.fusion * (likeness > self.threshold).to(answer)
        return torch.lerp(answer, banked[nearest], share[:, None].expand_as(answer))

    def _pass(self, place: BankPlace, frame: int, tokens: BankedTokens) -> None:
        if not self.seen[place]:
            self.tokens[place] = tokens
        elif len(self.seen[place]) % self.interval == 0:
            self.tokens[place] = self.tokens[place].merged(tokens)
        self.seen[place].append(frame)


def _averaged(old: Float[Tensor, "m e"], kept: Float[Tensor, "m e"], nearest: Tensor) -> Float[Tensor, "m e"]:
    """The kept rows, each the mean of itself and the old rows that went into it."""
    count = torch.ones_like(kept[:, :1]).index_add(0, nearest, torch.ones_like(old[:, :1]))
    return kept.index_add(0, nearest, old) / count
