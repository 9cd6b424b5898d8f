"""`recast evaluate`: what a model gets right, measured."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.flags import Json, Quiet, Settings, named
from recast.cli.progress import shown
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.evaluation.report import Report
    from recast.evaluation.suite import Suite

MOST_JOBS = 8


def evaluate(  # noqa: PLR0913 -- one parameter for each flag
    count: Annotated[int, typer.Argument(metavar="[N]", min=1, help="How many worlds.")] = 100,
    *,
    worlds: Annotated[bool, typer.Option("--worlds", help="Edits of worlds with unseen seeds, judged.")] = False,
    temporal: Annotated[bool, typer.Option("--temporal", help="The same by omega_t of 0 to 2, on a quarter.")] = False,
    footage: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Real clips in clips/, frames with masks in frames/NAME/.")
    ] = None,
    model: Annotated[str, typer.Option("-m", "--model", metavar="NAME|FOLDER", help="What to evaluate.")] = "pocket",
    details: Annotated[str, typer.Option(metavar="A,B,C|none", help="The t_s of edits; none: no edits.")] = "0,2,4,6",
    settings: Settings = None,
    true_depth: Annotated[bool, typer.Option("--true-depth", help="Tell the true depth, not the seen one.")] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="What to compute on.")] = "auto",
    jobs: Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes (default: one a core).")] = None,
    results: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keeps what is measured; the same command goes on from it.")
    ] = None,
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")] = False,
    quiet: Quiet = False,
) -> None:
    """Measure what a model gets right, with 95 % intervals; more worlds make them narrower."""
    if not (worlds or temporal or footage):
        raise RequestError("nothing says what to measure; write --worlds, --temporal or --footage DIR")
    levels = _levels(details)

    from recast.editing.loaded import chosen_device
    from recast.evaluation.items import EvalConfig
    from recast.evaluation.report import Report
    from recast.evaluation.suite import Suite, edits, evaluated, footage_tasks, world_tasks

    where, asked = chosen_device(device).type, count if worlds or temporal else None
    said = tuple(named(settings).items())
    setting = EvalConfig(model, where, edits(levels, temporal=temporal), said, true_depth=true_depth)
    tasks = (world_tasks(asked) if asked else ()) + (footage_tasks(footage) if footage else ())
    suite = Suite(setting, tasks, jobs or _workers(where), results)
    with shown(quiet=quiet) as watch:
        outcomes = evaluated(suite, watch)
    command = _command(suite, count=asked, temporal=temporal, footage=footage)
    _tell(Report.made(outcomes, command, suite.identity), as_json=as_json, markdown=markdown)


def _workers(device: str) -> int:
    return 1 if device != "cpu" else min(MOST_JOBS, os.cpu_count() or 1)


def _levels(said: str) -> list[float]:
    if said == "none":
        return []
    try:
        levels = [float(each) for each in said.split(",")]
    except ValueError:
        levels = []
    if not levels or not all(0 <= level <= 7 for level in levels):
        raise RequestError(f"details are {said!r}; they should be numbers of 0..7, as in 0,2,4, or none")
    return levels


def _command(suite: "Suite", *, count: int | None, temporal: bool, footage: Path | None) -> str:
    """What to type to measure the same, without where results went."""
    setting = suite.setting
    details = dict.fromkeys(f"{trial.detail:g}" for trial in setting.edits)
    said = {
        f"--worlds {count} --details {','.join(details) or 'none'}": count is not None,
        "--temporal": temporal,
        f"--footage {footage}": footage is not None,
        f"--model {setting.model}": setting.model != "pocket",
        **{f"--set {name}={value}": True for name, value in setting.said},
        "--true-depth": setting.true_depth,
    }
    return " ".join(["recast evaluate", *(flags for flags, needed in said.items() if needed)])


def _tell(report: "Report", *, as_json: bool, markdown: bool) -> None:
    if as_json:
        print(json.dumps(report.to_json()))
    elif markdown:
        print(report.to_markdown())
    else:
        from rich.console import Console

        for table in report.to_tables():
            Console().print(table)
