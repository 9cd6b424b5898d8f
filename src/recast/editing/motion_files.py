"""Layouts and strokes, as users and planners write them: TOML or JSON of what is where at which frame."""

import json
import tomllib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from recast.curves import Keys, Way
from recast.editing.values import quoted
from recast.errors import MediaError, RequestError
from recast.layout import BoxTrack, Guides, Stroke

MOST_BYTES = 2**20
MOST_THINGS, MOST_KEYS = 100, 10_000
Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Value = TypeVar("Value")


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    remedy: ClassVar[str] = ""


Form = TypeVar("Form", bound=_Exact)


class KeyTime(_Exact):
    """When a key is: at a frame of the clip, from 0, or after so many seconds."""

    frame: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    seconds: Annotated[float, Field(ge=0, lt=1e6, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _one_time(self) -> "KeyTime":
        if (self.frame is None) == (self.seconds is None):
            raise ValueError("a key says either frame or seconds")
        return self

    def at(self, fps: Fraction) -> int:
        """Its frame in a clip of this rate."""
        return self.frame if self.frame is not None else round(Fraction(self.seconds or 0) * fps)


class BoxKey(KeyTime):
    """A box at a frame: left, top, right and bottom, as shares of the frame's width and height."""

    box: tuple[Unit, Unit, Unit, Unit]

    @model_validator(mode="after")
    def _has_area(self) -> "BoxKey":
        left, top, right, bottom = self.box
        if left >= right or top >= bottom:
            raise ValueError("a box is left, top, right, bottom, with left < right and top < bottom")
        return self


class PointKey(KeyTime):
    """A point at a frame: from the left and from the top, as shares of the frame's width and height."""

    at_point: Annotated[tuple[Unit, Unit], Field(alias="at")]


class BoxedThing(_Exact):
    """What words of the prompt name, and its box at keys; before the first and after the last one it stays."""

    words: Annotated[str, Field(min_length=1, max_length=200)]
    way: Way = "linear"
    keys: Annotated[tuple[BoxKey, ...], Field(min_length=1, max_length=MOST_KEYS)]

    def placed(self, fps: Fraction) -> BoxTrack:
        """As a track over the frames of a clip of this rate. Raises RequestError for keys that do not rise."""
        keys = Keys(tuple(key.at(fps) for key in self.keys), self.way)
        return BoxTrack(self.words, keys, tuple(key.box for key in self.keys))


class DraggedPoint(_Exact):
    """A point at keys. radius: of what moves with it, as a share of the frame's shorter side."""

    way: Way = "linear"
    radius: Annotated[float, Field(gt=0, le=1)] = 0.15
    keys: Annotated[tuple[PointKey, ...], Field(min_length=1, max_length=MOST_KEYS)]

    def placed(self, fps: Fraction) -> Stroke:
        """As a stroke over the frames of a clip of this rate. Raises RequestError for keys that do not rise."""
        keys = Keys(tuple(key.at(fps) for key in self.keys), self.way)
        return Stroke(keys, tuple(key.at_point for key in self.keys), self.radius)


class LayoutForm(_Exact):
    """What a layout file says: things under [[object]]."""

    remedy: ClassVar[str] = "write words, and keys with frame (or seconds) and box, under each [[object]]"

    object: Annotated[tuple[BoxedThing, ...], Field(min_length=1, max_length=MOST_THINGS)]


class StrokesForm(_Exact):
    """What a file of strokes says: points under [[stroke]]."""

    remedy: ClassVar[str] = "write keys with frame (or seconds) and at = [x, y] under each [[stroke]]"

    stroke: Annotated[tuple[DraggedPoint, ...], Field(min_length=1, max_length=MOST_THINGS)]


def guides_of(layout: Path | None, strokes: Path | None, fps: Fraction) -> Guides:
    """What the files say of a clip of this rate.

    Raises MediaError for a file that cannot be read, RequestError for what it should not say.
    """
    boxes = () if layout is None else _read(layout, LayoutForm, "layout").object
    points = () if strokes is None else _read(strokes, StrokesForm, "file of strokes").stroke
    return Guides(
        tuple(_placed(layout, each.placed, fps) for each in boxes),
        tuple(_placed(strokes, each.placed, fps) for each in points),
    )


def table_of(path: Path, what: str) -> dict[str, Any]:
    """What a TOML file says, or a JSON file by its ending. what: it is, for the message.

    Raises MediaError for a file that is missing or damaged, RequestError for one that is too long.
    """
    kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RequestError(f"a {what} of more than {MOST_BYTES} bytes is not read: {path}")
        text = path.read_text("utf-8")
        held = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except FileNotFoundError:
        raise MediaError(f"there is no such file: {path}") from None
    except (OSError, RecursionError, ValueError) as fault:
        raise MediaError(f"the {what} is no {kind} ({fault}): {path}") from None
    if not isinstance(held, dict):
        raise MediaError(f"the {what} holds no names and values, but {quoted(held)}: {path}")
    return held


def _read(path: Path, form: type[Form], what: str) -> Form:
    held = table_of(path, what)
    try:
        return form.model_validate(held)
    except ValidationError as error:
        raise RequestError(f"the {what} {path} is wrong at {first_fault(error)}; {form.remedy}") from None


def _placed(path: Path | None, placed: Callable[[Fraction], Value], fps: Fraction) -> Value:
    try:
        return placed(fps)
    except RequestError as fault:
        raise RequestError(f"{path}: {fault}") from None


def first_fault(error: ValidationError) -> str:
    """Where a document is first wrong, and how, in one line: object 1, keys 2, box: ..."""
    first = error.errors(include_url=False)[0]
    where = ""
    for part in first["loc"]:
        where += f" {part + 1}" if isinstance(part, int) else f"{', ' if where else ''}{part}"
    wrong = first["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
    given = "" if isinstance(first["input"], dict | list) else f", not {quoted(first['input'])}"
    return f"{where or 'its top'}: {wrong}{given}"
