"""Jobs to try runners with. They stand apart, because processes that run them import this file and what it imports."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Deed:
    """A job that writes a file, or ends its process."""

    target: Path
    deadly: bool = False

    def __call__(self):
        if self.deadly:
            os._exit(9)
        self.target.write_text("done")

    def crashed(self):
        self.target.write_text("crashed")


class Failing:
    """A job that fails as ours do."""

    def __call__(self):
        from recast.errors import RecastError

        raise RecastError("no room")

    def crashed(self):
        pass
