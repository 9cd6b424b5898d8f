"""The settings that methods have of their own, by name."""

from dataclasses import fields
from typing import Any, NoReturn

from recast.errors import RequestError


def knobs_of(method: str) -> dict[str, Any]:
    """A method's own settings, by name, with their defaults."""
    from recast.methods import ALL_METHODS

    return {knob.name: knob.default for knob in fields(ALL_METHODS[method])}  # pyrefly: ignore[bad-argument-type]


def refuse_knob(method: str, name: str) -> NoReturn:
    """Raises RequestError for a knob that the method does not have, and tells who has it."""
    from recast.methods import ALL_METHODS

    others = [other for other in ALL_METHODS if name in knobs_of(other)]
    hint = f"; {' and '.join(others)} {'have' if len(others) > 1 else 'has'} it" if others else ""
    raise RequestError(f"method {method} has no knob {name!r}{hint}; its own: {', '.join(knobs_of(method)) or 'none'}")


def check_ensemble(method: str, ensemble: int | None) -> None:
    """Raises RequestError for more than one answer of a method that averages none."""
    from recast.methods import ALL_METHODS, METHODS

    if ensemble not in (None, 1) and not ALL_METHODS[method].ensembles:
        able = ", ".join(name for name, each in METHODS.items() if each.ensembles)
        raise RequestError(f"{method} averages no answers: ensemble must be 1, not {ensemble}; {able} do")
