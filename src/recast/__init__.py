"""recast re-makes the content of a clip from words or a picture, and keeps its structure.

The names below are the public ones. They are imported when they are first used, so that `import recast` is quick.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recast.editor import Editor, Result, load
    from recast.errors import RecastError
    from recast.methods import METHODS
    from recast.pipeline import edit
    from recast.record import Record
    from recast.request import Request
    from recast.types import Clip
    from recast.weights import MODELS

__all__ = ["METHODS", "MODELS", "Clip", "Editor", "RecastError", "Record", "Request", "Result", "edit", "load"]

__version__ = version("recast-video")

_HOMES = {
    "Clip": "types",
    "Editor": "editor",
    "METHODS": "methods",
    "MODELS": "weights",
    "RecastError": "errors",
    "Record": "record",
    "Request": "request",
    "Result": "editor",
    "edit": "pipeline",
    "load": "editor",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'recast' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"recast.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
