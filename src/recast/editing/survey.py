"""What belongs to a whole clip and must be known before its first segment: its length, and what scales its maps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import UInt8
from torch import Tensor

from recast.conditions import Extractor
from recast.conditions.clip_scale import ClipScale, RawMap, ValueCounts
from recast.editing.segments import ClipReader
from recast.types import Frames

MOST_SAMPLES = 64
"""Frames, evenly spaced, that tell what a long clip shows."""


@dataclass(frozen=True, eq=False)
class Survey:
    """What was found up to now.

    frames: how many were seen. first: the number of the first one in the source. counts: of the values of each
    structure, by kind. last: what was measured of the last frame, by kind. samples: every `step`-th frame.
    """

    frames: int = 0
    first: int = 0
    complete: bool = False
    counts: Mapping[str, ValueCounts] = field(default_factory=dict)
    last: Mapping[str, RawMap] = field(default_factory=dict)
    samples: tuple[UInt8[Tensor, "3 h w"], ...] = ()
    step: int = 1

    def scale(self, kind: str, extractor: Extractor) -> ClipScale:
        """What scales the maps of a kind."""
        return self.counts[kind].scale(extractor.shares)

    @property
    def shown(self) -> Frames:
        """The samples."""
        return torch.stack(self.samples)


def surveyed(
    survey: Survey,
    reader: ClipReader,
    extractors: Mapping[str, Extractor],
    stride: int,
    keep: Callable[[Survey], None],
) -> Survey:
    """The survey of the whole clip, from where `survey` stands, `stride` frames at a time; `keep` is told each time."""
    reach = max((extractor.reach for extractor in extractors.values()), default=0)
    while not survey.complete:
        clip, part = reader.clip(slice(survey.frames, survey.frames + stride), reach)
        if part.start < part.stop:
            survey = _with_part(survey, clip.frames, part, extractors, first=reader.first)
        survey = replace(survey, complete=part.stop - part.start < stride)
        keep(survey)
    return survey


def _with_part(survey: Survey, frames: Frames, part: slice, extractors: Mapping[str, Extractor], first: int) -> Survey:
    counts, last = dict(survey.counts), dict(survey.last)
    for kind, extractor in extractors.items():
        measured = extractor.measured(frames, part, last.get(kind))
        counts.setdefault(kind, ValueCounts()).add(extractor.values(measured))
        last[kind] = measured[-1].clone()
    numbers = range(survey.frames, survey.frames + part.stop - part.start)
    chosen = [frames[part][number - survey.frames] for number in numbers if not number % survey.step]
    samples = [*survey.samples, *(frame.clone() for frame in chosen)]
    step = survey.step
    while len(samples) > MOST_SAMPLES:
        samples, step = samples[::2], 2 * step
    return Survey(numbers.stop, first, False, counts, last, tuple(samples), step)
