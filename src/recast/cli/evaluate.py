"""`recast evaluate`: measures edits of a model, and its components."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from recast.cli.evaluate_pairs import PAIR_FLAGS, asked_pairs, by_pairs
from recast.cli.evaluate_suite import SUITE_FLAGS, asked_suite, by_suite
from recast.cli.flags import Json, Quiet, Settings, flagged, listed, named
from recast.cli.progress import shown
from recast.errors import RequestError, known

if TYPE_CHECKING:
    from recast.evaluation.items import EvalItem, Variant
    from recast.evaluation.report import Report
    from recast.evaluation.suite import Suite

MOST_JOBS = 8
ALL = "all"
Number = TypeVar("Number", int, float)


Worlds = Annotated[bool, typer.Option("--worlds", help="Evaluate edits of rendered worlds with unseen seeds.")]
First = Annotated[
    int,
    typer.Option(metavar="N", min=0, help="Number of the first world: choose settings on some worlds, publish others."),
]
Temporal = Annotated[
    bool, typer.Option("--temporal", help="Also sweep temporal guidance from 0 to 2, on half of the worlds.")
]
TemporalSteps = Annotated[
    str | None, typer.Option(metavar="A,B,C", help="Steps at which --temporal sweeps (default: the model's own).")
]
Methods = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,C",
        help="Methods to compare with the first one on the same worlds, or all.",
    ),
]
Cases = Annotated[
    str, typer.Option(metavar="A,B,C", help="Edits to ask for: mixed (place, look and colour), place, colour.")
]
RealClips = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Real clips in clips/, frames with masks in frames/NAME/.")
]
Details = Annotated[str, typer.Option(metavar="A,B,C|none", help="Levels of t_s to edit at; none: no edits.")]
TrueDepth = Annotated[bool, typer.Option("--true-depth", help="Condition on the true depth, not the estimate.")]
Results = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Stores outcomes; the same command resumes from it.")
]


@flagged(*PAIR_FLAGS, *SUITE_FLAGS, among=PAIR_FLAGS | SUITE_FLAGS)
def evaluate(  # noqa: PLR0913 -- one parameter for each flag
    count: Annotated[int, typer.Argument(metavar="[N]", min=1, help="How many worlds; 100 or more for shares.")] = 100,
    *,
    worlds: Worlds = False,
    first: First = 0,
    temporal: Temporal = False,
    temporal_steps: TemporalSteps = None,
    methods: Methods = None,
    cases: Cases = "mixed,place,colour",
    footage: RealClips = None,
    model: Annotated[str, typer.Option("-m", "--model", metavar="NAME|FOLDER", help="What to evaluate.")] = "pocket",
    details: Details = "0,2,4,6",
    settings: Settings = None,
    true_depth: TrueDepth = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="What to compute on.")] = "auto",
    jobs: Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes (default: one a core).")] = None,
    results: Results = None,
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")] = False,
    quiet: Quiet = False,
    **options: object,
) -> None:
    """Measure what a model gets right, with 95 % intervals, or an edit of any tool beside its source."""
    others, shape = bool(worlds or temporal or footage), {"as_json": as_json, "markdown": markdown}
    if _of_files(options, device, jobs, others=others, quiet=quiet, **shape):
        return None
    base, tried = _tried(details, methods, model, temporal_steps, cases, temporal=temporal)

    from recast.engine.device import chosen_device
    from recast.evaluation.items import EvalConfig
    from recast.evaluation.suite import Suite

    where, asked = chosen_device(device).type, count if worlds or temporal else None
    setting = EvalConfig(model, where, tried, tuple((named(settings) | base).items()), true_depth=true_depth)
    suite = Suite(setting, _tasks(asked, first, footage, tried), jobs or workers(where), results)
    command = _command(suite, count=asked, first=first, footage=footage)
    return _tell(_measured(suite, command, quiet=quiet), **shape)


def _of_files(
    options: dict[str, object],
    device: str,
    jobs: int | None,
    *,
    others: bool,
    as_json: bool,
    markdown: bool,
    quiet: bool,
) -> bool:
    """Measures a suite, or edits in files, where the flags ask for one; whether they did. Raises for nothing at all."""
    if suite := asked_suite(options, others=others):
        by_suite(suite, device, jobs or workers(device), as_json=as_json, markdown=markdown, quiet=quiet)
    elif pairs := asked_pairs(options, others=others):
        by_pairs(pairs, device, as_json=as_json, markdown=markdown, quiet=quiet)
    elif not others:
        raise RequestError(
            "nothing says what to measure; write --worlds, --temporal, --footage DIR, --suite FILE or --source CLIP"
        )
    else:
        return False
    return True


def _tried(
    details: str, methods: str | None, model: str, temporal_steps: str | None, cases: str, *, temporal: bool
) -> tuple[dict[str, object], "tuple[Variant, ...]"]:
    """The settings that all edits have, and the trials of each world."""
    levels = _numbers("details", details, float, (0, 7)) if details != "none" else []
    steps = _numbers("temporal-steps", temporal_steps, int, (1, 1000)) if temporal_steps else []
    if steps and not temporal:
        raise RequestError("--temporal-steps says where --temporal sweeps; write --temporal too")
    base, others = _methods(methods, model)

    from recast.evaluation.cases.worlds import CHANGES
    from recast.evaluation.suite import edits

    kinds = listed(cases) or ("",)
    for kind in kinds:
        known("kind of case", kind, CHANGES)
    return base, edits(levels, temporal=temporal, steps=steps, methods=others, cases=kinds)


def _tasks(count: int | None, first: int, footage: Path | None, tried: "tuple[Variant, ...]") -> "tuple[EvalItem, ...]":
    from recast.evaluation.items import CASE_KINDS
    from recast.evaluation.suite import footage_tasks, world_tasks

    kinds = ["worlds", *(CASE_KINDS[case] for case in dict.fromkeys(trial.case for trial in tried) or ("mixed",))]
    return (world_tasks(count, first, kinds) if count else ()) + (footage_tasks(footage) if footage else ())


def _measured(suite: "Suite", command: str, *, quiet: bool) -> "Report":
    from recast.evaluation.report import Report
    from recast.evaluation.suite import evaluated

    with shown(quiet=quiet) as watch:
        outcomes = evaluated(suite, watch)
    return Report.made(outcomes, command, suite.identity, suite.head)


def workers(device: str) -> int:
    """Processes to measure with on that device: one a core, and one for an accelerator."""
    return 1 if device != "cpu" else min(MOST_JOBS, os.cpu_count() or 1)


def _methods(text: str | None, model: str) -> tuple[dict[str, object], list[str]]:
    """The first method as a setting of all edits, and those that are compared with it."""
    first, *others = _able(model) if text == ALL else listed(text or "") or [""]
    return {"method": first} if first else {}, [name for name in dict.fromkeys(others) if name != first]


def _able(model: str) -> list[str]:
    """Every method that a model has what it needs for, and cases have, which say words or pictures; its own first."""
    from recast.editing.loaded import Model
    from recast.methods import METHODS
    from recast.methods.needs import lacking

    opened = Model.loaded(model)
    own = opened.folder.metadata.method
    cases = ((name, method) for name, method in METHODS.items() if not method.pictures_apart)
    able = [name for name, method in cases if not lacking(method.needs, opened.backbone)]
    return sorted(able, key=lambda name: name != own)


def _numbers(flag: str, text: str, number: Callable[[str], Number], within: tuple[float, float]) -> list[Number]:
    low, high = within
    try:
        numbers = [number(each) for each in listed(text)]
    except ValueError:
        numbers = []
    if not numbers or not all(low <= each <= high for each in numbers):
        raise RequestError(f"--{flag} is {text!r}; it should be numbers of {low}..{high} with commas between them")
    return numbers


def _command(suite: "Suite", *, count: int | None, first: int, footage: Path | None) -> str:
    """What to type to measure the same, without where results went."""
    from recast.evaluation.items import CASE_KINDS

    setting = suite.setting
    details = dict.fromkeys(f"{trial.detail:g}" for trial in setting.edits)
    steps = dict.fromkeys(str(trial.steps) for trial in setting.edits if trial.steps)
    methods = dict.fromkeys(trial.method for trial in setting.edits if trial.method)
    cases = dict.fromkeys(trial.case for trial in setting.edits)
    flags = {
        f"--worlds {count} --details {','.join(details) or 'none'}": count is not None,
        f"--cases {','.join(cases)}": count is not None and bool(cases) and len(cases) < len(CASE_KINDS),
        f"--first {first}": count is not None and first > 0,
        "--temporal": any(trial.is_swept for trial in setting.edits),
        f"--temporal-steps {','.join(steps)}": bool(steps),
        f"--methods {','.join([setting.method, *methods])}": bool(methods),
        f"--footage {footage}": footage is not None,
        f"--model {setting.model}": setting.model != "pocket",
        **{f"--set {name}={value}": name != "method" or not methods for name, value in setting.settings},
        "--true-depth": setting.true_depth,
    }
    return " ".join(["recast evaluate", *(flag for flag, needed in flags.items() if needed)])


def _tell(report: "Report", *, as_json: bool, markdown: bool) -> None:
    if as_json:
        print(json.dumps(report.to_json()))
    elif markdown:
        print(report.to_markdown())
    else:
        from rich.console import Console

        Console().print(report.title)
        for table in report.to_tables():
            Console().print(table)
