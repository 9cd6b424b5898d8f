"""Quantiles of a whole clip's values, by which its maps are scaled: exact in memory, or counted part by part."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

RawMaps = Float[Tensor, "part c h w"]
"""What is seen in some frames of a clip, before it is scaled."""
RawMap = Float[Tensor, "c h w"]
"""The same of one frame."""
BITS = 20
"""Bits of a float32 that a bin keeps: sign, exponent and 11 bits of mantissa, so bins are .05 % wide."""


@dataclass(frozen=True)
class ClipScale:
    """What scales the maps of a clip. quantiles: as many as were asked for. least, most: of all values."""

    quantiles: tuple[float, ...]
    least: float
    most: float


def exact_scale(values: Tensor, shares: Iterable[float]) -> ClipScale:
    """The scale of values that are all there. shares: of the quantiles, 0..1."""
    held = values.numpy(force=True)
    quantiles = tuple(np.quantile(held, tuple(shares)).tolist())
    return ClipScale(quantiles, float(held.min()), float(held.max()))


@dataclass(eq=False)
class ValueCounts:
    """A histogram that grows part by part while its memory does not: bins are narrower where values are small."""

    counts: Int64[np.ndarray, "bins"] = field(default_factory=lambda: np.zeros(2**BITS, np.int64))
    least: float = np.inf
    most: float = -np.inf

    def add(self, values: Tensor) -> None:
        """Counts the values of one more part."""
        held = values.numpy(force=True).astype(np.float32).ravel()
        self.counts += np.bincount(_bins(held), minlength=2**BITS)
        self.least, self.most = min(self.least, float(held.min())), max(self.most, float(held.max()))

    def scale(self, shares: Iterable[float]) -> ClipScale:
        """The scale of all values up to now; quantiles lie in the bins of the exact ones."""
        below = self.counts.cumsum()
        quantiles = tuple(self._value(below, share * (below[-1] - 1)) for share in shares)
        return ClipScale(quantiles, self.least, self.most)

    def _value(self, below: Int64[np.ndarray, "bins"], rank: float) -> float:
        place = int(np.searchsorted(below, rank, side="right"))
        inside = (rank - (below[place] - self.counts[place])) / self.counts[place]
        low, high = _edges(place)
        return float(np.clip(low + inside * (high - low), self.least, self.most))


def _bins(values: np.ndarray) -> np.ndarray:
    """Rising with the value: a float's bits are in order where it is positive, and in reverse order where negative."""
    bits = (values + np.float32(0)).view(np.uint32)
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return (ordered >> np.uint32(32 - BITS)).astype(np.int64)


def _edges(place: int) -> tuple[float, float]:
    ordered = np.array([place << (32 - BITS), ((place + 1) << (32 - BITS)) - 1], dtype=np.uint32)
    bits = np.where(ordered >> 31, ordered & np.uint32(0x7FFFFFFF), ~ordered).astype(np.uint32)
    low, high = bits.view(np.float32).tolist()
    return low, high
