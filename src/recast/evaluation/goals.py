"""The goals of `pocket`, and whether the figures meet them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from recast.evaluation import METRICS
from recast.evaluation.figures import RATIOS, TRUTH, Figures
from recast.evaluation.intervals import Figure, reaches
from recast.evaluation.items import Variant

WORDS, PICTURE = Variant("words", 0.0, 1.0), Variant("picture", 0.0, 1.0)
WORLDS, FOOTAGE = Variant("worlds"), Variant("footage")

LEAST = 5
"""Values behind a mean's interval for it to tell anything: resampling fewer makes it far too narrow."""


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
    """A goal and how it came out.

    met: met, missed or open; see `reaches`. reached: the means of a trend. most: the same figure of the world's own
    render.
    """

    about: str
    criterion: str
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
    """Each goal that something was measured for: met or missed only where the interval says so, else open."""
    return [*_reached(figures), *_moved(figures)]


def moves(steps: Sequence[Figure], way: str) -> str:
    """Whether a measure moves one way at each step, from the steps' paired differences: met, missed or open."""
    outcomes = {_moves_once(step, rises=way == "rises") for step in steps}
    return next(answer for answer in ("missed", "open", "met") if answer in outcomes)


def _moves_once(step: Figure, *, rises: bool) -> str:
    low, high = (step.low, step.high) if rises else (-step.high, -step.low)
    if step.count < LEAST:
        return "open"
    # Not to move is to miss: a bound of 0 is not reached at 0 itself.
    return "met" if low > 0 else "missed" if high <= 0 else "open"


def _reached(figures: Figures) -> Iterator[Judged]:
    for goal in GOALS:
        held = figures.relative if goal.name in RATIOS else figures.plain
        figure = held.get(goal.trial, {}).get(goal.name)
        if figure is None:
            continue
        is_share = goal.name in METRICS and METRICS[goal.name].share
        bound = f"{goal.bound:.0%}".replace("%", " %") if is_share else f"{goal.bound:g}"
        criterion = f"{'<=' if goal.falls else '>='} {bound}"
        most = held.get(TRUTH, {}).get(goal.name) if goal.trial in (WORDS, PICTURE) else None
        can_tell = is_share or figure.count >= LEAST
        met = reaches(figure, goal.bound, at_most=goal.falls) if can_tell else "open"
        yield Judged(goal.about, criterion, goal.name, met, figure, most)


def _moved(figures: Figures) -> Iterator[Judged]:
    for trend in TRENDS:
        for steps in sorted({trial.steps for trial in figures.plain}, key=lambda steps: steps or 0):
            trials = [trial for trial in figures.plain if _is_along(trial, trend, steps)]
            trials.sort(key=lambda trial: getattr(trial, trend.along) or 0)
            means, moved = figures.across(trials, trend.name), figures.moves(trials, trend.name)
            if not moved:
                continue
            reached = ", ".join(
                f"{getattr(trial, trend.along):g}: {value:.3f}" for trial, value in zip(trials, means, strict=True)
            )
            about = trend.about if steps is None else f"{trend.about}, {steps} steps"
            least = min(step.count for step in moved)
            yield Judged(about, trend.way, trend.name, moves(moved, trend.way), reached=f"{reached} (n {least})")


def _is_along(trial: Variant, trend: Trend, steps: int | None) -> bool:
    if (trial.content, trial.case, trial.method, trial.steps) != ("words", "mixed", None, steps):
        return False
    return trial.temporal_guidance == 1 if trend.along == "detail" else trial.detail == 0
