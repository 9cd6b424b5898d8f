"""What an edit would take, before anything runs: memory, time, FLOPs and disk, and how the clip would be divided.

Evaluations of the network are counted by a walk that answers nothing, what one takes on the meta device, the rate of
products on this machine, and the rest on the clip's first frames.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from time import perf_counter

import torch

from recast.editing.denoise import encoded_contents
from recast.editing.job import EditJob
from recast.editing.loaded import Model
from recast.editing.prepared import read_clip
from recast.editing.resolve import ResolvedEdit
from recast.editing.segments import Segmentation
from recast.engine.precision import matrix_rates
from recast.errors import BackboneError, RequestError
from recast.evaluation.edit_cost import EditCost, walk_of
from recast.evaluation.pace import Pace, measured_pace
from recast.files import job_folder
from recast.methods.needs import lacking
from recast.video.cuts import cuts
from recast.video.read import Source

USE = 0.5
"""Share of the rate of large products that networks reach, as measured on one core (docs/log.md)."""
CHEAP_SECONDS = 2.0
"""Of reading: a clip that takes less is read for its cuts."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an edit would take. Bytes and seconds are estimates.

    size: columns and rows to work at. segments: frames of each. shots: None where they are not known before the clip is
    read; it then counts as one. window: most frames that the network sees at once. evaluations: of the network. flops,
    seconds: by stage. memory: the most bytes held at once, of this process or, where there is one, of the accelerator.
    disk: bytes of the result and, where there are several segments, of what is kept while it is made; free: there.
    rate: FLOPs a second in large products, as measured.
    """

    frames: int
    size: tuple[int, int]
    segments: tuple[int, ...]
    shots: int | None
    window: int
    evaluations: int
    flops: Mapping[str, float]
    seconds: Mapping[str, float]
    memory: int
    disk: Mapping[str, int]
    free: int
    device: str
    rate: float
    use: float = USE


def planned(resolved: ResolvedEdit, model: Model, target: Path, resident: Callable[[], int]) -> Plan:
    """The plan of an edit to `target`. resident: peak bytes of this process up to now.

    Content is encoded, which also finds what cannot be; it is quick beside the edit.
    Raises BackboneError for a model that lacks what the method needs, RequestError where the clip's length is not known
    or the method refuses the edit.
    """
    lacks = lacking(resolved.method.needs, model.backbone)
    if lacks:
        raise BackboneError(f"{resolved.request.method} cannot edit with {model.name}: {'; '.join(lacks)}")
    frames, pace = expected_frames(resolved), measured_pace(resolved, model, target)
    starts = _shots(resolved, target, frames, pace)
    segments = segment_lengths(resolved, frames, starts or [0])
    walks = {length: walk_of(resolved, model, length) for length in set(segments)}
    content, counted = _content_seconds(resolved, model), EditCost.of(resolved, model, walks)
    each, rate, is_long = Counter(segments), products_a_second(model), frames > resolved.request.segment
    flops = {
        "denoise": sum(count * counted.denoising(walks[length]) for length, count in each.items()),
        "encode": frames * counted.encoding,
        "decode": frames * counted.decoding,
    }
    computed = {"content": content, **{stage: count / (rate * USE) for stage, count in flops.items()}}
    return Plan(
        frames=frames,
        size=resolved.size[::-1],
        segments=tuple(segments),
        shots=None if starts is None else len(starts),
        window=resolved.window,
        evaluations=sum(count * walks[length].count for length, count in each.items()),
        flops=flops,
        seconds=pace.seconds(frames, is_long=is_long) | computed,
        memory=counted.memory(max(segments), resident()),
        disk={"result": ceil(frames * pace.written), "job": sum(segments) * counted.latent_bytes * is_long},
        free=shutil.disk_usage(target.absolute().parent).free,
        device=str(model.device),
        rate=rate,
    )


def _content_seconds(resolved: ResolvedEdit, model: Model) -> float:
    began = perf_counter()
    encoded_contents(resolved, model)
    return perf_counter() - began


def expected_frames(resolved: ResolvedEdit) -> int:
    """How many frames the edit has, as the file's header says. Raises RequestError where it says nothing."""
    source, stretch = resolved.source, resolved.stretch
    assert isinstance(source, Source), "an edit that is planned reads a file"
    total = source.num_frames
    if total is None and source.seconds is not None:
        total = round(source.seconds * source.fps)
    start = ceil(stretch.start * source.fps)
    stops = [None if stretch.end is None else ceil(stretch.end * source.fps), total]
    stop = min((each for each in stops if each is not None), default=None)
    counts = [each for each in (None if stop is None else stop - start, stretch.max_frames) if each is not None]
    if not counts:
        raise RequestError(f"{source.path} does not say how many frames it has; say --max-frames or --end")
    return max(1, min(counts))


def _shots(resolved: ResolvedEdit, target: Path, frames: int, pace: Pace) -> list[int] | None:
    """Where shots begin: as an unfinished edit knows, or found where that is quick. None where it is not known."""
    if resolved.request.cuts == "none":
        return [0]
    survey = EditJob(job_folder(target)).survey()
    if survey.complete and survey.frames == frames:
        return list(survey.starts)
    if frames > resolved.request.segment or frames * pace.read > CHEAP_SECONDS:
        return None
    return [0, *cuts(read_clip(resolved).frames, resolved.request.cuts)]


def segment_lengths(resolved: ResolvedEdit, frames: int, starts: list[int]) -> list[int]:
    """Frames of each segment, those that it shares with its neighbours included."""
    if frames <= resolved.request.segment:
        return [stop - start for start, stop in zip(starts, [*starts[1:], frames], strict=True)]
    segments = Segmentation.of(resolved).segments(starts, frames)
    return [segment.span.stop - segment.span.start for segment in segments]


def products_a_second(model: Model) -> float:
    """FLOPs a second in large products of the model's numbers on its device, as measured for a moment."""
    rates = matrix_rates(str(model.device))
    return rates["fp32" if model.dtype == torch.float32 else "bf16"]
