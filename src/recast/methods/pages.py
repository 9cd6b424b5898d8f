"""What a method says of itself, read from its class: paper, docstring, needs, and its knobs with what they do."""

import ast
import inspect
import textwrap
from dataclasses import MISSING, dataclass, fields
from itertools import pairwise
from typing import Any

from recast.methods import METHODS


@dataclass(frozen=True)
class Knob:
    """A setting of a method. default: in JSON's types. about: what it does, one line."""

    default: Any
    about: str


@dataclass(frozen=True)
class MethodPage:
    """A method's own words. about: its docstring. needs: of a backbone. needs_source: what the clip shows, in words.

    over_time: settings that may have a schedule.
    """

    paper: str
    about: str
    needs: tuple[str, ...]
    needs_source: bool
    ensembles: bool
    over_time: tuple[str, ...]
    settings: dict[str, Knob]


def page(name: str) -> MethodPage:
    """The page of a method by its name in METHODS."""
    method = METHODS[name]
    text = described_fields(method)
    knobs = {
        knob.name: Knob(None if knob.default is MISSING else knob.default, text[knob.name])
        for knob in fields(method)  # pyrefly: ignore[bad-argument-type]
    }
    needs = tuple(sorted(method.needs))
    about, over_time = inspect.getdoc(method) or "", tuple(sorted(method.over_time))
    return MethodPage(method.paper, about, needs, method.needs_source, method.ensembles, over_time, knobs)


def described_fields(cls: type) -> dict[str, str]:
    """The docstrings under the annotated fields of a class and of those that it inherits, each in one line."""
    text: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, under in pairwise(body):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if isinstance(under, ast.Expr) and isinstance(under.value, ast.Constant):
                text[field.target.id] = " ".join(str(under.value.value).split())
    return text
