"""`recast info` and `recast rerun`: what a file is and how it was made, and making it again."""

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.flags import Json, Overwrite, Quiet, Settings, named
from recast.cli.table import tell
from recast.errors import MediaError, RequestError

if TYPE_CHECKING:
    from recast.editing.record import Record
    from recast.editing.request import Request
    from recast.video.source import Source

Made = Annotated[Path, typer.Argument(metavar="FILE", help="A video or a folder of pictures.")]


def info(path: Made, *, as_json: Json = False) -> None:
    """Show what a file holds and, where recast made it, how."""
    from recast.video.read import opened
    from recast.video.record import embedded

    facts, text = _facts(opened(path)), embedded(path)
    if as_json:
        print(json.dumps(facts | {"record": text and json.loads(text)}))
        return
    tell(facts)
    if text is None:
        print("\nno record: recast did not make this file, or its metadata was removed since")
        return
    record = json.loads(text)
    request = record.pop("request")
    tell(record, title="made")
    tell({name: value for name, value in request.items() if value not in (None, [], {})}, title="request")


def rerun(
    path: Made,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="OUT", help="The new result.")] = None,
    *,
    settings: Settings = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a file again from its own record: the same bytes on the same machine, or with other settings."""
    from recast.cli.edit import run
    from recast.editing.record import Record
    from recast.editing.request import Request
    from recast.video.record import embedded

    text = embedded(path)
    if text is None:
        raise MediaError(f"{path} carries no record: recast did not make it, or its metadata was removed since")
    record, changes = Record.from_json(text), named(settings)
    request = Request.from_dict(record.request).updated(**changes)
    _check_inputs(record, request, changes)
    target = output or path.with_name(f"{path.stem}-again{path.suffix}")
    run(request.updated(target=target, overwrite=overwrite), as_json=as_json, quiet=quiet)


def _check_inputs(record: "Record", request: "Request", changes: dict[str, object]) -> None:
    from recast import __version__
    from recast.editing.record import digest, input_files
    from recast.errors import RecastWarning
    from recast.model.folder import ModelFolder

    chosen = {str(value) for value in changes.values()}
    for path in input_files(request):
        if str(path) in chosen:
            continue
        if not path.exists():
            raise RequestError(f"{path} is not here; run this where it was made, or give it with --set source=FILE")
        if record.inputs.get(str(path)) not in (None, digest(path)):
            raise RequestError(f"{path} has changed since; to use it all the same, give it with --set source=FILE")
    if record.recast != __version__:
        warnings.warn(
            f"made with recast {record.recast}, and this is {__version__}; it may differ", RecastWarning, stacklevel=1
        )
    if (
        request.model == record.model["name"]
        and digest(ModelFolder.found(request.model).path) != record.model["digest"]
    ):
        warnings.warn(f"model {request.model} has changed since; it will differ", RecastWarning, stacklevel=1)


def _facts(source: "Source") -> dict[str, object]:
    rows, columns = source.size
    return {
        "file": str(source.path),
        "size": f"{columns}x{rows}",
        "fps": f"{source.fps}" + ("" if source.constant else " on average, and varies"),
        "frames": source.num_frames,
        "seconds": None if source.seconds is None else round(float(source.seconds), 3),
        "video": f"{source.codec}, {source.pixel_format}, in {source.container}",
        "rotation": source.rotation,
        "sound": source.sound_codec or "none",
        "notes": list(source.notes),
    }
