"""Every error that recast raises on purpose: one class for each kind of remedy, all under `RecastError`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class RecastError(Exception):
    """Something that the user can mend; the message says what was wrong and what to do.

    exit_code: what the command line returns; 1 failed, 2 wrong request, 3 missing model or extra, 4 out of memory,
        75 stopped and saved, to be started again.
    """

    exit_code = 1


class RequestError(RecastError):
    """What was asked for cannot be done as it was said; say it differently."""

    exit_code = 2


class MediaError(RecastError):
    """A video or picture file cannot be used: missing, damaged, without frames, or of an unknown kind."""

    exit_code = 2


class ClipError(RecastError):
    """The clip does not suit the method or model: too short, too small, or of a wrong shape."""

    exit_code = 2


class ShapeError(RecastError):
    """Two things that belong together differ in size, such as a mask and its clip."""

    exit_code = 2


class WriteError(RecastError):
    """The disk does not take the result: full, over a quota or limit, or read-only; make room or write elsewhere."""


class WeightsError(RecastError):
    """A model folder or weight file is missing, incomplete, unsafe or damaged."""

    exit_code = 3


class ExtraError(RecastError):
    """A package is missing that only some commands need; install the extra that the message names."""

    exit_code = 3


class NotFiniteError(RecastError):
    """A network's answers are no longer finite numbers; compute more exactly, or guide less."""


class BackboneError(RecastError):
    """The model does not support this input, or this request."""

    exit_code = 2


class ScheduleError(RecastError):
    """Noise levels that do not fall, or do not end in zero."""

    exit_code = 2


class OutOfMemoryError(RecastError):
    """The device has too little memory; use fewer frames, a smaller size, or another device."""

    exit_code = 4


class Cancelled(RecastError):  # noqa: N818 -- not a fault: the user stopped the work
    """The user stopped the work; nothing half-written is left behind."""

    exit_code = 130


class Preempted(RecastError):  # noqa: N818 -- not a fault: the machine is wanted for something else
    """A training run received SIGTERM and has saved where it was; start it again and it goes on."""

    exit_code = 75


class RecastWarning(UserWarning):
    """Worth knowing, and no reason to stop."""


def known(kind: str, name: str, table: Iterable[str]) -> str:
    """The name, if the table has it. Raises RequestError with the near ones and all the known ones."""
    names = list(table)
    if name in names:
        return name
    near = get_close_matches(name[:60], names, n=1)
    meant = f", did you mean {near[0]}?" if near else ";"
    shown = repr(name[:60]) + "..." * (len(name) > 60)
    raise RequestError(f"there is no {kind} {shown}{meant} known: {', '.join(names)}")


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around imports of an extra's packages. Raises ExtraError, which says what to install, for one that is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ExtraError(f"this needs {error.name}: pip install 'recast-video[{name}]'") from error
