"""Tracks of sound and subtitles, copied packet by packet beside the pictures; sound is re-encoded where it must be.

What is written here was read, and decoded where it had to be, in another process (`recast.video.isolated`).
"""

from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from math import ceil

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import OutputContainer
from av.packet import Packet, PacketSideData, packet_sidedata_type_from_literal
from av.stream import Disposition

from recast.errors import MediaError
from recast.video import isolated
from recast.video.container import SOUND_CODECS, reported
from recast.video.encode import FileKind, Moment
from recast.video.mould import mould
from recast.video.source import Source
from recast.video.tracks import DAMAGED_TRACK, Decoded, Packed, Part, TrackFacts, Voice, Wanted, frame_of

OPUS_RATE = 48_000
LEAST_MP3_RATE = 16_000
"""In MP4, by its standard."""
# QuickTime's own list of languages has one code for each of these, and FFmpeg drops the other.
_OTHER_CODES = {"deu": "ger", "nld": "dut", "ell": "gre", "ces": "cze", "slk": "slo", "isl": "ice", "ron": "rum"}
_LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
"""FFmpeg's own of one to eight channels."""
_LEFT_OUT = {"sound": "it was", "subtitles": "they were"}


class _Copied:
    """Packets as they are."""

    decoded = False

    def __init__(self, facts: TrackFacts, target: OutputContainer) -> None:
        if facts.voice is not None and not (facts.voice.rate and facts.voice.channels):
            raise MediaError("a track of sound says no rate, or no channels; leave it out")
        self._tick, voice = facts.tick, facts.voice or Voice(0, 0, "", None, None)
        with mould(
            facts.codec, voice.rate, voice.channels, delay=voice.delay, preroll=voice.preroll, depth=voice.depth
        ) as like:
            self._target, self.stream = target, target.add_stream_from_template(like)
        self.stream.time_base = facts.tick
        self.stream.codec_context.extradata = bytes.fromhex(facts.extra) or None
        if isinstance(self.stream, AudioStream):
            _set_up(self.stream, voice)

    def write(self, head: Packed | Decoded, data: bytes, shift: int) -> None:
        assert isinstance(head, Packed)
        packet = Packet(data)
        packet.time_base, packet.is_keyframe = self._tick, head.key
        packet.pts, packet.duration = head.pts - shift, head.duration
        packet.dts = packet.pts if head.dts is None else head.dts - shift
        for name, text in head.sides:
            beside = bytes.fromhex(text)
            kind = packet_sidedata_type_from_literal(name)
            # PyAV makes one so, which its types do not tell.
            side = PacketSideData(kind, len(beside))  # pyrefly: ignore[bad-argument-count]
            side.update(beside)
            packet.set_sidedata(side)
        packet.stream = self.stream
        self._target.mux(packet)

    def flush(self) -> None:
        pass


def _set_up(stream: AudioStream, voice: Voice) -> None:
    context = stream.codec_context
    context.sample_rate, context.layout = voice.rate, voice.layout
    if voice.form is not None:
        context.format = voice.form
    context.bit_rate = voice.bit_rate or 0


class _Reencoded:
    """Decoded sound encoded anew, in one or two channels."""

    decoded = True

    def __init__(self, voice: Voice, target: OutputContainer, encoder: str) -> None:
        rate = OPUS_RATE if encoder == "libopus" else _nearest(voice.rate, Codec(encoder, "w").audio_rates or [])
        self._target = target
        out = target.add_stream(encoder, rate=rate, options={"flags": "+bitexact"})
        assert isinstance(out, AudioStream)
        self.stream = self._out = out
        self._out.layout = "mono" if voice.channels == 1 else "stereo"
        self._out.codec_context.open()
        self.became = self._out.codec_context.codec.canonical_name
        if rate != voice.rate:
            self.became += f" at {rate} Hz"
        frame_size = self._out.codec_context.frame_size or None
        self._resampler = AudioResampler(self._out.format.name, self._out.layout, rate, frame_size)

    def write(self, head: Packed | Decoded, data: bytes, shift: int) -> None:
        assert isinstance(head, Decoded)
        frame = frame_of(head, data)
        frame.pts = None if frame.pts is None else frame.pts - shift
        self._target.mux(self._encoded(frame))

    def flush(self) -> None:
        self._target.mux([*self._encoded(None), *self._out.encode(None)])

    def _encoded(self, frame: AudioFrame | None) -> list[Packet]:
        return [packet for part in self._resampler.resample(frame) for packet in self._out.encode(part)]


def _nearest(rate: int, able: list[int]) -> int:
    """A rate that an encoder takes: this one, else the next above, else its highest."""
    above = [each for each in able if each >= rate]
    return min(above, default=max(able, default=rate))


class Track:
    """Carries one track of a source, sound or subtitles, into an open target, a stretch at each call.

    out: what takes its packets. early: also what comes before the first frame is carried, with times below 0: the
    packet that an AAC decoder needs to start is such.
    """

    def __init__(self, source: Source, facts: TrackFacts, out: _Copied | _Reencoded, *, early: bool) -> None:
        self._source, self._facts, self._out, self._early = source, facts, out, early
        self._begin: Fraction | None = None
        self._waiting: Part | None = None
        self._parts: Generator[Part] | None = None

    def carry(self, moment: Moment) -> None:
        """Writes what comes until the end of `moment`. The first one sets the clocks."""
        if self._begin is None:
            self._begin = self._source.first_seconds + moment.source_seconds - moment.seconds
        self._carry_until(moment.seconds + moment.duration)

    def _carry_until(self, end: Fraction | None) -> None:
        begin, tick = self._begin or Fraction(0), self._facts.tick
        if self._parts is None:
            first = None if self._early else ceil(begin / tick)
            self._parts = isolated.track(
                self._source.path, Wanted(self._facts.number, first, decoded=self._out.decoded)
            )
        with reported(self._source.path, DAMAGED_TRACK):
            while (part := self._waiting or next(self._parts, None)) is not None:
                self._waiting = part if end is not None and part[0].pts * tick - begin >= end else None
                if self._waiting is not None:
                    return
                self._out.write(*part, round(begin / tick))

    def finish(self, *, rest: bool) -> None:
        """Writes what the encoder holds back; with `rest`, first what goes on after the last frame."""
        if rest:
            self._carry_until(None)
        self._out.flush()

    def close(self) -> None:
        """Ends the process that reads the track."""
        if self._parts is not None:
            self._parts.close()


def opened_track(
    source: Source, facts: TrackFacts, target: OutputContainer, kind: FileKind, *, early: bool
) -> tuple[Track | None, list[str]]:
    """A track and its place in the target; None where that cannot hold it. With what could not be kept."""
    codec, voice = facts.codec, facts.voice
    what = "sound" if facts.kind == "audio" else "subtitles"
    facts, layout = _laid_out(facts, kind)
    if _is_held(facts, kind):
        with reported(source.path, DAMAGED_TRACK):
            out, notes = _Copied(facts, target), layout
    elif voice is not None and kind.resound and codec in SOUND_CODECS:
        out = _Reencoded(voice, target, kind.resound)
        notes = [f"sound was re-encoded from {codec} to {out.became}"]
    else:
        return None, [f"{kind.container} cannot hold the {what} ({codec}); {_LEFT_OUT[what]} left out"]
    out.stream.metadata.update(facts.metadata)
    if kind.container == "mov" and (language := out.stream.metadata.get("language")) in _OTHER_CODES:
        out.stream.metadata["language"] = _OTHER_CODES[language]
    out.stream.disposition = Disposition(facts.disposition)
    return Track(source, facts, out, early=early), notes


def _is_held(facts: TrackFacts, kind: FileKind) -> bool:
    """Whether the target takes the track's packets as they are."""
    if facts.voice is None:
        return facts.codec in kind.subtitles
    slow = kind.container == "mp4" and facts.codec == "mp3" and facts.voice.rate < LEAST_MP3_RATE
    return facts.codec in kind.sounds and not slow


def _laid_out(facts: TrackFacts, kind: FileKind) -> tuple[TrackFacts, list[str]]:
    """The track with named channels, where the target has to name them and its source does not; and what is assumed.

    Raises MediaError for more channels than have usual names.
    """
    voice = facts.voice
    if voice is None or kind.container != "mp4" or not facts.codec.startswith("pcm") or "channels" not in voice.layout:
        return facts, []
    if voice.channels > len(_LAYOUTS):
        raise MediaError(f"MP4 has no usual order for {voice.channels} channels of sound without names; use mov or mkv")
    layout = _LAYOUTS[voice.channels - 1]
    notes = [f"the sound's {voice.channels} channels have no names; {layout} is assumed"] * (voice.channels > 2)
    return replace(facts, voice=replace(voice, layout=layout)), notes
