"""`recast info` and `recast rerun`: what a file is and how it was made, and making it again."""

import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.flags import Json, Overwrite, Quiet, Settings, named
from recast.cli.lists import adapter_facts
from recast.cli.progress import shown
from recast.cli.table import tell, visible
from recast.errors import MediaError, RequestError

if TYPE_CHECKING:
    from recast.cli.trust import Named
    from recast.editing.carried import CarriedRequest
    from recast.editing.record import Record
    from recast.editing.request import Request
    from recast.video.source import Source

Made = Annotated[Path, typer.Argument(metavar="FILE", help="A video, a folder of pictures, or an adapter.")]


def info(path: Made, *, as_json: Json = False) -> None:
    """Show what a file holds and, where recast made it, how; of an adapter's folder, what was trained."""
    from recast.tuning.adapter import FACTS
    from recast.video.read import opened
    from recast.video.record import embedded

    if (path / FACTS).is_file():
        _tell_adapter(path, as_json=as_json)
        return

    facts, text = _facts(opened(path)), embedded(path)
    if as_json:
        print(json.dumps(facts | {"record": text and json.loads(text)}))
        return
    tell(facts)
    if text is None:
        print("\nno record: recast did not make this file, or its metadata was removed since")
        return
    record = json.loads(text)
    request = record.pop("request", {})
    tell(record, title="made")
    listed = request if isinstance(request, dict) else {"request": request}
    tell({name: value for name, value in listed.items() if value not in (None, [], {})}, title="request")


def _tell_adapter(path: Path, *, as_json: bool) -> None:
    from dataclasses import asdict

    from recast.tuning.adapter import read_info

    info = read_info(path)
    if as_json:
        print(json.dumps(asdict(info)))
        return
    tell(adapter_facts(path), title="adapter")
    tell({name: value for name, value in info.settings.items() if value is not None}, title="settings")


def rerun(
    path: Made,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="OUT", help="The new result.")] = None,
    *,
    settings: Settings = None,
    trust: Annotated[bool, typer.Option("--trust", help="Read files that the record names anywhere else.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a file again from its own record: the same bytes on the same machine, or with other settings.

    It reads what the record names beside the file or in the current folder, and what you give with --set.
    """
    from recast.cli.trust import Named, check_allowed
    from recast.editing.carried import CarriedRequest
    from recast.editing.record import Record
    from recast.video.record import embedded

    text = embedded(path)
    if text is None:
        raise MediaError(f"{path} carries no record: recast did not make it, or its metadata was removed since")
    record, changes = Record.from_json(text), named(settings)
    target = output or path.with_name(f"{path.stem}-again{path.suffix}")
    if (carried := CarriedRequest.of(record)) is not None:
        if changes:
            raise RequestError("what was carried by `recast propagate` or `recast substrate` has no --set; give these")
        check_allowed([Named(name, each) for name, each in carried.files.items()], path, trust=trust)
        carried.check_unchanged(record)
        _carry_again(carried, target, overwrite=overwrite, as_json=as_json, quiet=quiet)
        return
    _edit_again(
        record, changes | {"target": target, "overwrite": overwrite}, (path, trust), as_json=as_json, quiet=quiet
    )


def _edit_again(
    record: "Record", changes: dict[str, object], allowed: tuple[Path, bool], *, as_json: bool, quiet: bool
) -> None:
    """An edit, a clip from words, or an interpolation. allowed: the file that names others, and if it is trusted."""
    from recast.cli.edit import run
    from recast.cli.propagate import tell_written
    from recast.cli.trust import check_allowed, named_by
    from recast.editing.checks import target_of
    from recast.editing.held_keys import interpolate_by
    from recast.editing.interpolate import recorded
    from recast.editing.request import Request

    interpolated = recorded(record)
    request = (Request.from_dict(record.request) if interpolated is None else interpolated[0]).updated(**changes)
    named_files = named_by(request, changes)
    check_allowed(named_files, allowed[0], trust=allowed[1])
    if named_files and not quiet:
        _tell_read(named_files)
    _check_inputs(record, request, named_files)
    if interpolated is None:
        run(request, as_json=as_json, quiet=quiet)
        return
    with shown(quiet=quiet) as watch:
        notes = interpolate_by(request, interpolated[1], modelled=interpolated[2], watch=watch)
    tell_written(target_of(request), notes, as_json=as_json, quiet=quiet)


def _carry_again(carried: "CarriedRequest", target: Path, *, overwrite: bool, as_json: bool, quiet: bool) -> None:
    from recast.cli.propagate import tell_written

    with shown(quiet=quiet) as watch:
        notes = carried.made_again(target, watch, overwrite=overwrite)
    tell_written(target, notes, as_json=as_json, quiet=quiet)


def _tell_read(named_files: "list[Named]") -> None:
    files = ", ".join(f"{each.setting} {each.path}" for each in named_files)
    print("reads what the record names:", visible(files), file=sys.stderr)


def _check_inputs(record: "Record", request: "Request", named_files: "list[Named]") -> None:
    from recast import __version__
    from recast.editing.record import digest
    from recast.editing.storyboard import Storyboard
    from recast.errors import RecastWarning
    from recast.model.folder import ModelFolder

    beside = () if request.storyboard is None else Storyboard.read(request.storyboard).files
    named = [(each.setting, each.path) for each in named_files if each.setting != "model"]
    for setting, path in [*named, *(("storyboard", path) for path in beside)]:
        if record.inputs.get(str(path)) not in (None, digest(path)):
            raise RequestError(f"{path} has changed since; to use it all the same, give it with --set {setting}=FILE")
    if record.recast != __version__:
        warnings.warn(
            f"made with recast {record.recast}, and this is {__version__}; it may differ", RecastWarning, stacklevel=1
        )
    if request.model == record.model.get("name") and digest(ModelFolder.found(request.model).path) != record.model.get(
        "digest"
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
