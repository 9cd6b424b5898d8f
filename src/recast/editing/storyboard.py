"""Storyboards: scenes in a TOML or JSON file, each with its words and its length, that are made one after the other."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from recast.editing.motion_files import table_of
from recast.editing.request import Request
from recast.editing.schedules import Keyed
from recast.editing.values import Adapters
from recast.errors import RequestError

MOST_SCENES = 1000
OF_ALL = frozenset({"style", "subject", "image", "model", "adapter", "negative", "seconds", "frames", "fps", "size"})
"""What a storyboard may say for all scenes: words behind and before those of each, and settings of a request."""
OF_ANY = frozenset({"seed", "cfg", "steps", "noise"})
"""What it may say for all, or in a scene."""
OF_A_SCENE = frozenset({"prompt", "seconds", "frames", "negative", "image", "schedule", "layout", "strokes"})
"""What a scene may say."""
BESIDE = ("image", "layout", "strokes")
"""Files that lie beside the storyboard or below."""
LENGTHS = {"seconds": "duration", "frames": "max_frames"}


@dataclass(frozen=True)
class Storyboard:
    """Scenes in order, and what all share, as they are written. path: of the file, beside which pictures lie."""

    path: Path
    shared: Mapping[str, Any]
    scenes: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls, path: Path) -> "Storyboard":
        """From a file. Raises MediaError where it is missing or damaged, RequestError for what it should not say."""
        held = table_of(path, "storyboard")
        scenes = held.pop("scene", [])
        if not isinstance(scenes, list) or not scenes or not all(isinstance(each, dict) for each in scenes):
            raise RequestError(f'a storyboard has scenes, each under [[scene]] with prompt = "..."; {path} has none')
        if len(scenes) > MOST_SCENES:
            raise RequestError(f"{path} has {len(scenes)} scenes, and at most {MOST_SCENES} are made")
        _check_said(held, OF_ALL | OF_ANY, str(path))
        for number, scene in enumerate(scenes, 1):
            _check_said(scene, OF_A_SCENE | OF_ANY, f"scene {number} of {path}")
            if not isinstance(scene.get("prompt"), str) and not _words_change(scene):
                raise RequestError(f'scene {number} of {path} says nothing; write prompt = "a dog in snow" in it')
        return cls(path, held, tuple(scenes))

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that it names: pictures, layouts and strokes."""
        named = [each[kind] for each in (self.shared, *self.scenes) for kind in BESIDE if kind in each]
        return tuple(dict.fromkeys(self.path.parent / name for name in named))

    @property
    def adapters(self) -> tuple[tuple[str, float], ...]:
        """Those of the subject that all scenes share, with their weights."""
        return TypeAdapter(Adapters).validate_python(self.shared.get("adapter", ()))

    def requests(self, base: Request) -> list[Request]:
        """A request for each scene. base: what the storyboard leaves open. Raises RequestError, naming the scene.

        What a scene says goes before what all share, and that before the base. A scene without a seed of its own has
        the one of all and its place: the first that seed, the next one more.
        """
        found = []
        for number, scene in enumerate(self.scenes):
            seed = self.shared.get("seed", base.seed)
            counted = {"seed": seed + number} if isinstance(seed, int) else {}
            shared = {name: value for name, value in self.shared.items() if name not in NOT_OF_A_REQUEST}
            if LENGTHS.keys() & scene.keys():
                shared = {name: value for name, value in shared.items() if name not in LENGTHS}
            asked = self._as_settings({**shared, **counted, **scene})
            words = {"words": ()} if _words_change(scene) else {"prompt": self._words(scene["prompt"])}
            try:
                found.append(base.updated(storyboard=None, **asked | words))
            except RequestError as fault:
                raise RequestError(f"scene {number + 1} of {self.path}: {fault}") from None
        return found

    def _as_settings(self, options: Mapping[str, Any]) -> dict[str, Any]:
        lengths = dict.fromkeys(LENGTHS.values()) if LENGTHS.keys() & options.keys() else {}
        named = {LENGTHS.get(name, name): value for name, value in options.items() if name != "schedule"}
        named |= {name: str(self.path.parent / options[name]) for name in BESIDE if name in options}
        if _words_change(options):
            keyed = Keyed.parsed("prompt", str(options["schedule"]["prompt"]))
            worded = replace(keyed, values=tuple(map(self._words, keyed.values)))
            return lengths | named | {"schedules": {**options["schedule"], "prompt": worded.text}}
        return lengths | named | ({"schedules": options["schedule"]} if "schedule" in options else {})

    def _words(self, prompt: str) -> str:
        """A scene's words, with those of the subject where {subject} stands or before them, and of the style behind."""
        subject, style = (str(self.shared.get(name, "")) for name in ("subject", "style"))
        whole = prompt.replace("{subject}", subject) if "{subject}" in prompt or not subject else f"{subject}, {prompt}"
        return ", ".join(filter(None, (whole, style)))


NOT_OF_A_REQUEST = frozenset({"style", "subject", "model", "adapter"})


def with_storyboard(request: Request) -> Request:
    """The request with the model and the adapters that its storyboard names, where it names none itself."""
    if request.storyboard is None:
        return request
    board = Storyboard.read(request.storyboard)
    board.requests(request)  # says what is wrong with a scene
    options = {} if request.adapters or not board.adapters else {"adapters": board.adapters}
    return request.updated(**options | ({"model": board.shared["model"]} if "model" in board.shared else {}))


def _words_change(options: Mapping[str, Any]) -> bool:
    """Whether a scene has a prompt for each frame."""
    schedule = options.get("schedule")
    return isinstance(schedule, Mapping) and "prompt" in schedule


def _check_said(options: Mapping[str, Any], names: frozenset[str], where: str) -> None:
    """Raises RequestError for what is not known, both lengths at once, and files that do not lie beside it."""
    strange = sorted(options.keys() - names)
    if strange:
        raise RequestError(f"{where} says {', '.join(strange)}; it may say {', '.join(sorted(names))}")
    if LENGTHS.keys() <= options.keys():
        raise RequestError(f"{where} says seconds and frames; keep one of them")
    for name in BESIDE:
        file = options.get(name, "")
        if not isinstance(file, str) or os.path.isabs(file) or ".." in Path(file).parts:
            called = "picture" if name == "image" else name
            raise RequestError(f"{where} names the {called} {file!r}; name one beside the storyboard, without ..")
