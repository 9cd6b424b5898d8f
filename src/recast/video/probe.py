"""What a video file says of itself, checked against its first packets and its first decoded frame."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from recast.errors import MediaError
from recast.video.colour import HDR_NOTES, TRANSPARENT, UNTOLD, assumed_matrix, colour_of, has_alpha
from recast.video.container import time_base
from recast.video.decode import alpha_decoder, decoded
from recast.video.promises import packets_are_not_frames
from recast.video.source import DEINTERLACED, Damage, Orientation, Source

NUM_SCANNED = 256
NUM_REORDERED = 32
HIGHEST_FPS = 300
ROUNDING = Fraction(1, 10_000)
USUAL_RATES = tuple(Fraction(n, d) for d in (1000, 1001) for n in (24000, 25000, 30000, 48000, 50000, 60000, 120000))


@dataclass(frozen=True)
class PacketScan:
    """The first frame; the first packets' times, sorted, in the time base; where the last of them ends."""

    first: VideoFrame
    times: list[int]
    end: int
    complete: bool
    damage: Damage


def probed(path: Path, container: InputContainer, stream: VideoStream) -> Source:
    """All that `Source` holds. Raises MediaError where no frame can be decoded."""
    scan = _scanned(path, container, stream)
    fps, constant = _rate(stream, scan)
    frame, orientation = scan.first, _orientation(scan.first)
    sound = container.streams.best("audio")
    return Source(
        path=path,
        size=orientation.upright_size((frame.height, frame.width)),
        fps=fps,
        time_base=time_base(stream),
        codec=stream.codec_context.codec.canonical_name,
        pixel_format=frame.format.name,
        container=container.format.name,
        num_frames=len(scan.times) if scan.complete else stream.frames or None,
        seconds=_seconds(container, stream, scan),
        sample_aspect=_sample_aspect(stream, orientation),
        orientation=orientation,
        colour=colour_of(frame),
        constant=constant,
        interlaced=frame.interlaced_frame,
        transparent=has_alpha(frame),
        sound_codec=None if sound is None else sound.codec_context.codec.canonical_name,
        first_pts=scan.times[0] if frame.pts is None else frame.pts,
        assumed=tuple(_notes(frame)),
        damage=scan.damage,
    )


def _scanned(path: Path, container: InputContainer, stream: VideoStream) -> PacketScan:
    decoder = alpha_decoder(stream) or stream.codec_context
    first, ends, frame_ends, damage = None, {}, {}, Damage()
    complete = True
    for packet in container.demux(stream):
        if packet.size and not packet.is_discard:
            ends |= _end(packet)
        if first is None or packets_are_not_frames(stream, interlaced=first.interlaced_frame):
            for frame in decoded(decoder, packet, damage):
                first = first or frame
                frame_ends |= _end(frame)
        if first is not None and max(len(ends), len(frame_ends)) >= NUM_SCANNED:
            complete = False
            break
    if first is None:
        raise MediaError(f"the video has no frame that can be decoded: {path}")
    ends = frame_ends if packets_are_not_frames(stream, interlaced=first.interlaced_frame) else ends
    # Packets come in order of decoding: near the end of an unfinished scan some times are still missing.
    times = sorted(ends)[: None if complete else -NUM_REORDERED] or [0]
    return PacketScan(first, times, ends.get(times[-1], 0), complete, damage)


def _end(timed: Packet | VideoFrame) -> dict[int, int]:
    """Where the packet or frame ends, by where it starts."""
    time = timed.dts if timed.pts is None else timed.pts
    return {} if time is None else {time: time + (timed.duration or 0)}


def _rate(stream: VideoStream, scan: PacketScan) -> tuple[Fraction, bool]:
    """Mean frame rate, and whether it is constant: every time within a tick of its place on the grid."""
    tick = time_base(stream)
    rates = [rate for rate in (stream.average_rate, stream.guessed_rate) if rate and 0 < rate <= HIGHEST_FPS]
    for rate in dict.fromkeys([*_meant(rates, tick), *rates, *USUAL_RATES]):
        plausible = scan.complete or not rates or abs(rate / rates[0] - 1) < Fraction(1, 100)
        if plausible and _on_grid(scan.times, rate * tick):
            return rate, True
    span = scan.end - scan.times[0]
    if scan.complete and span:
        return (Fraction(len(scan.times), span) / tick).limit_denominator(100_000), False
    return (rates[0] if rates else Fraction(25)), False


def _meant(rates: list[Fraction], tick: Fraction) -> list[Fraction]:
    """The usual rate that a header in whole milliseconds rounds: 30000/1001 where it says 29.97."""
    coarse = tick >= Fraction(1, 1000)
    return [rate for rate in USUAL_RATES if coarse and rates and abs(rates[0] / rate - 1) < ROUNDING]


def _on_grid(times: list[int], frames_per_tick: Fraction) -> bool:
    grid = zip(times, count(times[0], 1 / frames_per_tick), strict=False)
    return all(abs(time - place) <= 1 for time, place in grid)


def _seconds(container: InputContainer, stream: VideoStream, scan: PacketScan) -> Fraction | None:
    if scan.complete and scan.end > scan.times[0]:
        return (scan.end - scan.times[0]) * time_base(stream)
    if stream.duration:
        return stream.duration * time_base(stream)
    return Fraction(container.duration, 1_000_000) if container.duration else None


def _sample_aspect(stream: VideoStream, orientation: Orientation) -> Fraction:
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return 1 / aspect if orientation.transposed else Fraction(aspect)


def _orientation(frame: VideoFrame) -> Orientation:
    """From the display matrix: x' = a x + c y, y' = b x + d y, fixed point (ISO 14496-12, 6.2.2)."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Orientation()
    assert isinstance(matrix, SideData)
    a, b, _, c, d = (int(entry) for entry in np.frombuffer(bytes(matrix), "<i4")[:5])
    if abs(b) > abs(a):
        return Orientation(transposed=True, rows_reversed=b < 0, columns_reversed=c < 0)
    return Orientation(rows_reversed=d < 0, columns_reversed=a < 0)


def _notes(frame: VideoFrame) -> list[str]:
    colour = colour_of(frame)
    notes = [HDR_NOTES[colour.transfer]] if colour.transfer in HDR_NOTES else []
    if has_alpha(frame):
        notes.append(TRANSPARENT)
    bits = max(component.bits for component in frame.format.components)
    if bits > 8:
        notes.append(f"{bits}-bit colours were brought to 8 bits")
    if frame.interlaced_frame:
        notes.append(DEINTERLACED)
    if colour.matrix in (0, UNTOLD) and not frame.format.is_rgb:
        standard = {1: "BT.709", 6: "BT.601"}[assumed_matrix((frame.height, frame.width))]
        notes.append(f"the file does not tell its colour matrix; {standard} is assumed, as for others of its size")
    return notes
