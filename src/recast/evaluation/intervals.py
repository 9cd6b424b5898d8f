"""95 % confidence intervals of shares, means, ratios and differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

Z = 1.959964
"""Standard deviations that hold 95 % of a normal distribution on both sides of its mean."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Figure:
    """A measured number with its 95 % interval. count: of the trials behind it."""

    value: float
    low: float
    high: float
    count: int


def share(right: int, count: int) -> Figure:
    """The share of trials that came out right, with Wilson's score interval (1927), which holds near 0 and 1 too."""
    assert 0 <= right <= count, f"{right} of {count} is no share"
    assert count, "a share of no trials has no value"
    value, spread = right / count, Z**2 / count
    middle = (value + spread / 2) / (1 + spread)
    reach = Z * sqrt(value * (1 - value) / count + spread / (4 * count)) / (1 + spread)
    return Figure(value, max(0.0, middle - reach), min(1.0, middle + reach), count)


def mean(values: Sequence[float], rng: np.random.Generator) -> Figure:
    """The mean, with the percentile bootstrap's interval (Efron 1979)."""
    held = np.asarray(values, float)
    drawn = held[_resampled(len(held), rng)].mean(axis=1)
    return _figure(float(held.mean()), drawn, len(held))


def clustered(values: Sequence[Sequence[float]], rng: np.random.Generator) -> Figure:
    """The mean of the clusters' means, such as worlds with a value for each seed. count: of clusters.

    The percentile bootstrap in two stages: clusters are drawn, and of each of these as many of its values as it has
    (Davison and Hinkley 1997, section 3.8). Where each has one value it is `mean`.
    """
    inner = [np.asarray(each, float) for each in values]
    if all(len(each) == 1 for each in inner):
        return mean([float(each[0]) for each in inner], rng)
    picks = _resampled(len(inner), rng)
    drawn = np.empty(picks.shape)
    for number, each in enumerate(inner):
        chosen = picks == number
        drawn[chosen] = each[rng.integers(len(each), size=(int(chosen.sum()), len(each)))].mean(axis=1)
    return _figure(float(np.mean([each.mean() for each in inner])), drawn.mean(axis=1), len(inner))


def ratio(values: Sequence[float], references: Sequence[float], rng: np.random.Generator) -> Figure:
    """The mean of `values` over the mean of `references`; the two are paired and are drawn together."""
    above, below = np.asarray(values, float), np.asarray(references, float)
    picks = _resampled(len(above), rng)
    drawn = above[picks].mean(axis=1) / below[picks].mean(axis=1)
    return _figure(float(above.mean() / below.mean()), drawn, len(above))


def difference(values: Sequence[float], references: Sequence[float], rng: np.random.Generator) -> Figure:
    """The mean of `values` less the mean of `references`; the two are paired and are drawn together."""
    return mean([value - reference for value, reference in zip(values, references, strict=True)], rng)


def reaches(figure: Figure, bound: float, *, at_most: bool = False) -> str:
    """Whether a figure reaches a bound from below (or, with at_most, from above): met, missed or open.

    met: all of the interval does. missed: none of it does. open: more trials would tell.
    """
    low, high, edge = (-figure.high, -figure.low, -bound) if at_most else (figure.low, figure.high, bound)
    return "met" if low >= edge else "missed" if high < edge else "open"


def _resampled(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(count, size=(RESAMPLES, count))


def _figure(value: float, drawn: np.ndarray, count: int) -> Figure:
    low, high = (float(edge) for edge in np.quantile(drawn, (0.025, 0.975)))
    return Figure(value, low, high, count)
