"""Weighted means of content embeddings."""

import math
from collections.abc import Sequence

import torch

from recast.curves import Places
from recast.errors import RequestError
from recast.types import Embedding, Picks, Tokens

CANCELLED = 1e-6


def blended(parts: Sequence[tuple[Embedding, float]]) -> Embedding:
    """The weighted mean of embeddings, rescaled to the weighted mean of their norms.

    The norm of a mean is smaller than the mean norm, and to the network a small norm means weak content.
    Raises RequestError for a weight that is negative or not finite, for weights that are all zero, and for embeddings
    whose mean is zero.
    """
    weights = [weight for _, weight in parts]
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise RequestError(f"content weights are {_listed(weights)}; each must be 0 or more")
    if not sum(weights):
        raise RequestError(f"content weights are {_listed(weights) or 'none'}; at least one must be above 0")
    shares = torch.tensor(weights) / sum(weights)
    stacked = torch.stack([embedding for embedding, _ in parts])
    mean, length = shares @ stacked, shares @ stacked.norm(dim=-1)
    if length and mean.norm() <= CANCELLED * length:
        raise RequestError("the contents are opposites and cancel each other; change their weights")
    # All embeddings are zero, which means no content, whatever the weights.
    return mean * (length / mean.norm()) if length else mean


def tokens_over(keys: Places, tokens: Sequence[Tokens], frames: Picks) -> Tokens:
    """Tokens [t n d] of frames of the source, from those at the keys: between two keys blended, as prompts are.

    tokens: [n d] at each key. At a key they are its own, bit for bit.
    """
    each = [keys.place(frame) for frame in frames.tolist()]
    return torch.stack([_between(tokens[index : index + 2], share) for index, share in each])


def _between(tokens: Sequence[Tokens], share: float) -> Tokens:
    if not share:
        return tokens[0]
    one, other = (each.flatten() for each in tokens)
    return blended([(one, 1 - share), (other, share)]).view_as(tokens[0])


def _listed(weights: Sequence[float]) -> str:
    return ", ".join(f"{weight:g}" for weight in weights)
