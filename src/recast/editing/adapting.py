"""What tuning and customizing from Python share: their settings, the adapter's folder, and errors of memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from recast.editing.progress import is_out_of_memory
from recast.editing.request import Request
from recast.editing.values import refuse
from recast.errors import OutOfMemoryError, RequestError, known
from recast.tuning.adapter import FACTS

Config = TypeVar("Config")


def settings_of(config: type[Any]) -> tuple[str, ...]:
    """The names of a configuration's fields."""
    return tuple(config.__pydantic_fields__)


def asked(
    kind: type[Config], of_source: tuple[str, ...], words: str, settings: Mapping[str, Any]
) -> tuple[Config, Request]:
    """The configuration of a training, and the request whose model, structure and content it learns from.

    of_source: settings that are the request's. Raises RequestError, in one line, for what is wrong with them.
    """
    own = settings_of(kind)
    for name in settings:
        known("setting", name, [*own, *of_source])
    try:
        given = {name: value for name, value in settings.items() if name in own}
        config = TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        refuse(error)
    others = {name: value for name, value in settings.items() if name in of_source}
    return config, Request.asked(words=((words, 1.0),), seed=given.get("seed", 0), **others)


def free_adapter(target: Path, *, overwrite: bool) -> Path:
    """The folder, if an adapter may be written there. Raises RequestError where something else would be lost."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return target
    if not (target.is_dir() and (target / FACTS).is_file()):
        raise RequestError(f"{target} is already there and no adapter; choose another name with -o")
    if not overwrite:
        raise RequestError(f"{target} is already there; replace it with -y, or choose another name with -o")
    return target


@contextmanager
def memory_told(doing: str, remedy: str) -> Iterator[None]:
    """Raises OutOfMemoryError, with what to take, in place of what torch and Python raise for it."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(f"out of memory while {doing}; take {remedy}") from error
