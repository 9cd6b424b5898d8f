"""The source's sound, copied packet by packet beside the new pictures, re-encoded only where it must be."""

from collections.abc import Iterator
from fractions import Fraction

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from recast.video.container import SOUND_CODECS, reported, time_base
from recast.video.encode import FileKind, Moment
from recast.video.source import Source

OPUS_RATE = 48_000


def fits(source: Source, kind: FileKind) -> bool:
    """Whether the target can hold the source's sound, copied or re-encoded."""
    return source.sound_codec in kind.sounds or (kind.resound is not None and source.sound_codec in SOUND_CODECS)


class _Copied:
    """Sound packets as they are."""

    def __init__(self, stream: AudioStream, target: OutputContainer) -> None:
        self._target, self._out = target, target.add_stream_from_template(stream)

    def write(self, packet: Packet, shift: int) -> None:
        assert packet.pts is not None
        packet.pts -= shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        packet.stream = self._out
        self._target.mux(packet)

    def flush(self) -> None:
        pass


class _Reencoded:
    """Sound packets decoded and encoded anew, in one or two channels."""

    def __init__(self, stream: AudioStream, target: OutputContainer, encoder: str) -> None:
        context = stream.codec_context
        rate = OPUS_RATE if encoder == "libopus" else context.rate
        self._target = target
        out = target.add_stream(encoder, rate=rate, options={"flags": "+bitexact"})
        assert isinstance(out, AudioStream)
        self._out = out
        self._out.layout = "mono" if context.channels == 1 else "stereo"
        self._out.codec_context.open()
        self.became = self._out.codec_context.codec.canonical_name
        frame_size = self._out.codec_context.frame_size or None
        self._resampler = AudioResampler(self._out.format.name, self._out.layout, rate, frame_size)

    def write(self, packet: Packet, shift: int) -> None:
        for frame in packet.decode():
            assert isinstance(frame, AudioFrame)
            frame.pts = None if frame.pts is None else frame.pts - shift
            self._target.mux(self._encoded(frame))

    def flush(self) -> None:
        self._target.mux([*self._encoded(None), *self._out.encode(None)])

    def _encoded(self, frame: AudioFrame | None) -> list[Packet]:
        return [packet for part in self._resampler.resample(frame) for packet in self._out.encode(part)]


class Sound:
    """Carries sound from an open source into an open target, a stretch at each call.

    early: also what sounds before the first frame is carried, with times below 0: the packet that an AAC decoder needs
    to start is such.
    """

    def __init__(
        self, source: Source, container: InputContainer, target: OutputContainer, kind: FileKind, *, early: bool
    ) -> None:
        assert fits(source, kind)
        self._source, self._container, self._early = source, container, early
        stream = container.streams.best("audio")
        assert isinstance(stream, AudioStream)
        self._stream = stream
        self._begin: Fraction | None = None
        self._waiting: Packet | None = None
        self.notes: list[str] = []
        if source.sound_codec in kind.sounds:
            self._out = _Copied(self._stream, target)
        else:
            self._out = _Reencoded(self._stream, target, kind.resound or "")
            self.notes.append(f"sound was re-encoded from {source.sound_codec} to {self._out.became}")
        self._packets = self._incoming()

    def _incoming(self) -> Iterator[Packet]:
        with reported(self._source.path, "has damaged sound; leave the sound out"):
            packets = self._container.demux(self._stream)
            yield from (packet for packet in packets if packet.size and packet.pts is not None)

    def carry(self, moment: Moment) -> None:
        """Writes what sounds until the end of `moment`. The first one sets the clocks."""
        if self._begin is None:
            self._begin = self._source.first_seconds + moment.source_seconds - moment.seconds
        self._carry_until(moment.seconds + moment.duration)

    def _carry_until(self, end: Fraction | None) -> None:
        begin, tick = self._begin or Fraction(0), time_base(self._stream)
        while (packet := self._waiting or next(self._packets, None)) is not None:
            time = (packet.pts or 0) * tick - begin
            self._waiting = packet if end is not None and time >= end else None
            if self._waiting is not None:
                return
            if time >= 0 or self._early:
                self._out.write(packet, round(begin / tick))

    def finish(self, *, rest: bool) -> None:
        """Writes what the encoder holds back; with `rest`, first the sound that goes on after the last frame."""
        if rest:
            self._carry_until(None)
        self._out.flush()
