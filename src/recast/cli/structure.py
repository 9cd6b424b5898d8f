"""`recast structure`: the maps that an edit would keep, as a video or pictures."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from recast.cli.flags import Input, Json, Overwrite, Quiet, flagged, request_from
from recast.cli.progress import shown


@flagged(
    "structure", "structure_detail", "model", "start", "end", "duration", "max_frames", "on_damage", "size", "device"
)
def structure(
    source: Input,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="A video, or a name without ending for PNG files.")
    ],
    *,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    **options: object,
) -> None:
    """Export the structure of a clip, softened by --structure-detail; white is near, or an edge; poses are sticks."""
    request = request_from(source, output, options, None, overwrite=overwrite)

    from recast.editing.checks import check_target, source_of, treated

    check_target(request)
    with shown(quiet=quiet) as watch:
        from recast.editing.loaded import Model
        from recast.editing.prepared import prepare
        from recast.editing.resolve import resolve
        from recast.editing.stages import export
        from recast.video.read import opened

        model = Model.loaded(request.model, device=request.device)
        resolved = resolve(request, model, treated(opened(source_of(request), request.on_damage), request))
        seen = prepare(resolved, model, watch)
        export(resolved, seen, model, output, watch, overwrite=overwrite)
    kind = resolved.structures[0].kind
    if as_json:
        print(json.dumps({"output": str(output), "frames": len(seen.clip), "kind": kind}))
    elif not quiet:
        print(f"{output}: {len(seen.clip)} maps of {kind}", file=sys.stderr)
