"""By which methods a model can be edited: looked for once, in a process of its own, because that loads the model."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from recast.app.making import Making, commanded
from recast.errors import RequestError
from recast.files import write_synced

PATIENCE_SECONDS = 2.0
"""How long a new job waits for what is looked for. Then it is queued, and its worker refuses what cannot be done."""
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Abilities:
    """Of the models of one server. folder: its own, which is emptied, since models may have changed since."""

    folder: Path
    making: Making

    def __post_init__(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def refusals(self, model: str) -> dict[str, str] | None:
        """Why a usable model cannot do a method, "" where it can, by method; None while that is looked for.

        Raises once what hindered it, such as WeightsError for a damaged folder.
        """
        found = self.folder / f"{model}.json"
        if not self.making.is_made(found, lambda: _look(model, found)):
            return None
        return json.loads(found.read_text("utf-8"))

    def check(self, model: str, method: str) -> None:
        """Raises RequestError for a method that the model cannot do. Methods that need nothing are not looked for."""
        from recast.methods import METHODS

        needs = METHODS[method].needs if method in METHODS else ()  # `auto` is what the model itself has chosen
        over = time.monotonic() + PATIENCE_SECONDS
        while needs and time.monotonic() < over:
            refusals = self.refusals(model)
            if refusals is not None:
                why = refusals[method]
                if why:
                    raise RequestError(f"{method} cannot edit by {model}: {why}")
                return
            time.sleep(LOOK_SECONDS)


def _look(model: str, found: Path) -> None:
    listed = json.loads(commanded("methods", "-m", model, "--json"))
    part = found.with_suffix(".part")
    write_synced(part, json.dumps({name: each["cost"]["refusal"] for name, each in listed.items()}))
    part.rename(found)
