"""Outcomes put together: for each trial its figures, and how they stand to those of the same worlds' own clips."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recast.evaluation import METRICS
from recast.evaluation.intervals import Figure, mean, ratio, share
from recast.evaluation.items import Outcome, Variant

SOURCE, TRUTH, DECODED = Variant("source"), Variant("truth"), Variant("decoded")
RATIOS = {
    "frames of source": ("frames", SOURCE),
    "surface of source": ("surface", SOURCE),
    "warp of truth": ("warp", TRUTH),
}
"""Names of ratios: which measure, over that of which clips of the same worlds."""
SEED = 23
"""Of the bootstrap."""

Values = Mapping[Variant, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class Figures:
    """plain: by trial and by the names of METRICS. relative: by trial and by the names of RATIOS. values: by task."""

    plain: dict[Variant, dict[str, Figure]]
    relative: dict[Variant, dict[str, Figure]]
    values: Values

    def across(self, trials: Sequence[Variant], name: str) -> list[float]:
        """The measure's mean in each of the trials, over the tasks that all of them have."""
        told = [self.values[trial].get(name, {}) for trial in trials]
        common = [task for task in told[0] if all(task in each for each in told)]
        return [float(np.mean([each[task] for task in common])) for each in told] if common else []


def gathered(outcomes: Sequence[Outcome]) -> Figures:
    """The figures of these outcomes."""
    values: dict[Variant, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for outcome in outcomes:
        for name, value in outcome.figures.items():
            values[outcome.trial][name][outcome.task] = value
    plain = {
        trial: {name: _figure(name, [*told.values()]) for name, told in each.items()} for trial, each in values.items()
    }
    relative = {trial: dict(_ratios(each, values)) for trial, each in values.items()}
    return Figures(plain, relative, {trial: dict(each) for trial, each in values.items()})


def _ratios(told: Mapping[str, Mapping[str, float]], values: Values) -> list[tuple[str, Figure]]:
    ratios = []
    for name, (measure, reference) in RATIOS.items():
        below = values[reference][measure] if reference in values and measure in values[reference] else {}
        common = [task for task in told.get(measure, {}) if task in below]
        if common:
            pairs = [told[measure][task] for task in common], [below[task] for task in common]
            ratios.append((name, ratio(*pairs, _rng())))
    return ratios


def _figure(name: str, values: list[float]) -> Figure:
    return share(round(sum(values)), len(values)) if METRICS[name].share else mean(values, _rng())


def _rng() -> np.random.Generator:
    return np.random.default_rng(SEED)
