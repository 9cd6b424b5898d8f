"""`recast preview`: a contact sheet of several seeds, or of one setting at several values."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.edit import fitted
from recast.cli.flags import FLAGS, Input, Json, Overwrite, Quiet, Settings, as_png, flagged, parsed, request_from
from recast.cli.progress import Watch, shown
from recast.cli.table import visible
from recast.editing.request import Request
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.editing.loaded import Model
    from recast.types import Frames

MOST_FRAMES, MOST_COLUMNS = 8, 4
FIXED = {"model", "device", "dtype", "vram", "source", "target"}
"""Settings that all rows of a sheet share."""


@flagged(*FLAGS)
def preview(
    source: Input,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PNG", help="The sheet (default IN-preview.png in this folder)."),
    ] = None,
    *,
    sweep: Annotated[
        str | None, typer.Option("--sweep", metavar="KEY=A,B,C", help="A setting and its values, one row for each.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=16, help="Rows, where nothing is swept.")] = 4,
    settings: Settings = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    **options: object,
) -> None:
    """Try an edit on a few frames: a sheet with the source in its first row, and a row for each seed or value."""
    target = as_png(output or Path(f"{source.stem or source.resolve().name}-preview.png"))
    asked = request_from(source, target, options, settings, overwrite=overwrite)
    asked = asked if asked.max_frames else asked.updated(max_frames=MOST_FRAMES)
    requests = variants(asked, sweep, seeds)

    from recast.editing.checks import check_inputs, free_target
    from recast.video.sheet import saved, sheet

    check_inputs(asked)
    free_target(asked)
    with shown(quiet=quiet) as watch:
        from recast.editing.loaded import Model

        with fitted(asked, Model.asked(asked)).model.placed() as placed:
            rows, notes = made(requests, placed, watch)
        saved(sheet([list(frames) for frames in rows.values()], list(rows), columns=MOST_COLUMNS), target)
    if as_json:
        print(json.dumps({"output": str(target), "rows": list(rows), "notes": notes}))
    elif not quiet:
        print(visible(f"{target}: {', '.join(rows)}"), file=sys.stderr)
        for note in notes:
            print(visible(f"note: {note}"), file=sys.stderr)


def variants(asked: Request, sweep: str | None, seeds: int) -> dict[str, Request]:
    """The requests to compare, by their row's label. Raises RequestError for a sweep of nothing."""
    if sweep is None:
        return {f"seed {seed}": asked.updated(seed=seed) for seed in range(asked.seed, asked.seed + seeds)}
    name, _, listed = sweep.partition("=")
    # Words hold commas; a semicolon then parts the values.
    values = [value.strip() for value in listed.split(";" if ";" in listed else ",") if value.strip()]
    if not values:
        raise RequestError(f"{sweep!r} sweeps nothing; write KEY=A,B,C, such as structure-detail=0,3,6")
    changes = [dict([parsed(f"{name}={value}")]) for value in values]
    fixed = FIXED.intersection(*changes)
    if fixed:
        raise RequestError(f"{min(fixed)} cannot be swept: a sheet is of one source by one model; run preview for each")
    return {f"{name} {value}": asked.updated(**change) for value, change in zip(values, changes, strict=True)}


def made(requests: dict[str, Request], model: "Model", watch: Watch) -> tuple[dict[str, "Frames"], list[str]]:
    """The sheet's rows by label, the source first, and notes; what several requests see the same is looked at once."""
    from recast.editing.checks import source_of, treated
    from recast.editing.prepared import Prepared, prepare
    from recast.editing.resolve import resolve
    from recast.editing.stages import generate
    from recast.video.read import opened

    seen: dict[tuple[object, ...], Prepared] = {}
    rows: dict[str, Frames] = {}
    notes: dict[str, None] = {}
    for label, request in requests.items():
        resolved = resolve(request, model, treated(opened(source_of(request), request.on_damage), request))
        kinds = tuple(named.kind for named in resolved.structures)
        files = tuple(request.structure_from.items())
        sees = (request.source, resolved.stretch, resolved.size, kinds, files)
        if sees not in seen:
            seen[sees] = prepare(resolved, model, watch)
        rows.setdefault("source", seen[sees].clip.frames)
        edited = generate(resolved, seen[sees], model, watch)
        rows[label] = edited.frames
        notes |= dict.fromkeys(edited.record.notes)
    return rows, list(notes)
