"""What was measured, as tables: on the terminal, in Markdown, as JSON."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from recast.evaluation import METRICS
from recast.evaluation.intervals import Figure, mean, ratio, share
from recast.evaluation.trials import Outcome, Trial

ACCURACY = ("environment", "look", "colour", "outline")
STEADINESS = ("frames", "pixels", "warp")
PARTS = ("psnr", "depth", "nearer", "nearest")
HEADINGS = {
    "environment": "environment",
    "look": "look",
    "colour": "subject's colour",
    "outline": "outline IoU",
    "frames": "frame consistency",
    "pixels": "pixel consistency",
    "warp": "warp error, 1e-3",
    "psnr": "autoencoder PSNR, dB",
    "depth": "depth correlation",
    "nearer": "subject nearer than around it, AUC",
    "nearest": "subject nearer than the rest, AUC",
}
CONTENTS = {"truth": "the world's own render", "source": "the source", "words": "words", "picture": "a picture"}
SEED = 23
"""Of the bootstrap."""
NOTE = (
    "In brackets, 95 % intervals. Sources are renders of one subject by day. The judge is a network that never saw the "
    "model; what it says of the world's own render of the same edits is the most that can be expected. Not counted, as "
    "a perfect edit would not show it: environment and colour in a pencil sketch; black, brown and gray in neon."
)


@dataclass(frozen=True)
class Grid:
    """One table. rows: their first cells are labels."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Report:
    """All figures, by trial and by the names of METRICS, and the command that measured them.

    relative: frame consistency and warp error as shares of the source's, by trial.
    """

    command: str
    identity: dict[str, Any]
    figures: dict[Trial, dict[str, Figure]]
    relative: dict[Trial, dict[str, Figure]]

    @classmethod
    def made(cls, outcomes: Sequence[Outcome], command: str, identity: dict[str, Any]) -> "Report":
        """From the outcomes of all tasks."""
        values: dict[Trial, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for outcome in outcomes:
            for name, value in outcome.figures.items():
                values[outcome.trial][name].append(value)
        figures = {trial: {name: _figure(name, held) for name, held in each.items()} for trial, each in values.items()}
        source = values.get(Trial("source"), {})
        relative = {
            trial: {name: ratio(each[name], source[name], _rng()) for name in ("frames", "warp")}
            for trial, each in values.items()
            if "warp" in each
        }
        return cls(command, identity, figures, relative)

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The tables that have anything in them."""
        return tuple(grid for grid in (self._accuracy(), self._steadiness(), self._parts()) if grid.rows)

    def to_json(self) -> dict[str, Any]:
        """Everything, in JSON's types."""
        measured = [
            asdict(trial)
            | {"figures": {name: asdict(figure) for name, figure in figures.items()}}
            | {"of_the_source": {name: asdict(figure) for name, figure in self.relative.get(trial, {}).items()}}
            for trial, figures in self.figures.items()
        ]
        metrics = {name: asdict(metric) for name, metric in METRICS.items()}
        return {"command": self.command, **self.identity, "metrics": metrics, "measured": measured}

    def to_markdown(self) -> str:
        """The tables and the command that made them."""
        tables = ["\n".join([f"{grid.title}\n", *_lines(grid)]) for grid in self.grids]
        return "\n\n".join([*tables, f"Made by `{self.command}`. {NOTE}"])

    def to_tables(self) -> list[Table]:
        """The tables for a terminal."""
        return [_table(grid) for grid in self.grids]

    def _accuracy(self) -> Grid:
        truth = Trial("truth")
        asked = [
            trial for trial in self.figures if trial.content in ("words", "picture") and trial.temporal_guidance == 1
        ]
        shown = [truth, *sorted(asked, key=lambda trial: (trial.content != "words", trial.detail))]
        return Grid(
            f"What the judge sees in edits of {self._count(truth)} worlds with unseen seeds",
            ("told by", "t_s", *(HEADINGS[name] for name in ACCURACY)),
            tuple((*_label(trial), *self._cells(trial, ACCURACY)) for trial in shown if trial in self.figures),
        )

    def _steadiness(self) -> Grid:
        swept = min((trial.detail or 0 for trial in self.figures if trial.content == "words"), default=0)
        words = [trial for trial in self.figures if trial.content == "words" and trial.detail == swept]
        shown = [Trial("source"), Trial("truth"), *sorted(words, key=lambda trial: trial.temporal_guidance or 0)]
        return Grid(
            f"How steady edits from words are at t_s = {swept:g}, by temporal guidance",
            (
                "clip",
                "temporal guidance",
                *(HEADINGS[name] for name in STEADINESS),
                "consistency / source's",
                "warp / source's",
            ),
            tuple(
                (
                    CONTENTS[trial.content],
                    "" if trial.temporal_guidance is None else f"{trial.temporal_guidance:g}",
                    *self._cells(trial, STEADINESS),
                    *(_cell("frames", self.relative[trial][name]) for name in ("frames", "warp")),
                )
                for trial in shown
                if trial in self.figures
            ),
        )

    def _parts(self) -> Grid:
        seen = [self.figures.get(Trial(content), {}) for content in ("worlds", "footage")]
        return Grid(
            "What the parts of the model see",
            ("measure", "worlds", "real clips"),
            tuple(
                (HEADINGS[name], *(_cell(name, figures.get(name)) for figures in seen))
                for name in PARTS
                if any(name in figures for figures in seen)
            ),
        )

    def _cells(self, trial: Trial, names: Iterable[str]) -> list[str]:
        return [_cell(name, self.figures[trial].get(name)) for name in names]

    def _count(self, trial: Trial) -> int:
        return max((figure.count for figure in self.figures.get(trial, {}).values()), default=0)


def _rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def _figure(name: str, values: list[float]) -> Figure:
    return share(round(sum(values)), len(values)) if METRICS[name].share else mean(values, _rng())


def _label(trial: Trial) -> tuple[str, str]:
    return CONTENTS[trial.content], "" if trial.detail is None else f"{trial.detail:g}"


def _cell(name: str, figure: Figure | None) -> str:
    if figure is None:
        return ""
    if METRICS[name].share:
        return f"{figure.value:.0%} ({figure.low:.0%} to {figure.high:.0%})".replace("%", " %")
    places = {"psnr": 1, "warp": 1, "frames": 3, "pixels": 3}.get(name, 2)
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
