"""One output container: pictures, sound and the run's record, interleaved."""

from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from recast.video.container import demuxing
from recast.video.encode import FileKind, Moment, VideoEncoder, container_options, tick
from recast.video.record import commented
from recast.video.sound import Sound, fits
from recast.video.source import Source, Window


class Movie:
    """Writes a video file at `place`, with the source's sound for as long as there are frames."""

    def __init__(
        self,
        place: Path,
        kind: FileKind,
        source: Source,
        window: Window,
        *,
        size: tuple[int, int],
        fps: Fraction | None,
    ) -> None:
        self._place, self._kind, self._source, self._window = place, kind, source, window
        self._tick = tick(kind, source, fps or source.fps)
        self._whole = window.to_the_end and fps is None
        self._end, self._last = Fraction(0), -1
        self._record: str | None = None
        self._resources = ExitStack()
        self.notes: list[str] = []
        self._container = av.open(str(place), "w", format=kind.container, options=container_options(kind, self._tick))
        self._video = VideoEncoder(self._container, kind, source, size, self._tick)
        self.notes += self._video.notes
        self._sound = self._opened_sound()
        self.notes += [] if self._sound is None else self._sound.notes
        if kind.container == "webm" and source.sample_aspect != 1:
            self.notes.append(
                f"pixels are {source.sample_aspect} as wide as high, which WebM cannot store; use mp4 or mkv"
            )

    def _opened_sound(self) -> Sound | None:
        if not self._source.has_sound:
            return None
        if not fits(self._source, self._kind):
            self.notes.append(
                f"{self._kind.container} cannot hold the sound ({self._source.sound_codec}); it was left out"
            )
            return None
        container = self._resources.enter_context(demuxing(self._source.path))
        return Sound(self._source, container, self._container, self._kind, early=not self._window.start)

    def embed(self, record: str | None) -> None:
        """Puts the run's record into the file's comment. To be called before the first frame."""
        self._record = record
        if record is not None and self._kind.container != "gif":
            self._container.metadata["comment"] = record

    def add(self, image: UInt8[np.ndarray, "h w 3"], moment: Moment) -> None:
        """Writes the next frame, and the sound that goes with it."""
        time = max(round(moment.seconds / self._tick), self._last + 1)
        if time * self._tick != moment.seconds:
            self.notes.append(f"{self._kind.container} rounds times to {float(1000 * self._tick):.3g} ms")
        self._last, self._end = time, moment.seconds + moment.duration
        self._video.add(image, time, max(1, round(self._end / self._tick) - time))
        if self._sound is not None:
            self._sound.carry(moment)

    def finish(self) -> None:
        """Writes what is held back and closes the file."""
        self._video.flush()
        if self._sound is not None:
            self._sound.finish(rest=self._whole)
        self._container.close()
        if self._kind.container == "gif" and self._record is not None:
            commented(self._place, self._record)

    def __enter__(self) -> "Movie":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After a failure the trailer may fail as well; what was raised first is what the user should see.
        with suppress(*([] if kind is None else [Exception])), self._resources:
            self._container.close()
