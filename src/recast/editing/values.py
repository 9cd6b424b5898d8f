"""Values of a request as users write them: weights behind colons, sizes, times; and the line that refuses others."""

import re
import unicodedata
from pathlib import Path
from typing import Annotated, NoReturn

from pydantic import BeforeValidator, Field, FiniteFloat, ValidationError

from recast.errors import RequestError

_WEIGHT_AT_END = re.compile(r"(?P<text>.*[^\d\s:])\s*:\s*(?P<weight>[+-]?(\d+\.?\d*|\.\d+))")
_ADAPTER = re.compile(r"(?P<path>.+):(?P<weight>[+-]?(\d+\.?\d*|\.\d+))")
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")
_NO_WEIGHT = re.compile(r".*[^\d\s:]:[^\s:]*", re.DOTALL)
"""A colon between a letter and what is no number, as in "snow:abc", "snow:1,5", "snow:"; not in "at 10:30"."""
_NO_TEXT = frozenset({"Cc", "Cs"})
"""Unicode's categories of control characters and of halves of characters."""
MOST_CHARACTERS = 2000
"""Of words: a prompt is read to the 77th token."""
MOST_SHOWN = 100
_SIZE = re.compile(r"([1-9]\d*)(?:x([1-9]\d*))?")

ALPHA = Path("alpha")
"""The mask that is the clip's own transparency; a file of that name is ./alpha."""


def weighted(text: str) -> tuple[str, float]:
    """Words or a path with the weight behind the last colon, 1 where there is none.

    A colon right behind a digit starts no weight, so that "a street at 10:30" stays whole.
    """
    found = _WEIGHT_AT_END.fullmatch(text.strip())
    return (found["text"].strip(), float(found["weight"])) if found else (text.strip(), 1.0)


def check_words(name: str, text: str, meant: str) -> None:
    """Raises RequestError for words that are empty, too long, no text, or end in what was meant as a weight.

    meant: what the words should tell.
    """
    if is_blank(text):
        raise RequestError(f"{name} is empty; write what {meant}, or leave it out")
    if len(text) > MOST_CHARACTERS:
        raise RequestError(f"{name} has {len(text)} characters and at most {MOST_CHARACTERS} are read; shorten it")
    if any(unicodedata.category(each) in _NO_TEXT for each in text if each not in "\n\t"):
        raise RequestError(f"{name} is {quoted(text)}, with characters that are no text; type it anew")
    if _NO_WEIGHT.fullmatch(text):
        raise RequestError(
            f"{name} is {quoted(text)}, and no number is behind its colon; write snow:1.5, or snow: with a space "
            "behind the colon where it belongs to the text"
        )


def quoted(value: object) -> str:
    """A value as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}... ({len(text)} characters)"


def is_blank(text: str) -> bool:
    """Whether nothing of it can be seen: spaces, control characters and those of no width alone."""
    return all(unicodedata.category(each)[0] in "ZC" for each in text)


def _each_weighted(text: object) -> object:
    listed = [text] if isinstance(text, str | Path) else text
    if not isinstance(listed, list | tuple):
        return text
    return tuple(weighted(str(each)) if isinstance(each, str | Path) else each for each in listed)


def _each_adapter(text: object) -> object:
    listed = [text] if isinstance(text, str | Path) else text
    if not isinstance(listed, list | tuple):
        return text
    return tuple(_adapter(str(each)) if isinstance(each, str | Path) else each for each in listed)


def _adapter(text: str) -> tuple[str, float]:
    # Unlike words, folders often end in a digit: run2:0.5.
    found = _ADAPTER.fullmatch(text.strip())
    return (found["path"], float(found["weight"])) if found else (text.strip(), 1.0)


def _columns_and_rows(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value)
    if found is None:
        raise ValueError("a short side such as 256, or WIDTHxHEIGHT such as 448x256")
    return (int(found[1]), int(found[2])) if found[2] else int(found[1])


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _CLOCK.fullmatch(value)
    if found is None:
        raise ValueError("seconds such as 2.5, or a time such as 1:02.5")
    return int(found[1] or 0) * 3600 + int(found[2] or 0) * 60 + float(found[3])


Weighted = Annotated[tuple[tuple[str, FiniteFloat], ...], BeforeValidator(_each_weighted)]
Adapters = Annotated[tuple[tuple[str, FiniteFloat], ...], BeforeValidator(_each_adapter)]


def _files_by_kind(value: object) -> object:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple):
        return value
    pairs = [str(each).partition("=") for each in listed]
    if not all(kind.strip() and path.strip() for kind, _, path in pairs):
        raise ValueError("a kind and a file of it, such as pose=dancer-pose.mp4")
    return {kind.strip(): path.strip() for kind, _, path in pairs}


FilesByKind = Annotated[dict[str, Path], BeforeValidator(_files_by_kind)]
Listed = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]
Gibibytes = Annotated[FiniteFloat, Field(gt=0)]
Pixels = Annotated[int, Field(gt=0)]
Size = Annotated[Pixels | tuple[Pixels, Pixels] | None, BeforeValidator(_columns_and_rows)]
Seconds = Annotated[FiniteFloat, Field(ge=0), BeforeValidator(_seconds)]


WORD_FIELDS = (
    ("words", "the prompt (-p, --prompt)", "the clip should look like"),
    ("negative", "the negative prompt (-n, --negative)", "it should not look like"),
    ("source_prompt", "the source prompt (--source-prompt)", "the clip shows"),
)
"""Fields that hold words, how they are given, and what is written there."""


def check_word_fields(request: object) -> None:
    """Raises RequestError as `check_words` does, for every field of a request that holds words."""
    for name, flag, meant in WORD_FIELDS:
        for text, _ in getattr(request, name):
            check_words(flag, text, meant)


ALSO_SET_AS = {"words": "prompt", "pictures": "image", "adapters": "adapter"}
"""Fields of a request that are set by another name."""

ALSO_CALLED = {
    **{other: name for name, other in ALSO_SET_AS.items()},
    "negative_prompt": "negative",
    "guidance_scale": "cfg",
    "num_inference_steps": "steps",
    "n_avg": "noises",
    "num_frames": "max_frames",
    "frames": "max_frames",
}
"""Settings by the names that users know them by."""


def refuse(error: ValidationError) -> NoReturn:
    """Raises RequestError that says in one line which value is wrong, named as it is set, and what it should be."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "request"
    wrong = re.sub("^(Input should be|Value error,) |, unable to parse.*", "", first["msg"])
    raise RequestError(f"{ALSO_SET_AS.get(name, name)} is {quoted(first['input'])}; it should be {wrong}") from None
