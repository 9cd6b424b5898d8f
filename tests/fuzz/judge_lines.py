"""What becomes of an odd command line: `verdict` says what is wrong with it, in a word."""

import contextlib
import io
import os
import time
import unicodedata
from collections.abc import Sequence

from recast.cli.app import run

MOST_CHARACTERS, MOST_SECONDS = 2100, 60


def verdict(arguments: Sequence[str]) -> tuple[str, str]:
    """(ok, or what is wrong; what was printed) of one command line, run in this process."""
    printed, errors = io.StringIO(), io.StringIO()
    before, began = set(os.listdir()), time.process_time()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        try:
            code = run(list(arguments))
        except BaseException as error:
            return "untyped", f"{type(error).__name__}: {error}"[:200]
    took, text = time.process_time() - began, errors.getvalue()
    new = set(os.listdir()) - before
    return _judged(code, text, printed.getvalue(), new, took), text[-300:]


def _judged(code: int, text: str, printed: str, new: set[str], took: float) -> str:
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    wrong = {
        "untyped": "and should not" in text or "Traceback" in text,
        "slow": took > MOST_SECONDS,
        f"{len(errors)} lines": code and len(errors) != 1,
        "long": any(len(line) > MOST_CHARACTERS for line in text.splitlines()),
        "escapes": any(_steers(each) for each in text + printed),
        f"left {sorted(new)}": code and new,
    }
    return next((word for word, is_so in wrong.items() if is_so), "ok")


def _steers(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\r\t"
