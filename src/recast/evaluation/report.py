"""The report of an evaluation: tables for the terminal, Markdown, JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from recast.evaluation import METRICS
from recast.evaluation.figures import Figures, gathered
from recast.evaluation.goals import judged
from recast.evaluation.items import Outcome, Variant
from recast.evaluation.tables import Grid, grids, pairs

NOTE = (
    "In brackets: 95 % intervals, and the number n of worlds or clips. A goal is met where the whole interval reaches "
    "it, missed where none of it does, else open. Sources are renders of one subject by day. The reference render is "
    "the same world, rendered with the attributes that the edit asks for; its figures are the most that an edit can "
    "reach, and those of the unedited source, of flat grey and of noise are floors. The judge is a classifier and "
    "segmenter of worlds that is no part of the model. Not counted, because a perfect edit does not show it: "
    "environment and colour in a pencil sketch; black, brown and gray in neon. Joint score: the share of edits with "
    "all content right, outline IoU at least 0.75 of the reference render's, and frame consistency at least 0.97 of "
    "the reference render's or the source's, whichever is less; edits that change nothing are not counted. Prompt "
    "consistency is the cosine of the prompt's and the frames' embeddings in the model's own CLIP pair. Sharpness is "
    "the mean gradient of luma. Warp error is measured along the source's true flow, where no pixel is covered or "
    "uncovered; ratios are of means. Surface looks are photograph, clay and cartoon, whose marks move with surfaces; "
    "paper and hatching lie still, so that the reference render of other looks has warp error too. Depth AUC is the "
    "probability that a pixel of the masked subject is estimated nearer than a pixel of a band around it. The band is "
    "half as wide as a square of the subject's area and ends at the subject's lowest pixel, because the ground before "
    "its feet is rightly nearer; it is the mean over sequences of the mean over up to eight frames. Seconds are those "
    "of the machine that measured, and vary."
)


@dataclass(frozen=True)
class Report:
    """All figures, and the command that measured them. head: what holds for all of them, such as the model, by name."""

    command: str
    identity: dict[str, Any]
    head: Mapping[str, str]
    measured: Figures

    @classmethod
    def made(
        cls, outcomes: Sequence[Outcome], command: str, identity: dict[str, Any], head: Mapping[str, str]
    ) -> "Report":
        """The report of these outcomes; the intervals are the same whenever it is made."""
        return cls(command, identity, head, gathered(outcomes))

    @property
    def title(self) -> str:
        """The head as a line."""
        return "; ".join(f"{name} {value}" for name, value in self.head.items())

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The tables that have anything in them."""
        return grids(self.measured, self.head.get("method", "first method").partition(",")[0])

    def to_json(self) -> dict[str, Any]:
        """Everything, in JSON's types."""
        return {
            "command": self.command,
            "head": dict(self.head),
            **self.identity,
            "metrics": {name: asdict(metric) for name, metric in METRICS.items()},
            "goals": [asdict(each) for each in judged(self.measured)],
            "measured": [self._trial(trial) for trial in self.measured.plain],
            "compared": [self._pair(trial, first) for trial, first in pairs(self.measured)],
        }

    def to_markdown(self) -> str:
        """The head, the tables and the command that made them."""
        tables = [markdown(grid) for grid in self.grids]
        head = [f"Measured: {self.title}."] if self.head else []
        return "\n\n".join([*head, *tables, f"Made by `{self.command}`. {NOTE}"])

    def to_tables(self) -> list[Table]:
        """The tables for a terminal."""
        return [_table(grid) for grid in self.grids]

    def _trial(self, trial: Variant) -> dict[str, Any]:
        measured = self.measured
        relative, seconds = measured.relative.get(trial, {}), measured.seconds.get(trial)
        return {
            **asdict(trial),
            "figures": {name: asdict(figure) for name, figure in measured.plain[trial].items()},
            "relative": {name: asdict(figure) for name, figure in relative.items()},
            "seconds": asdict(seconds) if seconds else None,
        }

    def _pair(self, trial: Variant, first: Variant) -> dict[str, Any]:
        apart = self.measured.differences(trial, first)
        return {**asdict(trial), "differences": {name: asdict(figure) for name, figure in apart.items()}}


def markdown(grid: Grid) -> str:
    """A table with its title above."""
    rows = [grid.headings, ("---",) * len(grid.headings), *grid.rows]
    return "\n".join([f"{grid.title}\n", *("| " + " | ".join(row) + " |" for row in rows)])


def _table(grid: Grid) -> Table:
    table = Table(title=grid.title, title_justify="left")
    for heading in grid.headings:
        table.add_column(heading)
    for row in grid.rows:
        table.add_row(*row)
    return table
