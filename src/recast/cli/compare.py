"""`recast compare`: several clips on one contact sheet."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.flags import Json, Overwrite, Quiet, as_png
from recast.cli.table import visible
from recast.editing.request import Request
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.types import Frames

ROW_PX = 160


def compare(
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Videos, GIFs or folders of PNG files.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="PNG", help="The sheet.")] = Path("compare.png"),
    *,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="TEXT", help="What stands above a row, one for each (default its name)."),
    ] = None,
    columns: Annotated[int, typer.Option("--columns", min=1, max=64, help="Frames of each clip, evenly chosen.")] = 6,
    max_frames: Annotated[int | None, typer.Option("--max-frames", min=1, help="Choose among the first N.")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lay clips above each other on a contact sheet, one row each."""
    if labels and len(labels) != len(clips):
        raise RequestError(f"there are {len(labels)} labels for {len(clips)} clips; give one to each")
    names = labels or [clip.resolve().name for clip in clips]
    request = Request.asked(target=as_png(output), overwrite=overwrite)

    from recast.editing.checks import free_target
    from recast.video.sheet import saved, sheet

    free_target(request)
    rows = [list(_small(clip, max_frames)) for clip in clips]
    saved(sheet(rows, names, columns=columns, height=ROW_PX), output)
    if as_json:
        print(json.dumps({"output": str(output), "rows": names}))
    elif not quiet:
        print(visible(f"{output}: {', '.join(names)}"), file=sys.stderr)


def _small(path: Path, max_frames: int | None) -> "Frames":
    # Scaled while it is read, so that a long clip takes little memory.
    from recast.video.read import Window, opened, read

    source = opened(path)
    rows, columns = source.size
    size = (ROW_PX, max(1, round(columns * source.sample_aspect * ROW_PX / rows)))
    return read(source, Window(max_frames=max_frames, size=size)).frames
