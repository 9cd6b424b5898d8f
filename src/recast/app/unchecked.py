"""Jobs that come before torch is there, which checks of jobs need: they are queued, and their worker refuses them.

Importing it takes seconds, and more on a busy machine; whoever asks for an edit is answered at once all the same.
"""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from recast.editing.request import FIELDS
from recast.editing.values import ALSO_CALLED, check_word_fields, refuse

PATIENCE_SECONDS = 2.0
"""How long a job waits for its checks."""


@dataclass(frozen=True)
class Checks:
    """Whether what checks a job is imported: by one thread, whoever asks, for imports by several may meet half-way."""

    _there: threading.Event = field(default_factory=threading.Event)
    _begun: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Begins to import it, the first time that it is called."""
        if self._begun.acquire(blocking=False):
            threading.Thread(target=self._import, daemon=True).start()

    def are_there(self, seconds: float | None = None) -> bool:
        """Waits until they are, but not longer than that."""
        self.begin()
        return self._there.wait(seconds)

    def _import(self) -> None:
        import recast.editing.queued  # noqa: F401 -- imports all that answers need of torch

        self._there.set()


def unchecked(asked: dict[str, object], target: Path) -> dict[str, Any]:
    """The document of a job that only its worker checks. Raises RequestError for values of the wrong kind."""
    named = {ALSO_CALLED.get(name, name): value for name, value in asked.items()}
    knobs = {name: named.pop(name) for name in list(named) if name not in FIELDS}
    held = named.get("knobs", {})
    try:
        request = _Plain.model_validate(
            named | {"knobs": held | knobs if isinstance(held, dict) else held, "target": target}
        )
    except ValidationError as error:
        refuse(error)
    check_word_fields(request)
    return request.model_dump(mode="json")


_TYPES: dict[str, Any] = {name: (held.annotation, held) for name, held in FIELDS.items()}
_Plain: type[BaseModel] = create_model("_Plain", __config__=ConfigDict(extra="forbid"), **_TYPES)
"""A request whose names of parts and knobs may be any."""
