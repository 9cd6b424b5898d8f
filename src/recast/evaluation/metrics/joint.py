"""The joint score: content, outline and consistency must all be right, so that one alone cannot win."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

OUTLINE_KEPT = 0.75
"""The least outline IoU, over that of the reference render.

The judge outlines even a perfect edit with some error, so the bar is relative to its figure there. The outline alone is
not enough: given a point, the judge may guess an outline in flat grey that passes, but the content is then wrong.
"""
STEADY_KEPT = 0.97
"""The least frame consistency, over the smaller of the source's and the reference render's.

A perfect edit is as steady as its reference render, which in some looks is less steady than the source. A drop of less
than 3 % is not visible as flicker; frames that are generated one by one drop further.
"""


@dataclass(frozen=True)
class Bars:
    """The least outline IoU and frame consistency that count as kept in one case."""

    outline: float
    frames: float

    @classmethod
    def of(cls, source: Mapping[str, float], truth: Mapping[str, float]) -> "Bars":
        """The bars of a case, from the measures of its source and of the reference render."""
        return cls(OUTLINE_KEPT * truth["outline"], STEADY_KEPT * min(source["frames"], truth["frames"]))


def joint(figures: Mapping[str, float], names: Iterable[str], bars: Bars) -> float:
    """1 where all named attributes are right, the outline is kept and the clip is steady, else 0."""
    right = all(figures[name] == 1 for name in names)
    return float(right and figures["outline"] >= bars.outline and figures["frames"] >= bars.frames)
