"""Aggregated outcomes: figures of each variant, and their ratios to those of the source and the reference render."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from recast.evaluation import METRICS
from recast.evaluation.intervals import Figure, difference, mean, ratio, share
from recast.evaluation.items import Outcome, Variant

SOURCE, TRUTH, DECODED = Variant("source"), Variant("truth"), Variant("decoded")
RATIOS = {
    "frames of source": ("frames", SOURCE),
    "surface of source": ("surface", SOURCE),
    "warp of truth": ("warp", TRUTH),
    "sharpness of truth": ("sharpness", TRUTH),
}
"""Names of ratios: which measure, over that of which clips of the same worlds."""
SEED = 23
"""Of the bootstrap."""

Values = Mapping[Variant, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class Figures:
    """Everything measured, by trial.

    plain: by the names of METRICS. relative: by the names of RATIOS. values: of each task. seconds: an edit's.
    """

    plain: dict[Variant, dict[str, Figure]]
    relative: dict[Variant, dict[str, Figure]]
    values: Values
    seconds: dict[Variant, Figure]

    def differences(self, trial: Variant, other: Variant) -> dict[str, Figure]:
        """Each measure's mean in `trial` less that in `other`, over the tasks that both have."""
        pairs = {name: self._paired(name, trial, other) for name in self.values.get(trial, {})}
        return {name: difference(*pair, _rng()) for name, pair in pairs.items() if pair[0]}

    def moves(self, trials: Sequence[Variant], name: str) -> list[Figure]:
        """The measure in each trial but the first, less that in the one before, over the tasks that both have."""
        pairs = [self._paired(name, after, before) for before, after in pairwise(trials)]
        return [difference(*pair, _rng()) for pair in pairs if pair[0]]

    def _paired(self, name: str, trial: Variant, other: Variant) -> tuple[list[float], list[float]]:
        here, there = (self.values.get(each, {}).get(name, {}) for each in (trial, other))
        common = [task for task in here if task in there]
        return [here[task] for task in common], [there[task] for task in common]

    def across(self, trials: Sequence[Variant], name: str) -> list[float]:
        """The measure's mean in each of the trials, over the tasks that all of them have."""
        columns = [self.values[trial].get(name, {}) for trial in trials]
        common = [task for task in columns[0] if all(task in each for each in columns)] if columns else []
        return [float(np.mean([each[task] for task in common])) for each in columns] if common else []


def gathered(outcomes: Sequence[Outcome]) -> Figures:
    """The figures of these outcomes."""
    values: dict[Variant, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    taken: dict[Variant, list[float]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.seconds is not None:
            taken[outcome.trial].append(outcome.seconds)
        for name, value in outcome.figures.items():
            values[outcome.trial][name][outcome.task] = value
    plain = {
        trial: {name: _figure(name, [*by_task.values()]) for name, by_task in each.items()}
        for trial, each in values.items()
    }
    relative = {trial: dict(_ratios(trial, values)) for trial in values}
    seconds = {trial: mean(each, _rng()) for trial, each in taken.items()}
    return Figures(plain, relative, {trial: dict(each) for trial, each in values.items()}, seconds)


def mean_figures(rows: Sequence[Mapping[str, float]]) -> dict[str, Figure]:
    """The mean of each measure over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: mean([row[name] for row in rows if name in row], _rng()) for name in names}


def _ratios(trial: Variant, values: Values) -> list[tuple[str, Figure]]:
    ratios = []
    for name, (measure, content) in RATIOS.items():
        here, below = (values.get(each, {}).get(measure, {}) for each in (trial, replace(content, case=trial.case)))
        common = [task for task in here if task in below]
        if common:
            pairs = [here[task] for task in common], [below[task] for task in common]
            ratios.append((name, ratio(*pairs, _rng())))
    return ratios


def _figure(name: str, values: list[float]) -> Figure:
    return share(round(sum(values)), len(values)) if METRICS[name].share else mean(values, _rng())


def _rng() -> np.random.Generator:
    return np.random.default_rng(SEED)
