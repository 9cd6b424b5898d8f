"""Settings that change over the clip, as users write them: "0: a meadow, 48: a snowy field"."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from recast.editing.sound_schedules import WORDED, Driven
from recast.editing.values import ALSO_SET_AS
from recast.errors import RequestError, known

if TYPE_CHECKING:
    from recast.curves import Curve, Keys, Way
    from recast.video.source import Source

CONTENT = ("words", "pictures")
"""What is said in words and pictures; the other settings are numbers."""
NUMBERS = ("structure_detail", "cfg", "temporal_guidance", "strength", "clip_guidance", "word_weight")
WAYS: tuple["Way", ...] = ("linear", "ease", "hold")
SCHEDULED = (*CONTENT, *NUMBERS)
"""Settings of a request, and knobs, that may have a schedule."""
_KEY = r"(?P<key>\d+|\d+(?:\.\d+)?s)\s*:\s*"
_WAY = re.compile(rf"(?P<way>{'|'.join(WAYS)})\s+(?={_KEY})")
_KEYS = re.compile(rf"(?:^|,)\s*{_KEY}")
_NAMED = re.compile(r"\s*(?P<name>[A-Za-z_-]+)\s*=(?P<text>.*)", re.DOTALL)
_ALSO = {"prompt": "words", "image": "pictures"}


@dataclass(frozen=True)
class Keyed:
    """What a schedule says at its keys, as text. keys: as written, frames or seconds such as 2.5s."""

    way: "Way"
    keys: tuple[str, ...]
    values: tuple[str, ...]

    @classmethod
    def parsed(cls, name: str, text: str) -> "Keyed":
        """Of [linear|ease|hold] FRAME: VALUE, FRAME: VALUE and so on. A comma in a value starts no key by itself.

        Raises RequestError for a text that does not begin with a key, or a value that is empty or no number.
        """
        text = text.strip()
        found = _WAY.match(text)
        body = text[found.end() :] if found else text
        marks = list(_KEYS.finditer(body))
        if not marks or marks[0].start():
            raise RequestError(
                f"the schedule of {name} is {_shown(text)}; it should begin with a key, "
                'FRAME: VALUE or SECONDSs: VALUE, as in "0: a meadow, 48: a snowy field" or "ease 0s: 2, 2.5s: 6"'
            )
        ends = [*(mark.start() for mark in marks[1:]), len(body)]
        values = tuple(body[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True))
        values = tuple(map(_bared, values)) if name in NUMBERS else values
        way = next((each for each in WAYS if found and found["way"] == each), WAYS[0])
        keyed = cls(way, tuple(mark["key"] for mark in marks), values)
        keyed.check(name)
        return keyed

    def check(self, name: str) -> None:
        """Raises RequestError for a value that is empty or, where a number is asked for, none."""
        for key, value in zip(self.keys, self.values, strict=True):
            if not value:
                raise RequestError(f"the schedule of {name} says nothing at {key}; write a value behind its colon")
            if name in NUMBERS and _number(value) is None:
                raise RequestError(f"the schedule of {name} says {_shown(value)} at {key}; it should be a number")

    @property
    def text(self) -> str:
        """As it is written."""
        each = (f"{key}: {value}" for key, value in zip(self.keys, self.values, strict=True))
        return f"{self.way} {', '.join(each)}"

    @property
    def is_constant(self) -> bool:
        """Whether it says the same at all keys."""
        return len(set(self.values)) == 1

    def placed(self, fps: Fraction) -> "Keys":
        """The keys as frames of a clip of this rate. Raises RequestError where they do not rise."""
        from recast.curves import Keys

        return Keys(tuple(_frame(key, fps) for key in self.keys), self.way)

    def curve(self, fps: Fraction, _source: "Source | None" = None) -> "Curve":
        """Its numbers over the frames of a clip of this rate."""
        from recast.curves import Curve

        return Curve(self.placed(fps), tuple(float(value) for value in self.values))


def schedule_of(name: str, text: str) -> Keyed | Driven:
    """One schedule: keys, or for numbers and words a sound. Raises RequestError for what is wrong with it."""
    by_sound = name in (*NUMBERS, *WORDED) and text.strip().lower().startswith("sound")
    return Driven.parsed(name, text) if by_sound else Keyed.parsed(name, text)


def schedules_of(texts: Mapping[str, str]) -> dict[str, Keyed | Driven]:
    """The schedules of a request, by setting. Raises RequestError for what is wrong with one."""
    return {name: schedule_of(name, text) for name, text in texts.items()}


def files_in(texts: Mapping[str, str]) -> tuple[str, ...]:
    """The files that a request's schedules name: pictures, and sounds."""
    schedules = schedules_of(texts)
    pictures = schedules["pictures"].values if "pictures" in schedules else ()
    sounds = (each.file for each in schedules.values() if isinstance(each, Driven) and each.file)
    return tuple(dict.fromkeys([*pictures, *sounds]))


def with_whole_paths(texts: Mapping[str, str]) -> dict[str, str]:
    """The same schedules, whose files are named by whole paths."""
    return {name: _with_whole_paths(name, schedule_of(name, text), text) for name, text in texts.items()}


def _with_whole_paths(name: str, schedule: Keyed | Driven, text: str) -> str:
    if isinstance(schedule, Driven):
        return schedule.absolute()
    if name != "pictures":
        return text
    return replace(schedule, values=tuple(str(Path(value).absolute()) for value in schedule.values)).text


def _by_name(value: object) -> object:
    listed = [value] if isinstance(value, str) else value
    if isinstance(listed, Mapping):
        return {_ALSO.get(str(name), str(name)): _text(text) for name, text in listed.items()}
    if not isinstance(listed, list | tuple):
        return value
    return dict(_assigned(listed))


def _assigned(listed: list[object] | tuple[object, ...]) -> Iterator[tuple[str, str]]:
    for each in listed:
        found = _NAMED.fullmatch(str(each))
        if found is None:
            raise ValueError('NAME=KEYS, as in prompt="0: a meadow, 48: a snowy field"')
        name = found["name"].replace("-", "_")
        yield _ALSO.get(name, name), found["text"].strip()


def _text(value: object) -> object:
    """{0: 2, 48: 6} as it is written."""
    return ", ".join(f"{key}: {each}" for key, each in value.items()) if isinstance(value, Mapping) else value


def _frame(key: str, fps: Fraction) -> int:
    return round(Fraction(key[:-1]) * fps) if key.endswith("s") else int(key)


def _bared(text: str) -> str:
    """Deforum's (0.5) as 0.5."""
    return text[1:-1].strip() if text.startswith("(") and text.endswith(")") else text


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 100 else f"{text[:100]}...")


Schedules = Annotated[dict[str, str], BeforeValidator(_by_name)]
"""Texts of schedules by setting; also as NAME=KEYS, several in a list, and as {frame: value}."""


def check_schedules(request: Any, fields: Mapping[str, Any]) -> None:  # noqa: ANN401 -- a Request, which imports this
    """Raises RequestError for a schedule of what can have none or is given besides, and for what it says at a key.

    fields: the request's, with their defaults.
    """
    for name, keyed in schedules_of(request.schedules).items():
        if name not in SCHEDULED:
            known("setting with a schedule", name, [ALSO_SET_AS.get(each, each) for each in SCHEDULED])
        if name in request.knobs or (name in fields and getattr(request, name) != fields[name].default):
            raise RequestError(f"{ALSO_SET_AS.get(name, name)} is given, and a schedule of it too; keep one of them")
        for value in keyed.values:
            request.updated(schedules={}, **{name: value})  # says what is wrong with it
