"""Attention whose map is the identity, for branches that guidance leads away from."""

import re
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from recast.networks.hooks import Attend, AttentionCall, SiteKind

MIDDLE = re.compile(r"mid_block\..*")
"""Where self-attention is perturbed in the published settings of perturbed-attention guidance."""


@dataclass(frozen=True, eq=False)
class IdentityAttention:
    """Answers each query with its own value, in some branches.

    perturbed: branches in which self-attention in the middle of the network does so. PAG, arXiv:2403.17377.
    frames_alone: branches in which temporal attention does so, so that no frame sees another there. GenTron's
    motion-free branch, arXiv:2312.04557.
    """

    perturbed: frozenset[int]
    frames_alone: frozenset[int]

    def interested(self, site: str, kind: SiteKind) -> bool:
        """In temporal attention, and in self-attention of the middle block, where a branch asks for it."""
        middle = kind is SiteKind.SELF and MIDDLE.fullmatch(site) is not None
        return (middle and bool(self.perturbed)) or (kind is SiteKind.TEMPORAL and bool(self.frames_alone))

    def __call__(self, call: AttentionCall, attend: Attend) -> Float[Tensor, "b n e"]:
        """The values in these branches, the layer's own answer in others."""
        branches = self.frames_alone if call.kind is SiteKind.TEMPORAL else self.perturbed
        return call.v if call.branch in branches else attend(call)
