"""Tracks of sound and subtitles, copied packet by packet beside the pictures; sound is re-encoded where it must be."""

from collections.abc import Iterator
from fractions import Fraction

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from recast.video.container import SOUND_CODECS, reported, time_base
from recast.video.encode import FileKind, Moment
from recast.video.source import Source

OPUS_RATE = 48_000
# QuickTime's own list of languages has one code for each of these, and FFmpeg drops the other.
_OTHER_CODES = {"deu": "ger", "nld": "dut", "ell": "gre", "ces": "cze", "slk": "slo", "isl": "ice", "ron": "rum"}
_LEFT_OUT = {"sound": "it was", "subtitles": "they were"}


class _Copied:
    """Packets as they are."""

    def __init__(self, stream: Stream, target: OutputContainer) -> None:
        self._target, self.stream = target, target.add_stream_from_template(stream)

    def write(self, packet: Packet, shift: int) -> None:
        assert packet.pts is not None
        packet.pts -= shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        packet.stream = self.stream
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
        self.stream = self._out = out
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


class Track:
    """Carries one track of an open source, sound or subtitles, into an open target, a stretch at each call.

    out: what takes its packets. early: also what comes before the first frame is carried, with times below 0: the
    packet that an AAC decoder needs to start is such.
    """

    def __init__(
        self, source: Source, container: InputContainer, stream: Stream, out: _Copied | _Reencoded, *, early: bool
    ) -> None:
        self._source, self._container, self._stream = source, container, stream
        self._out, self._early = out, early
        self._begin: Fraction | None = None
        self._waiting: Packet | None = None
        self._packets = self._incoming()

    def _incoming(self) -> Iterator[Packet]:
        with reported(self._source.path, "has a damaged track of sound or subtitles; leave it out"):
            packets = self._container.demux(self._stream)
            yield from (packet for packet in packets if packet.size and packet.pts is not None)

    def carry(self, moment: Moment) -> None:
        """Writes what comes until the end of `moment`. The first one sets the clocks."""
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
        """Writes what the encoder holds back; with `rest`, first what goes on after the last frame."""
        if rest:
            self._carry_until(None)
        self._out.flush()


def opened_track(
    source: Source, container: InputContainer, stream: Stream, target: OutputContainer, kind: FileKind, *, early: bool
) -> tuple[Track | None, list[str]]:
    """A track and its place in the target; None where that cannot hold it. With what could not be kept."""
    codec = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
    what = "sound" if stream.type == "audio" else "subtitles"
    if codec in (kind.sounds if stream.type == "audio" else kind.subtitles):
        out, notes = _Copied(stream, target), []
    elif isinstance(stream, AudioStream) and kind.resound and codec in SOUND_CODECS:
        out = _Reencoded(stream, target, kind.resound)
        notes = [f"sound was re-encoded from {codec} to {out.became}"]
    else:
        return None, [f"{kind.container} cannot hold the {what} ({codec}); {_LEFT_OUT[what]} left out"]
    out.stream.metadata.update({key: text for key, text in stream.metadata.items() if key in ("language", "title")})
    if kind.container == "mov" and (language := out.stream.metadata.get("language")) in _OTHER_CODES:
        out.stream.metadata["language"] = _OTHER_CODES[language]
    out.stream.disposition = stream.disposition
    return Track(source, container, stream, out, early=early), notes
