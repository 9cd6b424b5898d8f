"""All that was asked for in one yes or no, so that a clip that is good at one thing alone cannot win."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

OUTLINE_KEPT = 0.75
"""The least outline IoU, over that of the world's own render.

The judge's outline of a perfect edit is off by its own error, so the bar hangs on what it sees there. It is no bar on
its own: the judge, told a point, may guess an outline in flat grey that passes it, and the content tells then.
"""
STEADY_KEPT = 0.97
"""The least frame consistency, over the smaller of the source's and the own render's.

A perfect edit is as steady as its own render, which in some looks is less steady than the source. Less than 3 % below
is not seen as flicker; frames that are made one by one lie further below.
"""


@dataclass(frozen=True)
class Bars:
    """The least outline IoU and frame consistency that count as kept in one case."""

    outline: float
    frames: float

    @classmethod
    def of(cls, source: Mapping[str, float], truth: Mapping[str, float]) -> "Bars":
        """The bars of a case, from the measures of its source and of the world's own render."""
        return cls(OUTLINE_KEPT * truth["outline"], STEADY_KEPT * min(source["frames"], truth["frames"]))


def joint(figures: Mapping[str, float], told: Iterable[str], bars: Bars) -> float:
    """1 where all told attributes are right, the outline is kept and the clip is steady, else 0."""
    right = all(figures[name] == 1 for name in told)
    return float(right and figures["outline"] >= bars.outline and figures["frames"] >= bars.frames)
