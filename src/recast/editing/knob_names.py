"""The settings that methods have of their own, by name."""

from dataclasses import fields
from typing import Any


def knobs_of(method: str) -> dict[str, Any]:
    """A method's own settings, by name, with their defaults."""
    from recast.methods import ALL_METHODS

    return {knob.name: knob.default for knob in fields(ALL_METHODS[method])}  # pyrefly: ignore[bad-argument-type]
