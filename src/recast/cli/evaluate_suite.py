"""`recast evaluate --suite FILE -o DIR`: edits of a list of clips and prompts, as a table, Parquet and a page."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from recast.cli.flags import Flag
from recast.cli.progress import shown
from recast.cli.table import table, visible
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.evaluation.suites.edits import SuiteRun
    from recast.evaluation.suites.tables import Rows

_PANEL = "A suite of edits"
SUITE_FLAGS: dict[str, Flag] = {
    "suite": Flag(("--suite",), "FILE", _PANEL, about="Clips, prompts, methods, models and seeds, as a TOML file."),
    "output": Flag(("-o", "--output"), "DIR", _PANEL, about="Takes edits, results and report.html; resumes there."),
}


def asked_suite(options: dict[str, object], *, others: bool) -> Mapping[str, Path] | None:
    """Takes the flags of SUITE_FLAGS out of the options; None where no suite is asked for.

    Raises RequestError for one flag without the other, and beside other things to measure (`others`).
    """
    given = {name: options.pop(name, None) for name in SUITE_FLAGS}
    found = {name: Path(str(value)) for name, value in given.items() if value}
    if not found:
        return None
    if others or any(value not in (None, []) for value in options.values()):
        raise RequestError("--suite measures what its file says; ask for worlds, footage or pairs by another command")
    missing = [name for name in SUITE_FLAGS if name not in found]
    if missing:
        raise RequestError(f"a suite needs --suite FILE and -o DIR; give --{missing[0]} too")
    return found


def by_suite(paths: Mapping[str, Path], device: str, jobs: int, *, as_json: bool, markdown: bool, quiet: bool) -> None:
    """Makes and measures the edits that are missing, writes table and page, and prints the means."""
    from recast.engine.device import chosen_device
    from recast.evaluation.suites.edits import SuiteRun
    from recast.evaluation.suites.page import PAGE, page
    from recast.evaluation.suites.suite_file import SuiteFile
    from recast.evaluation.suites.tables import TABLE, write_table
    from recast.files import run_lock, whole_file

    folder = paths["output"]
    run = SuiteRun(SuiteFile.opened(paths["suite"]), folder, chosen_device(device).type, jobs)
    folder.mkdir(parents=True, exist_ok=True)
    with run_lock(folder), shown(quiet=quiet) as watch:
        rows = run.made(watch)
        write_table(rows, folder / TABLE)
        with whole_file(folder / PAGE) as part:
            part.write_text(page(paths["suite"].stem, _head(run, rows), rows), "utf-8")
    _tell(rows, as_json=as_json, markdown=markdown)
    if not quiet:
        print(visible(f"{folder / PAGE}, {folder / TABLE}: {len(rows)} edits"), file=sys.stderr)


def _head(run: "SuiteRun", rows: "Rows") -> dict[str, str]:
    """What a reader must know of every number."""
    from recast import __version__

    named_by = {name: who for row in rows.values() for name, who in row.get("by", {}).items()}
    refused = sum("refusal" in row for row in rows.values())
    clips = {item.edit.name for item in rows}
    return {
        "edits": f"{len(rows) - refused}, of {len(clips)} clips" + (f", {refused} refused" if refused else ""),
        "ways to edit": ", ".join(arm.label for arm in run.file.arms),
        "seeds": ", ".join(map(str, run.file.seeds)),
        "settings of all": ", ".join(f"{k} {v}" for k, v in run.file.settings.items()) or "as each model's folder says",
        "models": ", ".join(f"{name} ({digest:.12})" for name, digest in run.identity["models"].items()),
        "measured by": "; ".join(dict.fromkeys(named_by.values())),
        "recast": __version__,
    }


def _tell(rows: "Rows", *, as_json: bool, markdown: bool) -> None:
    from dataclasses import asdict

    from recast.evaluation import METRICS
    from recast.evaluation.suites.tables import means, measures
    from recast.evaluation.tables import cell

    measured, names = means(rows), measures(rows)
    if as_json:
        figures = {label: {name: asdict(each) for name, each in held.items()} for label, held in measured.items()}
        refused = {item.name: row["refusal"] for item, row in rows.items() if "refusal" in row}
        print(json.dumps({"edits": len(rows), "means": figures, "refused": refused}))
        return
    head = ("edit by", *(METRICS[name].heading for name in names))
    lines: list[tuple[str, ...]] = [
        (label, *(cell(name, held.get(name)) for name in names)) for label, held in measured.items()
    ]
    if markdown:
        for row in (head, ("---",) * len(head), *lines):
            print(visible("| " + " | ".join(row) + " |"))
    else:
        table(head, lines)
