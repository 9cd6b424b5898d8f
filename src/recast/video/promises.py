"""How many frames a file promises, by its header and by the packets that were met."""

from contextlib import suppress
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from recast.video.container import time_base
from recast.video.source import Source

MISSING_ALLOWED = 2
"""Frames that rounding of a length may cost."""
LENGTH_IS_ROUNDED_TO = Fraction(1, 2)
"""Seconds by which the length of a whole file may go beyond its last packet, which often says no duration."""
FAR_FROM_THE_END = Fraction(9, 10)


def packets_are_not_frames(stream: VideoStream, *, interlaced: bool) -> bool:
    """A packet may hold one field of a frame, or one of VP9's frames that are never shown."""
    return interlaced or (not stream.frames and stream.codec_context.codec.canonical_name in ("vp8", "vp9"))


class Promises:
    """What was met of a stream, against what its file says of it."""

    def __init__(self, source: Source, container: InputContainer, stream: VideoStream) -> None:
        self._source, self._container, self._stream = source, container, stream
        self._num_hidden = self._num_packets = 0
        self._packets_end = Fraction(0)

    def met(self, packet: Packet) -> None:
        """Counts a packet of any stream."""
        if packet.pts is not None and packet.size:
            tick = time_base(packet.stream)
            self._packets_end = max(self._packets_end, (packet.pts + (packet.duration or 0)) * tick)
        if packet.stream is self._stream:
            self._num_hidden += bool(packet.is_discard)
            self._num_packets += bool(packet.size and not packet.is_discard)

    def expected(self, num_decoded: int, seconds: Fraction) -> int:
        """Frames that there should have been, at the end of the file. seconds: the time of the last decoded one."""
        by_header = self._by_header(num_decoded, seconds)
        by_packets = (
            0 if packets_are_not_frames(self._stream, interlaced=self._source.interlaced) else self._num_packets
        )
        return max(num_decoded, by_header, by_packets)

    def _by_header(self, num_decoded: int, seconds: Fraction) -> int:
        if self._stream.frames and self._source.container.startswith("mov"):
            return self._stream.frames - self._num_hidden
        promised, fps = self._seconds(), self._source.fps
        if promised is None:
            return self._by_length_of_all(num_decoded)
        count = round(promised * fps)
        early = seconds < promised * FAR_FROM_THE_END - 1 / fps
        return count if early or (self._source.constant and count - num_decoded > MISSING_ALLOWED) else 0

    def _by_length_of_all(self, num_decoded: int) -> int:
        """From the length of the whole file, where packets of no stream came near it."""
        if self._source.container.startswith("mov") or not self._container.duration:
            return 0
        start = Fraction(self._container.start_time or 0, av.time_base)
        promised = Fraction(self._container.duration, av.time_base)
        if not self._packets_end or self._packets_end - start >= promised * FAR_FROM_THE_END - LENGTH_IS_ROUNDED_TO:
            return 0
        return round(num_decoded * promised / max(self._packets_end - start, 1 / self._source.fps))

    def _seconds(self) -> Fraction | None:
        """What the header says of this stream alone. AVI counts places in time, empty ones too.

        Matroska's lengths are of the time from 0 on, whenever the first frame comes.
        """
        if self._source.container == "avi":
            return self._stream.frames * self._source.time_base
        start = max(Fraction(0), self._source.first_pts * self._source.time_base)
        if duration := self._stream.metadata.get("DURATION"):
            with suppress(ValueError):
                hours, minutes, seconds = duration.split(":")
                return 3600 * Fraction(hours) + 60 * Fraction(minutes) + Fraction(seconds) - start
        alone = self._source.container.startswith("matroska") and not self._source.has_sound
        promised = Fraction(self._container.duration or 0, av.time_base)
        return promised - start if alone and promised else None
