"""A clip at another frame rate: its own frames where they were, and new ones between them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib.metadata import version
from itertools import pairwise
from math import ceil

import torch
from jaxtyping import UInt8
from torch import Tensor

from recast.conditions.interpolation import in_between
from recast.conditions.raft import RAFTFlow
from recast.editing.checks import check_target, source_of, treated
from recast.editing.progress import Stage, no_progress, stage
from recast.editing.record import Record, digest, input_files
from recast.editing.request import FIELDS, Request
from recast.errors import MediaError, RequestError, known
from recast.progress import ProgressCallback
from recast.types import Frames
from recast.video.cuts import DETECTORS, cuts
from recast.video.frame import Frame
from recast.video.read import Source, Window, frames, opened
from recast.video.write import MOST_FPS, writing

MOST_TIMES = 64
"""Frames made of one."""
COMMAND = "interpolate"
"""Under what name a record says the rate."""
OF_A_PART = ("start", "end", "duration", "max_frames", "mask")
Picks = Sequence[tuple[int, Fraction]]
"""Pictures by the key before them and the share of the way to the next one, less than 1; 0 is the key itself."""
Span = tuple[Fraction, Fraction]
"""From when until when, in seconds from the first frame on."""
Image = UInt8[Tensor, "3 h w"]


@dataclass(frozen=True)
class Maker:
    """What makes pictures between frames. keys: most frames that it sees at once, 2 or more.

    made: the pictures at some picks of these frames, in order, one frame each.
    model: name and digest of the one that it goes by. source_type: IPTC's, of what it makes.
    """

    keys: int
    made: Callable[[Frames, Picks], Iterator[Frames]]
    model: dict[str, str] = field(default_factory=dict)
    source_type: str = ""


def by_flow(request: Request) -> Maker:
    """By optical flow between two frames: RAFT's where the request names its weights, else DIS's."""
    estimate = None if request.flow is None else RAFTFlow.opened(request.flow)
    return Maker(2, lambda keys, picks: in_between(keys, picks, estimate))


@dataclass(frozen=True)
class Rate:
    """How often there are frames: `times` as many as there were, or `fps` a second. One of both.

    Raises RequestError for neither, both, and numbers out of range.
    """

    times: int | None = None
    fps: Fraction | None = None

    def __post_init__(self) -> None:
        if (self.times is None) == (self.fps is None):
            given = "nothing says" if self.times is None else "both a factor and a rate say"
            raise RequestError(f"{given} how many frames there should be; say --factor 2, or --rate 60")
        if self.times is not None and not 1 <= self.times <= MOST_TIMES:
            raise RequestError(f"a factor of {self.times}; one frame becomes 1 to {MOST_TIMES}")

    def of(self, source: Source) -> Fraction:
        """Frames a second. Raises RequestError for more than a file may have."""
        rate = self.fps if self.times is None else source.fps * self.times
        assert rate is not None, "one of both is given"
        if not 0 < rate <= MOST_FPS:
            own = f"from {float(source.fps):g} a second"
            raise RequestError(f"{float(rate):g} frames a second, {own}; give more than 0 and at most {MOST_FPS}")
        return rate

    def moments(self, begin: Fraction, end: Fraction, rate: Fraction) -> list[Span]:
        """When frames are shown that begin from `begin`, a frame's time, until `end`, the next one's."""
        if self.times is not None:
            part = (end - begin) / self.times
            return [(begin + part * number, begin + part * (number + 1)) for number in range(self.times)]
        numbers = range(ceil(begin * rate), ceil(end * rate))
        return [(number / rate, (number + 1) / rate) for number in numbers]


@dataclass(frozen=True, eq=False)
class _Key:
    """A frame of the source. seconds: its time from the first one on, exact where the rate is steady."""

    pixels: Image
    seconds: Fraction
    duration: Fraction
    number: int


def interpolate(
    request: Request, rate: Rate, maker: Maker | None = None, watch: ProgressCallback = no_progress
) -> tuple[str, ...]:
    """Writes the request's source at another rate: its length, size and sound are kept, and frames where they fit.

    request: its source, target, cuts, codec, flow and treatment of odd sources count here. maker: of what is between
    frames, by flow if None; across cuts they are held. Returns what could not be kept. Raises RequestError for a rate
    that no file has, and what opening and writing raise.
    """
    known("detector of cuts", request.cuts, DETECTORS)
    for name in OF_A_PART:
        if getattr(request, name) != FIELDS[name].get_default():
            raise RequestError(f"the whole clip gets another rate, and {name.replace('_', ' ')} is of a part of it")
    source = treated(opened(source_of(request), request.on_damage), request)
    if source.keeps_alpha:
        raise RequestError("frames between frames have no alpha of the source's to keep; say --alpha black")
    target, out = check_target(request, source), retimed(source, rate)
    maker = maker or by_flow(request)
    with stage(Stage.READ, watch):
        starts = frozenset(cuts((each.pixels for each in frames(source, Window())), request.cuts))
    shown = _moments((_key(source, each) for each in frames(source, Window())), rate, out.fps, starts, maker)
    whole = ceil((source.seconds or Fraction(0)) * out.fps)
    record = _record(request, rate, maker, source.notes).to_json()
    with (
        stage(Stage.WRITE, watch) as report,
        writing(target, out, Window(), record=record, overwrite=request.overwrite, codec=request.codec) as writer,
    ):
        for number, (pixels, span) in enumerate(shown):
            report(number, max(whole, number + 1))
            writer.add(pixels, _timed(out, pixels, span, number))
        return tuple(dict.fromkeys((*source.notes, *writer.notes)))


def _record(request: Request, rate: Rate, maker: Maker, notes: tuple[str, ...]) -> Record:
    asked = request.to_dict() | {COMMAND: {"times": rate.times, "fps": rate.fps and str(rate.fps)}}
    inputs = {str(path): digest(path) for path in input_files(request)}
    return Record(version("recast-video"), asked, maker.model, inputs, {}, notes, maker.source_type)


def recorded(record: Record) -> tuple[Request, Rate, bool] | None:
    """What an interpolation was asked for, and whether a model made it; None for the record of anything else.

    Raises MediaError where the record is damaged.
    """
    if COMMAND not in record.request:
        return None
    asked = dict(record.request)
    try:
        often = asked.pop(COMMAND)
        rate = Rate(often["times"], often["fps"] and Fraction(often["fps"]))
        return Request.from_dict(asked), rate, bool(record.model)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, RequestError) as fault:
        raise MediaError(f"the file's record is damaged, or of a later version: {fault}") from None


def retimed(source: Source, rate: Rate) -> Source:
    """The source as what is written is timed: at the new rate, in ticks so fine that all its times are whole."""
    fps = rate.of(source)
    steady = source.constant or rate.times is None
    finer = (1 / fps / source.time_base).denominator if steady else rate.times
    assert finer is not None, "either steady or so many times as many"
    return replace(
        source,
        fps=fps,
        time_base=source.time_base / finer,
        first_pts=source.first_pts * finer,
        constant=steady,
        num_frames=None,
    )


def _key(source: Source, frame: Frame) -> _Key:
    place = round(frame.seconds * source.fps) / source.fps
    steady = source.constant and abs(frame.seconds - place) <= source.time_base
    lasts = 1 / source.fps if source.constant or not frame.duration else frame.duration * source.time_base
    return _Key(frame.pixels, place if steady else frame.seconds, lasts, frame.index)


def _moments(
    keys: Iterator[_Key], rate: Rate, fps: Fraction, starts: frozenset[int], maker: Maker
) -> Iterator[tuple[Image, Span]]:
    """All pictures with their times. starts: numbers of the frames that begin a shot."""
    run = [next(keys)]
    for key in keys:
        if key.number in starts:
            yield from _made(run, rate, fps, maker)
            yield from _held(run[-1], key, rate.moments(run[-1].seconds, key.seconds, fps))
            run = [key]
            continue
        run.append(key)
        if len(run) == maker.keys:
            yield from _made(run, rate, fps, maker)
            run = [key]
    yield from _made(run, rate, fps, maker)
    end = run[-1].seconds + run[-1].duration
    yield from _held(run[-1], run[-1], rate.moments(run[-1].seconds, end, fps))


def _made(run: Sequence[_Key], rate: Rate, fps: Fraction, maker: Maker) -> Iterator[tuple[Image, Span]]:
    """From the first of some frames of one shot until the last, which is not among them."""
    spans, picks = list[Span](), list[tuple[int, Fraction]]()
    for number, (one, other) in enumerate(pairwise(run)):
        for span in rate.moments(one.seconds, other.seconds, fps):
            spans.append(span)
            picks.append((number, (span[0] - one.seconds) / (other.seconds - one.seconds)))
    if picks:
        made = maker.made(torch.stack([key.pixels for key in run]), picks)
        yield from zip((picture[0] for picture in made), spans, strict=True)


def _held(before: _Key, after: _Key, spans: Sequence[Span]) -> Iterator[tuple[Image, Span]]:
    """Where nothing is between two frames: the nearer one."""
    for span in spans:
        earlier = 2 * span[0] < before.seconds + after.seconds
        yield (before if earlier else after).pixels, span


def _timed(out: Source, pixels: Image, span: Span, number: int) -> Frame:
    begin, lasts = span[0] / out.time_base, (span[1] - span[0]) / out.time_base
    return Frame(pixels, round(begin), span[0], number, max(1, round(lasts)))
