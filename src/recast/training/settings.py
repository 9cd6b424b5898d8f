"""`--set NAME=VALUE`: a preset with some of its numbers said differently."""

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from functools import reduce
from typing import Any

from recast.errors import RequestError
from recast.training.preset import Preset

PLACES = (("config",), ("stage",), ("stage", "batches"), ("hardware",))
"""Where a preset's settings stand."""


def changed(preset: Preset, said: Sequence[str]) -> Preset:
    """The preset with the settings said, each as NAME=VALUE. Raises RequestError for an unknown name or a wrong kind.

    Names are those of the recipe, the stage, its batches and the hardware; the first that has the name is meant.
    """
    for one in said:
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
    """What can be set: by name, where it stands in the preset and what it is."""
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
    except ValueError:
        value = text
    if isinstance(before, float) and type(value) is int:
        return float(value)
    if before is not None and type(value) is not type(before):
        raise RequestError(f"{name} is {text!r}; it should be of the kind of {before!r}")
    return value
