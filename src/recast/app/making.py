"""Files that are made in the background, once each however many ask for them: what takes longer than an answer may."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from recast.errors import RecastError, RequestError

AT_A_TIME = 2
MOST_WAITING = 32
MOST_SECONDS = 3600


@dataclass(frozen=True)
class Making:
    """What is being made, and what failed, by the path that it will have."""

    _errors: dict[Path, Exception | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_A_TIME))

    def is_made(self, target: Path, make: Callable[[], object]) -> bool:
        """Whether the file is there; where it is not, `make` has begun to make it, or did when it was asked before.

        Raises what `make` raised, once: the next call begins anew; RequestError where too many others wait.
        """
        with self._lock:
            # Whether it is there comes first: what is done is in its place before it leaves the table.
            if not self._is_being_made(target):
                if target.exists():
                    return True
                self._begin(target, make)
        return False

    def is_being_made(self, target: Path) -> bool:
        """Whether it was begun and is not done. Raises as `is_made`."""
        with self._lock:
            return self._is_being_made(target)

    def _is_being_made(self, target: Path) -> bool:
        error = self._errors.get(target)
        if error is not None:
            del self._errors[target]
            raise error
        return target in self._errors

    def _begin(self, target: Path, make: Callable[[], object]) -> None:
        waiting = sum(error is None for error in self._errors.values())
        if waiting >= MOST_WAITING:
            raise RequestError(f"{waiting} things are being made already; ask again when some are done")
        self._errors[target] = None
        # A daemon: a server that is stopped does not wait for what nobody will fetch.
        threading.Thread(target=self._made, args=(target, make), daemon=True).start()

    def _made(self, target: Path, make: Callable[[], object]) -> None:
        with self._turns:
            try:
                make()
            except Exception as error:
                with self._lock:
                    self._errors[target] = error
            else:
                with self._lock:
                    del self._errors[target]


def commanded(*arguments: str, may_fail: bool = False) -> str:
    """What a command of recast prints, in a process of its own. may_fail: with an exit code that says so.

    Raises RequestError with its last line where it fails, and where it takes longer than an hour.
    """
    command = [sys.executable, "-m", "recast", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise RequestError(f"it took longer than {MOST_SECONDS} seconds, and was stopped") from None
    if done.returncode and not (may_fail and done.stdout):
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        why = lines[-1].removeprefix("error: ") if lines else "it failed and did not say why"
        raise (RequestError if done.returncode == 2 else RecastError)(why)
    return done.stdout
