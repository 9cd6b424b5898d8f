"""What becomes of a malformed file: how it ended, and whether damage that the file itself tells of went unsaid."""

import hashlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from media_files import MediaMutant

from recast.errors import RecastError
from recast.video.read import Window, frames, opened

SECONDS = 30


class HangError(Exception):
    """It took too long."""


def verdict(mutant: MediaMutant, folder: Path, whole: str) -> tuple[str, str]:
    """How reading a mutant ended, in a word, and what was said. whole: the digest of its seed's frames."""
    path = folder / mutant.seed
    path.write_bytes(mutant.data)
    try:
        with _alarm():
            digest, count, notes = decoded(path)
    except HangError:
        return "hang", mutant.how
    except RecastError as error:
        # The decoder ended by a signal or a limit: the reader lives, and says so.
        return ("decoder ended" if "broke off" in str(error) else "refused"), str(error)
    except Exception as error:
        return "untyped", f"{type(error).__name__}: {error}"
    if digest == whole:
        return "identical", ""
    if any(note.startswith("the file is damaged") for note in notes):
        return "noted", notes[-1]
    declared = declared_frames(path)
    return ("silent, and declares more", f"{declared} and {count}") if declared > count else ("silent", mutant.how)


def decoded(path: Path) -> tuple[str, int, tuple[str, ...]]:
    """Digest and number of the frames that a user who says --on-damage warn gets, and the notes."""
    source, digest, count = opened(path, "warn"), hashlib.sha256(), 0
    for frame in frames(source, Window(max_frames=500)):
        digest.update(frame.pixels.numpy().tobytes())
        count += 1
    return digest.hexdigest(), count, source.notes


def declared_frames(path: Path) -> int:
    """The frames that a file declares by its sample table or by its packets, told by PyAV alone."""
    try:
        options = {"protocol_whitelist": "none"}
        with path.open("rb") as file, av.open(file, container_options=options) as container:
            stream = container.streams.video[0]
            listed = stream.frames if container.format.name.startswith("mov") else 0
            if stream.codec_context.name in ("vp8", "vp9"):  # some of their packets are never shown
                return listed
            packets = [packet for packet in container.demux(stream) if packet.size]
            hidden = sum(packet.is_discard for packet in packets)
            return max(listed, len(packets)) - hidden
    except (av.error.FFmpegError, IndexError, ValueError, OSError):
        return 0


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(_number: int, _frame: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
