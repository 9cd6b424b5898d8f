"""Several contents as one embedding."""

import math
from collections.abc import Sequence

import torch

from recast.errors import RequestError
from recast.types import Embedding

CANCELLED = 1e-6


def blended(parts: Sequence[tuple[Embedding, float]]) -> Embedding:
    """The weighted mean of embeddings, as long as the weighted mean of their lengths.

    The mean of vectors is shorter than each of them, and a network reads a short embedding as weak content.
    Raises RequestError for a weight below zero or not finite, for weights that are all zero, and for embeddings that
    cancel each other.
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
    # Nothing but zero vectors: no content at all, whatever the weights.
    return mean * (length / mean.norm()) if length else mean


def _listed(weights: Sequence[float]) -> str:
    return ", ".join(f"{weight:g}" for weight in weights)
