"""recast re-makes the content of a clip from words or a picture, and keeps its structure.

The names below are the public ones. They are imported when they are first used, so that `import recast` is quick.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recast.editing.api import Editor, Result, load, open_clip
    from recast.editing.customize import customize
    from recast.editing.edit import edit
    from recast.editing.record import Record
    from recast.editing.request import Request
    from recast.editing.substrates import propagate
    from recast.editing.tune import tune
    from recast.errors import RecastError
    from recast.evaluation.pairs import evaluate
    from recast.methods import METHODS
    from recast.model.folder import MODELS
    from recast.types import Clip

__all__ = [
    "METHODS",
    "MODELS",
    "Clip",
    "Editor",
    "RecastError",
    "Record",
    "Request",
    "Result",
    "customize",
    "edit",
    "evaluate",
    "load",
    "open_clip",
    "propagate",
    "tune",
]

__version__ = version("recast-video")

_HOMES = {
    "Clip": "types",
    "Editor": "editing.api",
    "METHODS": "methods",
    "MODELS": "model.folder",
    "RecastError": "errors",
    "Record": "editing.record",
    "Request": "editing.request",
    "Result": "editing.api",
    "customize": "editing.customize",
    "edit": "editing.edit",
    "evaluate": "evaluation.pairs",
    "load": "editing.api",
    "open_clip": "editing.api",
    "propagate": "editing.substrates",
    "tune": "editing.tune",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'recast' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"recast.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
