"""What becomes of a spoilt model folder: each is opened in a process of its own, with limits of memory and time."""

import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

from model_folders import FolderMutant
from PIL import Image

from recast.conditions.content import ContentInput, Medium
from recast.editing.loaded import Model
from recast.errors import RecastError, WeightsError

MORE_BYTES, SECONDS, WALL_SECONDS = 2**31, 60, 1200
"""Of the processor, and of the clock, which a busy machine stretches."""
REFUSED, OTHER, UNTYPED, OPENED = range(4)


def verdict(mutant: FolderMutant, whole: Path) -> tuple[str, str]:
    """(refused, opened, or what is wrong; what was said) of one mutant of the folder `whole`."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(whole, Path(place) / "model"))
        mutant.spoil(folder)
        canary = sorted(Path(place).iterdir())
        code, text = _in_a_fork(folder)
        if sorted(Path(place).iterdir()) != canary:
            return "code run", text
    if code is None:
        return "ended", text
    if code == OPENED:
        return ("accepted wrong" if mutant.must_refuse else "opened"), text
    return {REFUSED: "refused", OTHER: "other error", UNTYPED: "untyped"}[code], text


def _in_a_fork(folder: Path) -> tuple[int | None, str]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with suppress(BaseException):
            os.write(writing, _opened(folder))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        answer_bytes = answer.read()
    _, status = os.waitpid(child, 0)
    return (
        (answer_bytes[0], answer_bytes[1:].decode(errors="replace"))
        if answer_bytes
        else (None, f"by signal {os.waitstatus_to_exitcode(status)}")
    )


def _opened(folder: Path) -> bytes:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + MORE_BYTES, resource.RLIM_INFINITY))
    spent = int(sum(os.times()[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (spent + SECONDS, spent + SECONDS))
    signal.alarm(WALL_SECONDS)
    try:
        model = Model.loaded(str(folder))
        for kind in model.folder.metadata.structures:
            model.extractor(kind)
        Image.new("RGB", (32, 32)).save(folder / "seen.png")
        wanted = (ContentInput(Medium.WORDS, "snow"), ContentInput(Medium.PICTURE, str(folder / "seen.png")))
        model.backbone.encode_content(wanted, seed=0)
    except WeightsError as error:
        return bytes([REFUSED]) + str(error).encode(errors="replace")[:1000]
    except RecastError as error:
        return bytes([OTHER]) + f"{type(error).__name__}: {error}".encode(errors="replace")[:1000]
    except BaseException as error:
        where = traceback.extract_tb(sys.exc_info()[2])[-1]
        return bytes([UNTYPED]) + f"{type(error).__name__}: {error} at {where}".encode(errors="replace")[:1000]
    return bytes([OPENED])
