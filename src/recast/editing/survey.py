"""What must be known of a long clip before its first segment: its length, its shots, and what scales a shot's maps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import UInt8
from torch import Tensor

from recast.conditions import Extractor
from recast.conditions.clip_scale import ClipScale, RawMap, ValueCounts
from recast.editing.segments import ClipReader
from recast.types import Frames
from recast.video.cuts import SEEN_AFTER, SEEN_BEFORE, cuts

MOST_SAMPLES = 64
"""Frames, evenly spaced, that tell what a long shot shows."""


@dataclass(frozen=True, eq=False)
class ShotFacts:
    """What belongs to a whole shot. samples: frames that tell what it shows. scales: of its maps, by kind."""

    samples: Frames
    scales: Mapping[str, ClipScale]


@dataclass(frozen=True, eq=False)
class Survey:
    """What was found up to now.

    frames: how many were seen. first: the number of the first one in the source. starts: of the shots, counted from
    that one. counts: of the values of each structure in the last shot, by kind. last: what was measured of the last
    frame, by kind. samples: every `step`-th frame of the last shot.
    """

    frames: int = 0
    first: int = 0
    complete: bool = False
    starts: tuple[int, ...] = (0,)
    counts: Mapping[str, ValueCounts] = field(default_factory=dict)
    last: Mapping[str, RawMap] = field(default_factory=dict)
    samples: tuple[UInt8[Tensor, "3 h w"], ...] = ()
    step: int = 1

    def shot(self, extractors: Mapping[str, Extractor]) -> ShotFacts:
        """What is known of the last shot."""
        scales = {kind: counts.scale(extractors[kind].shares) for kind, counts in self.counts.items()}
        return ShotFacts(torch.stack(self.samples), scales)


@dataclass(frozen=True, eq=False)
class Surveyor:
    """Reads a clip once, `stride` frames at a time.

    keep: is told after each part, and close when a shot has ended, before that.
    """

    reader: ClipReader
    extractors: Mapping[str, Extractor]
    detector: str
    stride: int
    keep: Callable[[Survey], None]
    close: Callable[[Survey], None]

    @property
    def reach(self) -> int:
        """Frames on either side that maps of structure depend on."""
        return max((extractor.reach for extractor in self.extractors.values()), default=0)

    @property
    def before(self) -> int:
        """Frames that are read anew where a survey goes on."""
        return max(self.reach, SEEN_BEFORE)

    def surveyed(self, survey: Survey) -> Survey:
        """The survey of the whole clip, from where `survey` stands."""
        while not survey.complete:
            survey = self._with_part(survey)
        return survey

    def _with_part(self, survey: Survey) -> Survey:
        """With the frames up to the last cut in the next part, or all of it."""
        done = survey.frames
        start, wanted = max(0, done - self.before), done + self.stride + self.reach + SEEN_AFTER
        held = self.reader.span(start, wanted)
        read = start + len(held)
        stop, found = min(done + self.stride, read), cuts(held, self.detector, start)
        for cut in (cut for cut in found if max(done, survey.starts[-1] + 1) <= cut <= stop):
            survey = self._measured(survey, held, start, slice(survey.frames, cut), shot_stop=cut)
            self.close(survey)
            survey = Survey(survey.frames, survey.first, starts=(*survey.starts, cut))
        at_end = read < wanted and stop == read
        if at_end or survey.frames == done:
            shot_stop = min((cut for cut in found if cut > stop), default=read)
            survey = self._measured(survey, held, start, slice(survey.frames, stop), shot_stop=shot_stop)
        if at_end:
            self.close(survey)
            survey = replace(survey, complete=True)
        self.keep(survey)
        return survey

    def _measured(self, survey: Survey, held: Frames, start: int, part: slice, *, shot_stop: int) -> Survey:
        """With the frames `part`, by themselves and those of their shot around them. start: number of held[0]."""
        if part.start >= part.stop:
            return survey
        begin = max(survey.starts[-1], start)
        frames, inner = held[begin - start : shot_stop - start], slice(part.start - begin, part.stop - begin)
        counts, last = dict(survey.counts), dict(survey.last)
        for kind, extractor in self.extractors.items():
            measured = extractor.measured(frames, inner, last.get(kind))
            counts.setdefault(kind, ValueCounts()).add(extractor.values(measured))
            last[kind] = measured[-1].clone()
        places = range(part.start - survey.starts[-1], part.stop - survey.starts[-1])
        chosen = [frames[inner][place - places.start] for place in places if not place % survey.step]
        samples = [*survey.samples, *(frame.clone() for frame in chosen)]
        step = survey.step
        while len(samples) > MOST_SAMPLES:
            samples, step = samples[::2], 2 * step
        first = self.reader.first
        return Survey(part.stop, first, False, survey.starts, counts, last, tuple(samples), step)
