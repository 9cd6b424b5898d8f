"""A claim of a paper as a contrast of two arms, ways to edit the same worlds."""

from dataclasses import dataclass
from typing import Any, Literal

OUTSIDE = "outside"
PAINTED = "text2live"
"""What paint by words is called, which no method of edits is."""
Shown = Literal["words", "picture", "source", "paint"]
Way = Literal["rises", "falls", "stays"]


@dataclass(frozen=True)
class Arm:
    """One side of a contrast: how a world is edited, or that it is not.

    content: where the edit has its content from; source is the unedited clip, paint its canonical image that is painted
    by words. case: of CHANGES in cases/worlds.py.
    masked: whether all but the subject's true outline is edited, the rest being the source's own pixels.
    model: the run's if empty.
    options: of a request, by name, in the order of names.
    """

    content: Shown = "words"
    case: str = "mixed"
    masked: bool = False
    model: str = ""
    options: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(
        cls,
        method: str,
        content: Shown = "words",
        *,
        case: str = "mixed",
        masked: bool = False,
        model: str = "",
        **options: object,
    ) -> "Arm":
        """By a method, with other options of a request."""
        return cls(content, case, masked, model, (("method", method), *sorted(options.items())))

    @property
    def label(self) -> str:
        """What results and tables call it."""
        options = dict(self.options)
        parts = [str(options.pop("method", PAINTED if self.content == "paint" else "unedited"))]
        parts += [f"{name} {value}" for name, value in options.items()]
        parts += [self.content] * (self.content == "picture") + ["mask"] * self.masked
        parts += [f"{self.case} alone"] * (self.case != "mixed") + [self.model] * bool(self.model)
        return ", ".join(parts)


SOURCE = Arm("source")


@dataclass(frozen=True)
class Claim:
    """One claim of a paper. where: the paper and its section. says: the claim, in our words.

    before, after: the arms of the contrast. measure: of METRICS. way: how it goes from `before` to `after`; stays:
    by no more than `within`. needs: what is missing to measure a claim that stays open; such a claim has no contrast.
    """

    where: str
    says: str
    measure: str = ""
    way: Way = "rises"
    before: Arm = SOURCE
    after: Arm = SOURCE
    within: float = 0.0
    needs: str = ""

    def __post_init__(self) -> None:
        assert bool(self.needs) != (self.before != self.after), "a claim has a contrast, or says what it needs"
        assert self.before.case == self.after.case or self.needs, "both arms edit the same worlds"

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Those that have to be tried."""
        return () if self.needs else (self.before, self.after)
