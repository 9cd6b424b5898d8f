"""`recast compare`: several clips on one contact sheet, or one clip edited by several methods."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.compare_methods import EDITED, Comparison, by_methods
from recast.cli.flags import Json, Overwrite, Quiet, Settings, as_png, flagged
from recast.cli.table import visible
from recast.editing.request import Request
from recast.editing.values import ALSO_SET_AS
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.types import Frames

ROW_PX = 160

MethodNames = Annotated[
    str | None,
    typer.Option("--methods", metavar="A,B,C", help="Edit the clip by these, or by all, on a sheet and in a video."),
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="TEXT", help="What stands above a row, one for each (default its name)."),
]


@flagged(*EDITED)
def compare(  # noqa: PLR0913 -- one parameter for each flag
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Videos, GIFs or folders of PNG files.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="PNG", help="The sheet.")] = Path("compare.png"),
    *,
    methods: MethodNames = None,
    labels: Labels = None,
    columns: Annotated[int, typer.Option("--columns", min=1, max=64, help="Frames of each clip, evenly chosen.")] = 6,
    max_frames: Annotated[int | None, typer.Option("--max-frames", min=1, help="Choose among the first N.")] = None,
    settings: Settings = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    **options: object,
) -> None:
    """Lay clips above each other on a contact sheet, or edit one clip by several methods and lay those out."""
    if methods is not None:
        if len(clips) != 1 or labels:
            raise RequestError(f"--methods edits one clip and labels it itself; there are {len(clips)} clips")
        options |= {"max_frames": max_frames}
        write = partial(Comparison.written, columns=columns, height=ROW_PX)
        target = as_png(output)
        made = by_methods(clips[0], target, methods, options, settings, write=write, overwrite=overwrite, quiet=quiet)
        made.report(as_json=as_json, quiet=quiet)
        return
    on_damage = str(options.pop("on_damage") or "fail")
    given = [name for name, value in options.items() if value not in (None, [])] + ["set"] * bool(settings)
    if given:
        flag = ALSO_SET_AS.get(given[0], given[0]).replace("_", "-")
        raise RequestError(f"--{flag} is of an edit, and clips are compared as they are; say --methods")
    if len(clips) < 2:
        raise RequestError(
            "there is one clip, and nothing to compare it with; say another, or --methods A,B to edit it"
        )
    written = _sheet(clips, as_png(output), labels, columns, max_frames, on_damage=on_damage, overwrite=overwrite)
    if as_json:
        print(json.dumps({"output": str(output), "rows": written}))
    elif not quiet:
        print(visible(f"{output}: {', '.join(written)}"), file=sys.stderr)


def _sheet(
    clips: list[Path],
    output: Path,
    labels: list[str] | None,
    columns: int,
    max_frames: int | None,
    *,
    on_damage: str,
    overwrite: bool,
) -> list[str]:
    """Writes the sheet, and returns what stands above its rows."""
    names = labels or [clip.resolve().name for clip in clips]
    if len(names) != len(clips):
        raise RequestError(f"there are {len(names)} labels for {len(clips)} clips; give one to each")
    request = Request.asked(target=output, overwrite=overwrite)

    from recast.editing.checks import free_target
    from recast.video.sheet import saved, sheet

    free_target(request)
    rows = [list(_small(clip, max_frames, on_damage)) for clip in clips]
    saved(sheet(rows, names, columns=columns, height=ROW_PX), output)
    return names


def _small(path: Path, max_frames: int | None, on_damage: str) -> "Frames":
    # Scaled while it is read, so that a long clip takes little memory.
    from recast.video.read import Window, opened, read

    source = opened(path, on_damage)
    rows, columns = source.size
    size = (ROW_PX, max(1, round(columns * source.sample_aspect * ROW_PX / rows)))
    return read(source, Window(max_frames=max_frames, size=size)).frames
