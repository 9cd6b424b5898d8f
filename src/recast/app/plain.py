"""What every client can read: JSON without NaN, infinities and halves of characters, and not too deep to be written.

Python's JSON takes all of these, and an answer that has one of them cannot be sent, or not be read by a browser.
"""

import math
from typing import Annotated, Any

from pydantic import AfterValidator

MOST_DEEP = 16
"""Lists and objects in each other that settings have at most."""


def showable(value: Any) -> Any:  # noqa: ANN401 -- JSON
    """The value with marks in place of what cannot be sent: such a file or word of the command line may be in a job."""
    if isinstance(value, dict):
        return {showable(name): showable(held) for name, held in value.items()}
    if isinstance(value, list):
        return [showable(held) for held in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    if _depth_over(settings, MOST_DEEP):
        raise ValueError(f"settings have at most {MOST_DEEP} lists and objects in each other")
    # repr, because NaN is no equal of itself
    if repr(showable(settings)) != repr(settings):
        raise ValueError("settings hold a number that is not finite, or text that is no Unicode; write others")
    return settings


def _depth_over(value: Any, most: int) -> bool:  # noqa: ANN401 -- JSON
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return most < 0 or any(_depth_over(each, most - 1) for each in held)


PlainSettings = Annotated[dict[str, Any], AfterValidator(_checked)]
"""Settings that a client sends."""
