"""`recast edit`: a clip in, the edited clip out."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from recast.cli.flags import FLAGS, Input, Json, Output, Overwrite, Quiet, Settings, flagged, request_from, usual_target
from recast.cli.progress import peak_gib, shown
from recast.cli.table import visible
from recast.editing.request import Request

if TYPE_CHECKING:
    from recast.editing.edit import WrittenEdit
    from recast.editing.loaded import Model
    from recast.editing.short_memory import Attempt


@flagged(*FLAGS)
def edit(
    source: Input,
    output: Output = None,
    *,
    settings: Settings = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    **options: object,
) -> None:
    """Re-make a clip's content from words or a picture, and keep its structure."""
    target = output or usual_target(source)
    run(request_from(source, target, options, settings, overwrite=overwrite), as_json=as_json, quiet=quiet)


def fitted(request: Request, model: "Model") -> "Attempt":
    """The edit as asked, or with as much less at once as its `vram` calls for, which is said before it starts."""
    from recast.evaluation.room import within

    attempt = within(request, model)
    for note in attempt.notes:
        print("note:", visible(note), file=sys.stderr)
    return attempt


def run(request: Request, *, as_json: bool, quiet: bool) -> None:
    """Carries a request out, shows how it goes, and says at the end where the result is."""
    generates = check(request)
    began = time.monotonic()
    with shown(quiet=quiet) as watch:
        from recast.editing.edit import edit as edited
        from recast.editing.generate import generated_to_file
        from recast.editing.loaded import Model

        watch("load", 0, 1)
        model = Model.asked(request)
        watch("load", 1, 1)
        if generates:
            result = generated_to_file(request, model, watch)
        else:
            result = edited(request, model, watch, first=fitted(request, model))
    tell_result(request.target, result, time.monotonic() - began, as_json=as_json, quiet=quiet)


def tell_result(target: Path | None, result: "WrittenEdit", took: float, *, as_json: bool, quiet: bool) -> None:
    """Says where a result is, and what of the source it could not keep. took: seconds."""
    for note in (*result.record.notes, *result.notes):
        print("note:", visible(note), file=sys.stderr)
    if as_json:
        facts = {"output": str(target), "seconds": round(took, 2), "peak_gib": round(peak_gib(), 2)}
        print(json.dumps(facts | {"notes": [*result.record.notes, *result.notes], "record": asdict(result.record)}))
    elif not quiet:
        print(visible(f"{target}: {result.num_frames} frames in {took:.1f} s"), file=sys.stderr)


def check(request: Request) -> bool:
    """Finds what is wrong before a model is read; whether the clip is made without a source."""
    from recast.editing.checks import check_inputs, check_target, source_of, treated
    from recast.editing.generate import check_sourceless
    from recast.methods import GENERATORS
    from recast.video.read import opened

    generates = request.method in GENERATORS and request.source is None
    if generates:
        check_sourceless(request)
        check_target(request)
    else:
        source = treated(opened(source_of(request), request.on_damage), request)
        check_inputs(request)
        check_target(request, source)
    return generates
