"""Tables of one measure set over several ways to make the same cases: means, and differences case by case."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from recast.evaluation.figures import mean_figures
from recast.evaluation.intervals import Figure, difference
from recast.evaluation.tables import HEADINGS, Grid, cell

ByCase = Mapping[str, Mapping[str, float]]
"""Measures of each case, by the names of METRICS."""


def means(title: str, ways: Mapping[str, ByCase], names: Sequence[str]) -> Grid:
    """The mean of each measure, a row for each way."""
    rows = []
    for way, cases in ways.items():
        figures = mean_figures([*cases.values()])
        rows.append((way, *(cell(name, figures.get(name)) for name in names)))
    return Grid(title, ("", *(HEADINGS[name] for name in names)), tuple(rows))


def differences(title: str, first: str, ways: Mapping[str, ByCase], names: Sequence[str]) -> Grid:
    """What the first way has more than each other one, on the cases that both were tried on."""
    rows = []
    for way, cases in ways.items():
        common = [case for case in cases if case in ways[first]]
        if way != first and common:
            pairs = [(ways[first][case], cases[case]) for case in common]
            rows.append((f"{first} less {way}", *(cell(name, _apart(name, pairs), signed=True) for name in names)))
    return Grid(title, ("", *(HEADINGS[name] for name in names)), tuple(rows))


def _apart(name: str, pairs: Iterable[tuple[Mapping[str, float], Mapping[str, float]]]) -> Figure | None:
    both = [(one[name], other[name]) for one, other in pairs if name in one and name in other]
    if not both:
        return None
    return difference([one for one, _ in both], [other for _, other in both], np.random.default_rng(0))
