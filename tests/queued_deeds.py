"""A handler of jobs to try the queue with: it takes a while, writes what it was told, and counts how often."""

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Scribe:
    """Writes a job's text to its target, a letter at a time; each publication adds a line to `log`."""

    log: Path
    letter_seconds: float = 0.002

    def make(self, job, watch):
        text = job.document["text"]
        if text == "refused":
            from recast.errors import RequestError

            raise RequestError("no such text")
        part = self._made(job)
        with part.open("w") as file:
            for number, letter in enumerate(text):
                watch("write", number, len(text))
                file.write(letter)
                time.sleep(self.letter_seconds)
        return {"letters": len(text)}

    def publish(self, job):
        if self._made(job).exists():
            self._made(job).replace(job.document["target"])
            with self.log.open("a") as file:
                file.write(f"{job.id}\n")

    def discard(self, job):
        self._made(job).unlink(missing_ok=True)

    def _made(self, job):
        return Path(f"{job.document['target']}.part{os.getpid() if job.document.get('own') else ''}")
