"""`recast bench`: how fast this machine does what recast does, beside floors and peers."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast.cli.flags import Flag, Json, Quiet, flagged, listed
from recast.cli.table import table, tell, visible
from recast.errors import RequestError, known

if TYPE_CHECKING:
    from recast.bench.case import BenchConfig
    from recast.bench.report import BenchReport

MOST_NUMBER = 4096
CHECKPOINTING = ("none", "selective", "full")
OPTIONS: dict[str, Flag] = {
    "model": Flag(("-m", "--model"), "NAME|FOLDER", about="Of edits and conditioning (default pocket)."),
    "methods": Flag(("--methods",), "A,B", about="Of edits (default the model's own)."),
    "steps": Flag(("--steps",), "N", about="Of edits (default the method's own)."),
    "sides": Flag(("--sizes",), "N,M", about="Short sides of edits in pixels, 16 or more (default the model's own)."),
    "width": Flag(("--width",), "tiny|middle|full", about="Of networks and their peers (default middle)."),
    "frames": Flag(("--frames",), "N", about="Of a clip, 2 or more (default 8)."),
    "presets": Flag(("--presets",), "A,B", about="Generators to train (default pocket-images,pocket-video)."),
    "rows": Flag(("--rows",), "N", about="Of a training step (default the preset's, at most 64)."),
    "checkpointing": Flag(("--checkpointing",), "|".join(CHECKPOINTING), about="Of a training step (default none)."),
}
"""How a run is asked for, by the fields of BenchConfig."""
Groups = Annotated[
    list[str] | None,
    typer.Argument(metavar="[GROUP...]", help="networks, clips, edits, media, training, curation (default all)."),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE.json", help="Also write all of it, to send to others.")
]
Precision = Annotated[str, typer.Option(metavar="auto|bf16|fp32", help="auto takes what is faster on this machine.")]
Rounds = Annotated[int, typer.Option(min=1, max=1000, help="Turns that are timed, after one to warm up.")]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="What networks compute on.")]


@flagged(*OPTIONS, among=OPTIONS)
def bench(
    groups: Groups = None,
    *,
    output: Output = None,
    precision: Precision = "fp32",
    rounds: Rounds = 5,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
    **options: str | None,
) -> None:
    """Time networks beside their peers, edits, files, training and curation, in turns, beside what arithmetic allows.

    Seconds are medians; "busy" is what this process's threads computed, which other work on the machine troubles less;
    "first" also loads. The floor is the larger of FLOPs over the rate of products and of bytes over that of copies,
    both measured in the same turns; the ratio is to the first of its group and size.
    """
    from recast.bench import GROUPS
    from recast.bench.case import BenchConfig
    from recast.engine.device import chosen_device

    chosen = [known("group of benchmarks", each, GROUPS) for each in groups or GROUPS]
    if output is not None and output.exists():
        raise RequestError(f"{output} is already there; choose another name with -o")
    asked = {name: _PARSED.get(name, str)(value) for name, value in options.items() if value is not None}
    where = chosen_device(device)
    asked |= {"device": where, "precision": _precision(precision, where.type)}
    with TemporaryDirectory(prefix="recast-bench-") as folder:
        report = _timed(BenchConfig(folder=Path(folder), **asked), chosen, rounds, quiet=quiet or as_json)
    if output is not None:
        output.write_text(json.dumps(report.to_json(), indent=1) + "\n", "utf-8")
    print(json.dumps(report.to_json())) if as_json else _tell(report)


def _timed(config: "BenchConfig", chosen: list[str], rounds: int, *, quiet: bool) -> "BenchReport":
    from recast.bench import GROUPS
    from recast.bench.report import BenchReport
    from recast.bench.timing import timed

    def watch(what: str) -> None:
        if not quiet:
            print(visible(what), file=sys.stderr)

    cases = [case for name in chosen for case in GROUPS[name](config)]
    return BenchReport(config, timed(cases, rounds, config.device, config.dtype, watch))


def _number(name: str, least: int, text: str) -> int:
    if not text.isdecimal() or not least <= int(text) <= MOST_NUMBER:
        raise RequestError(f"{OPTIONS[name].names[-1]} {text!r} is no whole number of {least} to {MOST_NUMBER}")
    return int(text)


_PARSED: dict[str, Callable[[str], Any]] = {
    "methods": listed,
    "presets": listed,
    "steps": partial(_number, "steps", 1),
    "frames": partial(_number, "frames", 2),
    "rows": partial(_number, "rows", 1),
    "sides": lambda text: tuple(_number("sides", 16, part) for part in listed(text)),
    "checkpointing": lambda text: known("way of checkpointing", text, CHECKPOINTING),
}
"""How each option is read, where it is not taken as it is."""


def _precision(name: str, device: str) -> str:
    from recast.engine.precision import AUTO, PRECISIONS, chosen_precision, matrix_rates

    wished = known("precision", name, (AUTO, *PRECISIONS))
    return chosen_precision(matrix_rates(device)) if wished == AUTO else wished


def _tell(report: "BenchReport") -> None:
    from recast.bench.report import HEADINGS

    tell(report.head)
    table(HEADINGS, report.rows)
