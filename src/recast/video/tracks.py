"""Tracks of sound and subtitles as a source holds them: what they are, their packets, and their sound decoded.

Read where files are decoded (`recast.video.forked`), and sent as bytes to who writes them.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Annotated, Literal, get_args

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from pydantic import Field, TypeAdapter

from recast.video.container import time_base
from recast.video.mould import BIT_DEPTH, CODEC_DELAY, SEEK_PRE_ROLL, number_in

Int64 = Annotated[int, Field(gt=-(2**63), lt=2**63)]
Nanoseconds = Annotated[int, Field(ge=0, le=10**10)]
Side = Literal[
    "new_extradata", "skip_samples", "matroska_block_additional", "webvtt_identifier", "webvtt_settings", "replay_gain"
]
"""What comes beside a packet, as far as a writer of sound or subtitles heeds it."""
SIDES: tuple[Side, ...] = get_args(Side)
SAMPLES = {"u8": "u1", "s16": "<i2", "s32": "<i4", "flt": "<f4", "dbl": "<f8"}
"""Kinds of samples in one plane; with a p behind them they are in one plane a channel."""
DAMAGED_TRACK = "has a damaged track of sound or subtitles; leave it out"
MOST_SILENT = 1000
"""Packets of other tracks after which a sign is given that reading goes on."""


@dataclass(frozen=True)
class Voice:
    """What is known of a track of sound. delay, preroll: in nanoseconds. depth: bits of a sample, 0 if untold."""

    rate: Annotated[int, Field(ge=0, le=10**6)]
    channels: Annotated[int, Field(ge=0, le=64)]
    layout: str
    form: str | None
    bit_rate: Int64 | None
    delay: Nanoseconds = 0
    preroll: Nanoseconds = 0
    depth: Annotated[int, Field(ge=0, le=64)] = 0


@dataclass(frozen=True)
class TrackFacts:
    """What is known of a track. extra: what its decoder has to know first, in hexadecimal."""

    number: int
    kind: Literal["audio", "subtitle"]
    codec: str
    tick: Annotated[Fraction, Field(gt=0, le=1000)]
    metadata: dict[str, str]
    disposition: Annotated[int, Field(ge=0, lt=2**31)]
    extra: str = ""
    voice: Voice | None = None


@dataclass(frozen=True)
class Wanted:
    """Which track, from what packet time on (None: from the first), and whether its sound is to be decoded."""

    number: int
    first: int | None
    decoded: bool


@dataclass(frozen=True)
class Packed:
    """A packet as it is, but for its bytes. sides: what comes beside them, in hexadecimal."""

    pts: Int64
    dts: Int64 | None
    duration: Int64 | None
    key: bool
    sides: tuple[tuple[Side, str], ...] = ()


@dataclass(frozen=True)
class Decoded:
    """Decoded sound of the packet at `pts`, but for its samples. begin: its own time, in ticks of its own."""

    pts: Int64
    begin: Int64 | None
    tick: Annotated[Fraction, Field(gt=0, le=1000)]
    rate: Annotated[int, Field(ge=1, le=10**6)]
    form: str
    layout: str
    shape: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=0)]]


Part = tuple[Packed | Decoded, bytes]
_PART = TypeAdapter(Packed | Decoded)


def facts_of(stream: Stream) -> TrackFacts:
    """What is known of an open track of sound or subtitles."""
    context = stream.codec_context
    voice = _voice(stream, context) if isinstance(context, AudioCodecContext) else None
    return TrackFacts(
        number=stream.index,
        kind="audio" if stream.type == "audio" else "subtitle",
        codec=context.codec.canonical_name if context else "unknown",
        tick=time_base(stream),
        metadata={key: text for key, text in stream.metadata.items() if key in ("language", "title")},
        disposition=int(stream.disposition),
        extra=(context.extradata or b"").hex() if context else "",
        voice=voice,
    )


def _voice(stream: Stream, context: AudioCodecContext) -> Voice:
    header = BytesIO()
    # PyAV tells neither delay nor depth, and a Matroska file does. What it cannot hold has none to be kept.
    with suppress(Exception), av.open(header, "w", format="matroska") as written:
        written.add_stream_from_template(stream)
        written.start_encoding()
    numbers = {name: number_in(header.getvalue(), name) for name in (CODEC_DELAY, SEEK_PRE_ROLL, BIT_DEPTH)}
    return Voice(
        rate=context.rate,
        channels=context.channels,
        layout=context.layout.name,
        form=context.format.name if context.format else None,
        bit_rate=context.bit_rate,
        delay=numbers[CODEC_DELAY],
        preroll=numbers[SEEK_PRE_ROLL],
        depth=numbers[BIT_DEPTH],
    )


def parts_of(container: InputContainer, wanted: Wanted, tick: Callable[[], None]) -> Iterator[Part]:
    """A track's packets or decoded sound, in the file's order. tick: called while only other tracks come."""
    silent = 0
    for packet in container.demux():
        silent = (silent + 1) % MOST_SILENT
        if not silent:
            tick()
        if packet.stream_index != wanted.number or not packet.size or packet.pts is None:
            continue
        if wanted.first is not None and packet.pts < wanted.first:
            continue
        if not wanted.decoded:
            yield _packed(packet), bytes(packet)
            continue
        for frame in packet.decode():
            assert isinstance(frame, AudioFrame)
            yield _decoded(packet.pts, frame, container.streams[wanted.number])


def _packed(packet: Packet) -> Packed:
    held = ((side.data_type, bytes(side).hex()) for side in packet.iter_sidedata())
    sides = tuple((name, data) for name, data in held if name in SIDES)
    assert packet.pts is not None
    return Packed(packet.pts, packet.dts, packet.duration, packet.is_keyframe, sides)


def _decoded(pts: int, frame: AudioFrame, stream: Stream) -> Part:
    samples = frame.to_ndarray()
    tick = frame.time_base or time_base(stream)
    shape = (samples.shape[0], samples.shape[1])
    head = Decoded(pts, frame.pts, tick, frame.sample_rate, frame.format.name, frame.layout.name, shape)
    return head, np.ascontiguousarray(samples).tobytes()


def part_to_bytes(part: Part) -> bytes:
    """Four bytes of how long its facts are, these as JSON, then its own bytes."""
    head = _PART.dump_json(part[0])
    return len(head).to_bytes(4, "little") + head + part[1]


def part_from_bytes(body: bytes) -> Part:
    """The part. Raises ValueError for anything else."""
    size = 4 + int.from_bytes(body[:4], "little")
    return _PART.validate_json(body[4:size]), body[size:]


def frame_of(head: Decoded, data: bytes) -> AudioFrame:
    """Decoded sound as a frame. Raises ValueError where its bytes are not what its facts say."""
    samples = np.frombuffer(data, SAMPLES[head.form.removesuffix("p")]).reshape(head.shape)
    frame = AudioFrame.from_ndarray(samples, format=head.form, layout=head.layout)
    frame.sample_rate, frame.time_base, frame.pts = head.rate, head.tick, head.begin
    return frame
