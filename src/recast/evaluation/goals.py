"""What pocket should reach, and whether it did."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from recast.evaluation import METRICS
from recast.evaluation.figures import RATIOS, TRUTH, Figures
from recast.evaluation.intervals import Figure
from recast.evaluation.items import Variant

WORDS, PICTURE = Variant("words", 0.0, 1.0), Variant("picture", 0.0, 1.0)
WORLDS, FOOTAGE = Variant("worlds"), Variant("footage")


@dataclass(frozen=True)
class Goal:
    """One number to reach. name: of METRICS, or of RATIOS; bound: at least, or at most where less is better."""

    about: str
    trial: Variant
    name: str
    bound: float

    @property
    def falls(self) -> bool:
        """Whether less is better."""
        return METRICS[RATIOS[self.name][0] if self.name in RATIOS else self.name].better == "lower"


@dataclass(frozen=True)
class Trend:
    """A measure of edits from words that should move one way. along: the field of a trial that is varied."""

    about: str
    name: str
    along: Literal["detail", "temporal_guidance"]
    way: Literal["rises", "falls"]


@dataclass(frozen=True)
class Judged:
    """A goal and how it came out. reached: the means of a trend; most: the same figure of the world's own render."""

    about: str
    said: str
    name: str
    met: str
    figure: Figure | None = None
    most: Figure | None = None
    reached: str = ""


GOALS = (
    Goal("words: environment", WORDS, "environment", 0.9),
    Goal("words: look", WORDS, "look", 0.9),
    Goal("words: subject's colour", WORDS, "colour", 0.8),
    Goal("a picture: environment", PICTURE, "environment", 0.85),
    Goal("a picture: look", PICTURE, "look", 0.85),
    Goal("words: outline IoU", WORDS, "outline", 0.8),
    Goal("depth: correlation with the true one, worlds", WORLDS, "depth", 0.9),
    Goal("depth: subject nearer than around it, real frames, AUC", FOOTAGE, "nearer", 0.7),
    Goal("words: frame consistency / source's", WORDS, "frames of source", 0.98),
    Goal("words: warp error on surfaces / source's", WORDS, "surface of source", 1.5),
    Goal("autoencoder: PSNR on worlds at 128 px, dB", WORLDS, "psnr", 27),
    Goal("autoencoder: PSNR on real footage at 128 px, dB", FOOTAGE, "psnr", 22),
)
"""At t_s = 0."""
TRENDS = (
    Trend("words: outline IoU by t_s", "outline", "detail", "falls"),
    Trend("words: frame consistency by temporal guidance", "frames", "temporal_guidance", "rises"),
    Trend("words: pixel consistency by temporal guidance", "pixels", "temporal_guidance", "rises"),
    Trend("words: warp error by temporal guidance", "warp", "temporal_guidance", "falls"),
)


def judged(figures: Figures) -> list[Judged]:
    """Each goal that something was measured for; met says yes or no of the value, whatever its interval."""
    return [*_reached(figures), *_moved(figures)]


def moves(values: list[float], way: str) -> bool:
    """Whether each value is strictly above the one before, or strictly below."""
    return all((after > before) if way == "rises" else (after < before) for before, after in pairwise(values))


def _reached(figures: Figures) -> Iterator[Judged]:
    for goal in GOALS:
        held = figures.relative if goal.name in RATIOS else figures.plain
        figure = held.get(goal.trial, {}).get(goal.name)
        if figure is None:
            continue
        met = figure.value <= goal.bound if goal.falls else figure.value >= goal.bound
        shown = (
            f"{goal.bound:.0%}".replace("%", " %")
            if goal.name in METRICS and METRICS[goal.name].share
            else f"{goal.bound:g}"
        )
        most = held.get(TRUTH, {}).get(goal.name) if goal.trial in (WORDS, PICTURE) else None
        yield Judged(
            goal.about, f"{'<=' if goal.falls else '>='} {shown}", goal.name, "yes" if met else "no", figure, most
        )


def _moved(figures: Figures) -> Iterator[Judged]:
    for trend in TRENDS:
        trials = [trial for trial in figures.plain if trial.content == "words" and _is_along(trial, trend)]
        trials.sort(key=lambda trial: getattr(trial, trend.along))
        values = figures.across(trials, trend.name) if len(trials) > 1 else []
        if values:
            listed = ", ".join(
                f"{getattr(trial, trend.along):g}: {value:.3f}" for trial, value in zip(trials, values, strict=True)
            )
            met = "yes" if moves(values, trend.way) else "no"
            yield Judged(trend.about, trend.way, trend.name, met, reached=listed)


def _is_along(trial: Variant, trend: Trend) -> bool:
    return trial.temporal_guidance == 1 if trend.along == "detail" else trial.detail == 0
