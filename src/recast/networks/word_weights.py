"""Attention maps of words multiplied, in each frame by its own number: Prompt-to-Prompt's reweighting over time."""

from collections.abc import Callable, Set
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from recast.networks.attention_recipes import frames_of
from recast.networks.hooks import Attend, AttentionCall, SiteKind

FrameWeights = Callable[[tuple[int, ...]], Float[Tensor, " t"]]
"""The number of each frame, by its number in the source."""


@dataclass(frozen=True, eq=False)
class WeighedWords:
    """Multiplies what places take of content tokens. arXiv:2208.01626, section 3.2; by a sound arXiv:2305.04001.

    tokens: by place in the prompt. branches: the numbers of those that are changed.
    """

    tokens: tuple[int, ...]
    weights: FrameWeights
    branches: Set[int]

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In cross-attention."""
        return kind is SiteKind.CROSS

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The answer by the maps so multiplied, which is that of values so multiplied: the layer's kernel serves."""
        weights = self.weights(frames_of(call)) if call.branch in self.branches else torch.ones(1)
        if bool((weights == 1).all()):
            return attend(call)
        values = call.v.clone()
        values[:, list(self.tokens)] *= weights.to(values)[:, None, None]
        return attend(replace(call, v=values))
