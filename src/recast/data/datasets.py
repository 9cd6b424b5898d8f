"""Datasets: sources of examples grouped into buckets of one size, from which batches are drawn."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from recast.data.examples import Example, ExampleSource
from recast.errors import RequestError


@dataclass(frozen=True, eq=False)
class Joined:
    """Concatenated sources of one shape."""

    sources: Sequence[ExampleSource]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(map(len, self.sources)))

    def __len__(self) -> int:
        return self._ends[-1]

    def example(self, index: int) -> Example:
        """The example at `index` of the concatenation."""
        which = bisect_right(self._ends, index)
        return self.sources[which].example(index - (self._ends[which - 1] if which else 0))


Shape = tuple[int, int, int]
"""Frames, and height and width of their latents."""


def shape_of(source: ExampleSource) -> Shape:
    """The shape that all examples of a source have."""
    frames, _, rows, columns = source.example(0).moments.shape
    return frames, rows, columns


def buckets(sources: Sequence[ExampleSource]) -> dict[Shape, Joined]:
    """Sources grouped by shape, in the order of first appearance; empty sources are left out."""
    groups: dict[Shape, list[ExampleSource]] = defaultdict(list)
    for source in sources:
        if len(source):
            groups[shape_of(source)].append(source)
    return {shape: Joined(group) for shape, group in groups.items()}


@dataclass(frozen=True, eq=False)
class DataMix:
    """Buckets for image steps and for video steps."""

    pictures: Sequence[ExampleSource]
    clips: Sequence[ExampleSource]

    @classmethod
    def of(cls, sources: Sequence[ExampleSource], frames: int) -> "DataMix":
        """Sources of at least `frames` frames are clips, shorter ones pictures; without pictures, clips' frames serve.

        Raises RequestError where there is no source, or none long enough.
        """
        found = buckets(sources)
        if not found:
            raise RequestError("there is nothing to train on: every source is empty; say --data FOLDER of shards")
        clips = [bucket for shape, bucket in found.items() if 1 < frames <= shape[0]]
        if frames > 1 and not clips:
            longest = max(shape[0] for shape in found)
            raise RequestError(f"the stage wants clips of {frames} frames and the longest in the data has {longest}")
        return cls([bucket for bucket in found.values() if bucket not in clips] or clips, clips)

    def bucket(self, rng: np.random.Generator, *, video: bool) -> ExampleSource:
        """The bucket of a step, drawn in proportion to the number of examples."""
        among = self.clips if video else self.pictures
        sizes = np.array([len(bucket) for bucket in among], dtype=float)
        return among[rng.choice(len(among), p=sizes / sizes.sum())]
