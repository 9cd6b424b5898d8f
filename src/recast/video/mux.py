"""One output container: pictures, sound and the run's record, interleaved."""

from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from recast.video import isolated
from recast.video.about import About, keep_chapters, lost, texts_of
from recast.video.codecs import Codec
from recast.video.encode import FileKind, Moment, VideoEncoder, container_options, tick
from recast.video.record import commented, described
from recast.video.sound import Track, opened_track
from recast.video.source import OnDamage, Source, Window
from recast.video.timecode import HOLDS, later


class Movie:
    """Writes a video file at `place`, with the source's sound for as long as there are frames."""

    def __init__(
        self,
        place: Path,
        kind: FileKind,
        source: Source,
        window: Window,
        *,
        codec: Codec,
        fps: Fraction | None,
    ) -> None:
        self._place, self._kind, self._source, self._window = place, kind, source, window
        self._tick = tick(kind, source, fps or source.fps)
        self._whole = window.to_the_end and fps is None
        self._end, self._last = Fraction(0), -1
        self._record: str | None = None
        self._resources = ExitStack()
        self._texts: dict[str, str] = {}
        self.notes: list[str] = []
        self._container = av.open(str(place), "w", format=kind.container, options=container_options(kind, self._tick))
        self._video = VideoEncoder(self._container, codec, source, source.size, self._tick)
        self.notes += self._video.notes
        self._tracks = [] if source.is_sequence else self._carried()
        if kind.container == "webm" and source.sample_aspect != 1:
            self.notes.append(
                f"pixels are {source.sample_aspect} as wide as high, which WebM cannot store; use mp4 or mkv"
            )

    def _carried(self) -> list[Track]:
        """The source's tracks, its texts and its chapters, as far as the target can hold them."""
        source, kind, window = self._source, self._kind, self._window
        if not source.path.is_file():  # a clip from memory
            return []
        found, tracks = isolated.about_file(source.path), []
        self.notes += found.notes
        self._keep_timecode(found.timecode)
        self._tell(found, Fraction(window.start) + source.first_seconds)
        for facts in found.tracks:
            # Each is read by itself, so that none waits for another.
            track, notes = opened_track(source, facts, self._container, kind, early=not window.start)
            self.notes += notes
            if track is not None:
                self._resources.callback(track.close)
                tracks.append(track)
        return tracks

    def _tell(self, found: About, begin: Fraction) -> None:
        if self._source.first_pts and not self._window.start:
            self.notes.append(f"times begin at 0, and in the source at {float(self._source.first_seconds):.3f} s")
        if self._kind.container == "gif":
            return
        self._texts = texts_of(found.metadata)
        self._container.metadata.update(self._texts)
        if self._kind.chapters:
            keep_chapters(found.chapters, self._container, begin, self._longest())
        elif found.chapters:
            self.notes.append(f"{self._kind.container} cannot hold chapters; they were left out")

    def _longest(self) -> Fraction | None:
        """The most seconds that the window can hold, which is known before its frames are; None for no end."""
        source, window = self._source, self._window
        start, longest = Fraction(window.start), []
        if source.seconds is not None:
            longest.append(source.seconds - start)
        if window.end is not None:
            longest.append(Fraction(window.end) - start)
        if window.max_frames is not None:  # by the mean rate, since times of frames to come are not known
            longest.append(window.max_frames / source.fps)
        return min(longest, default=None)

    def _keep_timecode(self, timecode: str | None) -> None:
        """Gives the video the source's time code, that of its first frame."""
        if timecode is None:
            return
        if self._kind.container not in HOLDS:
            self.notes.append(f"{self._kind.container} cannot hold the time code ({timecode}); it was left out")
            return
        skipped = round(Fraction(self._window.start) * self._source.fps)
        self._video.tell("timecode", later(timecode, skipped, self._source.fps))

    def embed(self, record: str | None) -> None:
        """Puts the run's record into the file's comment. To be called before the first frame."""
        self._record = record
        if record is not None and self._kind.container != "gif":
            self._container.metadata["comment"] = record

    def add(self, image: UInt8[np.ndarray, "h w c"], moment: Moment) -> None:
        """Writes the next frame, and the sound that goes with it."""
        time = max(round(moment.seconds / self._tick), self._last + 1)
        if time * self._tick != moment.seconds:
            self.notes.append(f"{self._kind.container} rounds times to {float(1000 * self._tick):.3g} ms")
        self._last, self._end = time, moment.seconds + moment.duration
        self._video.add(image, time, max(1, round(self._end / self._tick) - time))
        for track in self._tracks:
            track.carry(moment)

    def finish(self) -> None:
        """Writes what is held back and closes the file."""
        self._video.flush()
        for track in self._tracks:
            track.finish(rest=self._whole)
        self._container.close()
        self._note_moved_times()
        if self._texts:
            names = lost(self._texts, isolated.about_file(self._place).metadata)
            self.notes += [
                f"{self._kind.container} cannot hold these texts; they were left out: {', '.join(names)}"
            ] * bool(names)
        if self._kind.container == "gif" and self._record is not None:
            commented(self._place, self._record)
        if self._kind.container in ("mp4", "mov") and self._record is not None:
            described(self._place, self._record)

    def _note_moved_times(self) -> None:
        """Matroska has no times below 0, where sound begins by its encoder's delay; FFmpeg then moves all."""
        if self._kind.container not in ("matroska", "webm") or not self._tracks:
            return
        if moved := isolated.probe(self._place, OnDamage.WARN).first_seconds:
            self.notes.append(
                f"sound begins before the first frame, and {self._kind.container} holds no times below 0: all are "
                f"{float(moved):.3f} s later"
            )

    def __enter__(self) -> "Movie":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After a failure the trailer may fail as well; what was raised first is what the user should see.
        with suppress(*([] if kind is None else [Exception])), self._resources:
            self._container.close()
