"""`recast models ls`: the models that come with recast or can be pulled, and the adapters in a folder."""

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.flags import Json
from recast.cli.table import tell, visible
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.tuning.adapter import AdapterInfo


def list_models(
    folder: Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="List the adapters in this folder.")] = None,
    *,
    remove: Annotated[
        str | None, typer.Option("--remove", metavar="NAME", help="Delete this adapter of FOLDER.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the models that come with recast or can be pulled, or the adapters in a folder."""
    if folder is None:
        if remove is not None:
            raise RequestError("models that come with recast are not removed; name the folder that the adapter is in")
        listed = _own_models()
    elif remove is not None:
        _remove(folder, remove)
        return
    else:
        listed = _adapters(folder)
    print(json.dumps(listed)) if as_json else tell(listed)


def adapter_facts(path: Path) -> dict[str, object]:
    """What an adapter is, for a list or a page; what is wrong with it where it is damaged. Reads no weights."""
    from recast.errors import WeightsError
    from recast.tuning.adapter import read_info

    try:
        info = read_info(path)
    except WeightsError as error:
        return {"damaged": str(error)}
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return _facts(info) | {"weights changed": len(info.changes), "size": f"{size / 1e6:.2f} MB"}


def _facts(info: "AdapterInfo") -> dict[str, object]:
    learned = {"caption": info.caption}
    if info.subject is not None:
        learned = {"token": info.subject["token"], "class": info.subject["class_name"]}
    return {
        "of": f"{info.base['name']} ({info.base['digest'][:12]})",
        "method": info.method,
        **learned,
        "steps": info.steps,
        "weight": "any" if info.scales else "0 or 1",
    }


def _own_models() -> dict[str, object]:
    from recast.errors import WeightsError
    from recast.model.folder import MODELS, ModelFolder
    from recast.model.pulled import folder_of, is_pulled
    from recast.model.specs import SPECS

    listed: dict[str, object] = {}
    for name in MODELS:
        try:
            folder = ModelFolder.found(name)
        except WeightsError as error:
            listed[name] = f"not here: {error}"
            continue
        size = sum(file.stat().st_size for file in folder.path.rglob("*") if file.is_file())
        listed[name] = f"{size / 1e6:.1f} MB, short side {folder.metadata.short_side} px, {folder.path}"
    for name, spec in SPECS.items():
        where = str(folder_of(name)) if is_pulled(name) else f"not here; about {spec.gigabytes:g} GB to pull"
        content = f"by {' and '.join(sorted(spec.content, reverse=True))}; " if spec.edits else ""
        listed[name] = f"{spec.about}; {content}{' and '.join(spec.licences)}; {where}"
    return listed


def _adapters(folder: Path) -> dict[str, object]:
    from recast.tuning.adapter import adapters_in

    found = {path.name: adapter_facts(path) for path in adapters_in(folder)}
    if not found:
        raise RequestError(f"there is no adapter in {folder}; `recast tune` and `recast customize` write them")
    return dict(found)


def _remove(folder: Path, name: str) -> None:
    from recast.errors import known
    from recast.tuning.adapter import adapters_in

    held = {path.name: path for path in adapters_in(folder) if path != folder}
    path = held[known("adapter", name, held)]
    shutil.rmtree(path)
    print(visible(f"{path}: removed"), file=sys.stderr)
