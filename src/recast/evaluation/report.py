"""What was measured, as tables: on the terminal, in Markdown, as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from recast.evaluation import METRICS
from recast.evaluation.figures import DECODED, SOURCE, TRUTH, Figures, gathered
from recast.evaluation.goals import judged
from recast.evaluation.intervals import Figure
from recast.evaluation.items import Outcome, Variant

ACCURACY = ("environment", "look", "colour", "outline")
STEADINESS = ("frames", "pixels", "warp", "surface")
PARTS = ("psnr", "depth", "nearer", "nearest")
HEADINGS = {
    "environment": "environment",
    "look": "look",
    "colour": "subject's colour",
    "outline": "outline IoU",
    "frames": "frame consistency",
    "pixels": "pixel consistency",
    "warp": "warp error, 1e-3",
    "surface": "on surfaces, 1e-3",
    "psnr": "autoencoder PSNR at 128 px, dB",
    "depth": "depth correlation",
    "nearer": "subject nearer than around it, AUC",
    "nearest": "subject nearer than the rest, AUC",
}
RELATIVE = {
    "frames of source": "consistency / source's",
    "surface of source": "on surfaces / source's",
    "warp of truth": "warp / own render's",
}
CONTENTS = {
    "truth": "the world's own render",
    "decoded": "the same through the autoencoder",
    "source": "the source",
    "words": "words",
    "picture": "a picture",
}
NOTE = (
    "In brackets, 95 % intervals. Sources are renders of one subject by day. The judge is a network that never saw the "
    "model; what it says of the world's own render of the same edits is the most that can be expected. Not counted, as "
    "a perfect edit would not show it: environment and colour in a pencil sketch; black, brown and gray in neon. "
    "Warp error is taken along the source's true flow, where no pixel is covered or uncovered; ratios are of means. "
    '"On surfaces" are edits to a photograph, clay or a cartoon, whose marks move with surfaces; paper and hatching '
    "lie still, and not even the world's own render of other looks is as steady as the source. The AUC is the chance "
    "that a pixel of the masked subject is seen nearer than one of a band around it, half as wide as a square of its "
    "area, down to its lowest pixel, since the ground before its feet is nearer by rights: the mean over sequences of "
    "the mean over up to eight frames."
)


@dataclass(frozen=True)
class Grid:
    """One table. rows: their first cells are labels."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Report:
    """All figures, and the command that measured them."""

    command: str
    identity: dict[str, Any]
    measured: Figures

    @classmethod
    def made(cls, outcomes: Sequence[Outcome], command: str, identity: dict[str, Any]) -> "Report":
        """The report of these outcomes; the intervals are the same whenever it is made."""
        return cls(command, identity, gathered(outcomes))

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The tables that have anything in them."""
        grids = (self._goals(), self._accuracy(), self._steadiness(), self._parts())
        return tuple(grid for grid in grids if grid.rows)

    def to_json(self) -> dict[str, Any]:
        """Everything, in JSON's types."""
        measured = [
            asdict(trial)
            | {"figures": {name: asdict(figure) for name, figure in figures.items()}}
            | {"relative": {name: asdict(figure) for name, figure in self.measured.relative.get(trial, {}).items()}}
            for trial, figures in self.measured.plain.items()
        ]
        metrics = {name: asdict(metric) for name, metric in METRICS.items()}
        goals = [asdict(each) for each in judged(self.measured)]
        return {"command": self.command, **self.identity, "metrics": metrics, "goals": goals, "measured": measured}

    def to_markdown(self) -> str:
        """The tables and the command that made them."""
        tables = ["\n".join([f"{grid.title}\n", *_lines(grid)]) for grid in self.grids]
        return "\n\n".join([*tables, f"Made by `{self.command}`. {NOTE}"])

    def to_tables(self) -> list[Table]:
        """The tables for a terminal."""
        return [_table(grid) for grid in self.grids]

    def _goals(self) -> Grid:
        return Grid(
            "Goals",
            ("measure", "goal", "reached", "met", "the world's own render"),
            tuple(
                (
                    each.about,
                    each.said,
                    each.reached or _cell(each.name, each.figure),
                    each.met,
                    _cell(each.name, each.most),
                )
                for each in judged(self.measured)
            ),
        )

    def _accuracy(self) -> Grid:
        asked = [
            trial
            for trial in self.measured.plain
            if trial.content in ("words", "picture") and trial.temporal_guidance == 1
        ]
        shown = [TRUTH, DECODED, *sorted(asked, key=lambda trial: (trial.content != "words", trial.detail))]
        return Grid(
            f"What the judge sees in edits of {self._count(TRUTH)} worlds with unseen seeds",
            ("told by", "t_s", *(HEADINGS[name] for name in ACCURACY)),
            tuple((*_label(trial), *self._cells(trial, ACCURACY)) for trial in shown if trial in self.measured.plain),
        )

    def _steadiness(self) -> Grid:
        plain = self.measured.plain
        swept = min((trial.detail or 0 for trial in plain if trial.content == "words"), default=0)
        words = [trial for trial in plain if trial.content == "words" and trial.detail == swept]
        shown = [SOURCE, TRUTH, DECODED, *sorted(words, key=lambda trial: trial.temporal_guidance or 0)]
        headings = (*(HEADINGS[name] for name in STEADINESS), *RELATIVE.values())
        return Grid(
            f"How steady edits from words are at t_s = {swept:g}, by temporal guidance",
            ("clip", "temporal guidance", "worlds", *headings),
            tuple(
                (
                    CONTENTS[trial.content],
                    "" if trial.temporal_guidance is None else f"{trial.temporal_guidance:g}",
                    str(self._count(trial)),
                    *self._cells(trial, STEADINESS),
                    *(_cell(name, self.measured.relative[trial].get(name)) for name in RELATIVE),
                )
                for trial in shown
                if trial in plain
            ),
        )

    def _parts(self) -> Grid:
        seen = [self.measured.plain.get(Variant(content), {}) for content in ("worlds", "footage")]
        return Grid(
            "What the parts of the model see",
            ("measure", "worlds", "real clips"),
            tuple(
                (HEADINGS[name], *(_cell(name, figures.get(name)) for figures in seen))
                for name in PARTS
                if any(name in figures for figures in seen)
            ),
        )

    def _cells(self, trial: Variant, names: Iterable[str]) -> list[str]:
        return [_cell(name, self.measured.plain[trial].get(name)) for name in names]

    def _count(self, trial: Variant) -> int:
        return max((figure.count for figure in self.measured.plain.get(trial, {}).values()), default=0)


def _label(trial: Variant) -> tuple[str, str]:
    return CONTENTS[trial.content], "" if trial.detail is None else f"{trial.detail:g}"


def _cell(name: str, figure: Figure | None) -> str:
    if figure is None:
        return ""
    if name in METRICS and METRICS[name].share:
        return f"{figure.value:.0%} ({figure.low:.0%} to {figure.high:.0%})".replace("%", " %")
    places = {"psnr": 1, "warp": 1, "surface": 1, "frames": 3, "pixels": 3, "frames of source": 3}.get(name, 2)
    return f"{figure.value:.{places}f} ({figure.low:.{places}f} to {figure.high:.{places}f})"


def _lines(grid: Grid) -> list[str]:
    rows = [grid.headings, ("---",) * len(grid.headings), *grid.rows]
    return ["| " + " | ".join(row) + " |" for row in rows]


def _table(grid: Grid) -> Table:
    table = Table(title=grid.title, title_justify="left")
    for heading in grid.headings:
        table.add_column(heading)
    for row in grid.rows:
        table.add_row(*row)
    return table
