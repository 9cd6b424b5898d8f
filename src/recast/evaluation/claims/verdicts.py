"""Claims held against what was measured: a row each, with the paired difference and its interval."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from recast.evaluation import METRICS
from recast.evaluation.claims.arms import ArmItem
from recast.evaluation.claims.claim import Arm, Claim
from recast.evaluation.figures import SEED
from recast.evaluation.goals import LEAST
from recast.evaluation.intervals import Figure, clustered

Found = Mapping[ArmItem, Mapping[str, float]]
Answer = Literal["holds", "fails", "open"]


@dataclass(frozen=True)
class ClaimResult:
    """A claim and what was measured. before, after: the means of both arms; difference: the second less the first.

    All three are None for a claim that nothing was measured for. worlds, seeds: behind the difference.
    """

    name: str
    claim: Claim
    answer: Answer
    before: float | None = None
    after: float | None = None
    difference: Figure | None = None
    worlds: int = 0
    seeds: int = 0

    def to_json(self) -> dict[str, Any]:
        """Everything, in JSON's types."""
        claim, held = self.claim, asdict(self)
        known = {"where": claim.where, "says": claim.says, "needs": claim.needs}
        if claim.arms:
            known |= {"measure": claim.measure, "way": claim.way, "within": claim.within}
            known |= {"from": claim.before.label, "to": claim.after.label}
        return {"name": self.name} | known | {key: held[key] for key in list(held)[2:]}


def verdicts(claims: Mapping[str, Claim], found: Found) -> list[ClaimResult]:
    """A verdict for each claim, in their order."""
    return [_verdict(name, claim, found) for name, claim in claims.items()]


def answer(claim: Claim, difference: Figure, worlds: int) -> Answer:
    """Holds where all of the interval is on the side that the claim says, fails where none of it is, else open.

    A difference of 0 is no rise and no fall. Fewer than LEAST worlds tell nothing, nor do worlds in none of which the
    arms differ, as where both are at a measure's end.
    """
    low, high = difference.low, difference.high
    if worlds < LEAST or (low == high == 0 and claim.way != "stays"):
        return "open"
    if claim.way == "stays":
        inside = -claim.within <= low and high <= claim.within
        return "holds" if inside else "fails" if low > claim.within or high < -claim.within else "open"
    low, high = (low, high) if claim.way == "rises" else (-high, -low)
    return "holds" if low > 0 else "fails" if high <= 0 else "open"


def _verdict(name: str, claim: Claim, found: Found) -> ClaimResult:
    if claim.needs:
        return ClaimResult(name, claim, "open")
    before, after = (_values(found, arm, claim.measure) for arm in claim.arms)
    common = [key for key in before if key in after]
    if not common:
        return ClaimResult(name, claim, "open")
    by_world: dict[int, list[float]] = {}
    for world, seed in common:
        by_world.setdefault(world, []).append(after[world, seed] - before[world, seed])
    difference = clustered(list(by_world.values()), np.random.default_rng(SEED))
    here, there = (float(np.mean([each[key] for key in common])) for each in (before, after))
    seeds = len({seed for _, seed in common})
    settled = answer(claim, difference, len(by_world))
    return ClaimResult(name, claim, settled, here, there, difference, len(by_world), seeds)


def _values(found: Found, arm: Arm, measure: str) -> dict[tuple[int, int], float]:
    return {
        (item.world, item.seed): figures[measure]
        for item, figures in found.items()
        if item.arm == arm and measure in figures
    }


HEADINGS = ("claim", "paper", "says", "measure", "from", "to", "difference", "verdict")


def rows(listed: Iterable[ClaimResult]) -> list[tuple[str, ...]]:
    """Cells under HEADINGS."""
    return [_row(each) for each in listed]


def _row(verdict: ClaimResult) -> tuple[str, ...]:
    claim, moved = verdict.claim, verdict.difference
    first = (verdict.name, claim.where, claim.says)
    if claim.needs:
        return (*first, f"needs {claim.needs}", "", "", "", verdict.answer)
    metric = METRICS[claim.measure]
    sides = ("", "")
    if verdict.before is not None and verdict.after is not None:
        sides = (metric.text(verdict.before), metric.text(verdict.after))
    before, after = (
        f"{arm.label}: {value}" if value else arm.label for arm, value in zip(claim.arms, sides, strict=True)
    )
    return (
        *first,
        f"{metric.heading} {_way(claim)}",
        before,
        after,
        _difference(claim, moved, verdict),
        verdict.answer,
    )


def _way(claim: Claim) -> str:
    return f"stays within {claim.within:g}" if claim.way == "stays" else claim.way


def _difference(claim: Claim, moved: Figure | None, verdict: ClaimResult) -> str:
    if moved is None:
        return "not measured"
    metric = METRICS[claim.measure]
    value, low, high = (metric.signed(each) for each in (moved.value, moved.low, moved.high))
    seeds = f" x {verdict.seeds} seeds" if verdict.seeds > 1 else ""
    return f"{value} ({low} to {high}, n {verdict.worlds}{seeds})"
