"""`--set NAME=VALUE`: changes settings of a preset."""

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from functools import reduce
from typing import Any

from recast.errors import RequestError
from recast.training.preset import Preset

PLACES = (("config",), ("stage",), ("stage", "batches"), ("stage", "wanted"), ("hardware",))
"""Parts of a preset that hold settings, as paths of attributes."""


def changed(preset: Preset, assignments: Sequence[str]) -> Preset:
    """The preset with settings changed by NAME=VALUE. Raises RequestError for an unknown name or a wrong type.

    Names are fields of the train config, the stage, its batches, what it distils and the hardware, in that order.
    """
    for one in assignments:
        name, is_set, text = one.partition("=")
        if not is_set:
            raise RequestError(f"--set {one!r} sets nothing; write it as NAME=VALUE, such as steps=1000")
        known = settings(preset)
        if name not in known:
            raise RequestError(f"the preset has no setting {name!r}; it has {', '.join(sorted(known))}")
        path, before = known[name]
        preset = _replaced(preset, (*path, name), _value(name, text, before))
    return preset


def settings(preset: Preset) -> dict[str, tuple[tuple[str, ...], object]]:
    """Settings by name: the path of attributes in the preset, and the value."""
    found: dict[str, tuple[tuple[str, ...], object]] = {}
    for path in PLACES:
        part = reduce(lambda whole, name: getattr(whole, name, None), path, preset)
        for field in fields(part) if is_dataclass(part) else ():
            value = getattr(part, field.name)
            if isinstance(value, bool | int | float | str | None):
                found.setdefault(field.name, (path, value))
    return found


def _replaced(whole: Any, path: Sequence[str], value: object) -> Any:  # noqa: ANN401 -- any part of a preset
    return replace(whole, **{path[0]: _replaced(getattr(whole, path[0]), path[1:], value)}) if path else value


def _value(name: str, text: str, before: object) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if isinstance(before, float) and type(value) is int:
        return float(value)
    if before is not None and type(value) is not type(before):
        raise RequestError(f"{name} is {text!r}; it should be of the kind of {before!r}")
    return value
