"""Scores of a study: whose answers count, majorities, win rates with intervals, and strengths."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from recast.evaluation.figures import SEED
from recast.evaluation.intervals import RESAMPLES, Figure, clustered
from recast.evaluation.study.answers import StudyAnswer
from recast.evaluation.study.bradley_terry import hangs_together, strengths
from recast.evaluation.study.plan import StudyPair, StudyPlan


@dataclass(frozen=True)
class StudyRater:
    """A rater. left_out: why their answers do not count, empty where they do."""

    name: str
    answers: int
    checks: int
    failed: int
    left_out: str


@dataclass(frozen=True)
class StudyDuel:
    """One way to edit against another over the pairs of both.

    won, tied, lost: pairs by the majority of their raters. rate: the share that was won, ties half; preferred: the
    share of all votes, ties half. Both with intervals by bootstrap over clips, whose number is their count.
    """

    way: str
    other: str
    won: int
    tied: int
    lost: int
    rate: Figure
    preferred: Figure


@dataclass(frozen=True)
class StudyScores:
    """What a study found. strengths: of Bradley and Terry, logarithms with mean 0; empty where some never met.

    agreement: the share of two votes on one pair that are alike, None where no pair has two. thin: pairs with fewer
    votes that count than the plan has raters.
    """

    raters: tuple[StudyRater, ...]
    duels: tuple[StudyDuel, ...]
    strengths: dict[str, Figure]
    agreement: float | None
    pairs: int
    thin: int

    def to_json(self) -> dict[str, Any]:
        """Everything, in JSON's types."""
        return asdict(self)


Votes = Mapping[StudyPair, Sequence[int]]
"""1 for the first, -1 for the second, 0 for neither, of each rater that counts."""


def scored(plan: StudyPlan, answers: Iterable[StudyAnswer], most_failed: int = 0) -> StudyScores:
    """The scores. A rater who failed more than `most_failed` attention checks, or met none, is left out."""
    by_name = {each.name: each for each in plan.pairs}
    by_rater: dict[str, list[StudyAnswer]] = {}
    for answer in answers:
        if answer.pair in by_name:
            by_rater.setdefault(answer.rater, []).append(answer)
    raters = tuple(_rater(name, given, by_name, most_failed) for name, given in by_rater.items())
    votes: dict[StudyPair, list[int]] = {each: [] for each in plan.pairs if not each.check}
    for rater in raters:
        for answer in by_rater[rater.name] if not rater.left_out else ():
            if not by_name[answer.pair].check:
                votes[by_name[answer.pair]].append(answer.vote)
    held = {pair: given for pair, given in votes.items() if given}
    thin = sum(len(given) < plan.raters for given in votes.values())
    return StudyScores(raters, tuple(_duels(held)), _strengths(held), _agreement(held), len(votes), thin)


def majority(votes: Sequence[int]) -> int:
    """1 or -1 where more raters chose that one than the other; 0, a tie, else."""
    return int(np.sign(sum(votes)))


def _rater(name: str, given: list[StudyAnswer], pairs: Mapping[str, StudyPair], most_failed: int) -> StudyRater:
    checks = [answer for answer in given if pairs[answer.pair].check]
    failed = sum(answer.vote != 1 for answer in checks)
    why = "met no attention check" if not checks else f"failed {failed} of {len(checks)} attention checks"
    return StudyRater(name, len(given), len(checks), failed, why if not checks or failed > most_failed else "")


def _ways(votes: Votes) -> list[str]:
    return sorted({way for pair in votes for way in (pair.first, pair.second)})


def _duels(votes: Votes) -> Iterable[StudyDuel]:
    for way, other in combinations(_ways(votes), 2):
        turned = {(way, other): 1, (other, way): -1}
        theirs = [
            (pair.clip, [turned[pair.first, pair.second] * vote for vote in given])
            for pair, given in votes.items()
            if (pair.first, pair.second) in turned
        ]
        if theirs:
            count = Counter(majority(given) for _, given in theirs)
            rate = _over_clips((clip, [(1 + majority(given)) / 2]) for clip, given in theirs)
            preferred = _over_clips((clip, [(1 + vote) / 2 for vote in given]) for clip, given in theirs)
            yield StudyDuel(way, other, count[1], count[0], count[-1], rate, preferred)


def _over_clips(values: Iterable[tuple[str, list[float]]]) -> Figure:
    by_clip: dict[str, list[float]] = {}
    for clip, each in values:
        by_clip.setdefault(clip, []).extend(each)
    return clustered(list(by_clip.values()), np.random.default_rng(SEED))


def _strengths(votes: Votes) -> dict[str, Figure]:
    ways, clips = _ways(votes), sorted({pair.clip for pair in votes})
    wins = np.zeros((len(clips), len(ways), len(ways)))
    for pair, given in votes.items():
        place, first, second = clips.index(pair.clip), ways.index(pair.first), ways.index(pair.second)
        for vote in given:
            wins[place, first, second] += (1 + vote) / 2
            wins[place, second, first] += (1 - vote) / 2
    whole = wins.sum(0)
    compared = whole + whole.T > 0
    if len(ways) < 2 or not hangs_together(compared):
        return {}
    rng = np.random.default_rng(SEED)
    times = rng.multinomial(len(clips), [1 / len(clips)] * len(clips), size=RESAMPLES).astype(float)
    drawn = strengths(np.einsum("bc,cij->bij", times, wins), compared)
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    value = strengths(whole, compared)
    found = {way: Figure(float(value[i]), float(low[i]), float(high[i]), len(clips)) for i, way in enumerate(ways)}
    return dict(sorted(found.items(), key=lambda each: -each[1].value))


def _agreement(votes: Votes) -> float | None:
    alike = [a == b for given in votes.values() for a, b in combinations(given, 2)]
    return float(np.mean(alike)) if alike else None
