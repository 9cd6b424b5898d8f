"""Clips of any length, from file to file: a segment at a time, each on the disk before the next one is begun.

Segments share frames. After each step the next segment takes these as the one before made them, the first one fully
and each later one less, under their own noise, so that it goes on from there; nothing that was decoded is encoded
again. What belongs to the whole clip is found first. Memory is that of a segment, and a run that was stopped goes on
with the segment that it was at.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from einops import repeat
from jaxtyping import UInt8
from torch import Tensor

from recast.denoising import DenoiseInputs, StepHook, unchanged
from recast.diffusion.blend import blend_source
from recast.editing.checks import free_target
from recast.editing.denoise import denoised, encoded_contents
from recast.editing.job import EditJob, job_beside
from recast.editing.loaded import Model
from recast.editing.prepared import Prepared, extractors
from recast.editing.progress import Stage, no_progress, stage
from recast.editing.record import Record
from recast.editing.resolve import ResolvedEdit
from recast.editing.segments import ClipReader, Segmentation
from recast.editing.stages import made_record, write_frames
from recast.editing.survey import Survey, surveyed
from recast.errors import BackboneError, Cancelled
from recast.files import put
from recast.progress import ProgressCallback, Report
from recast.types import Clip, Latents
from recast.video.output import is_folder
from recast.video.read import Source

PARTS = 1000
"""In how many parts the progress of a segment is told."""


def edit_long(
    resolved: ResolvedEdit, model: Model, target: Path, watch: ProgressCallback = no_progress
) -> tuple[Record, int, tuple[str, ...]]:
    """Edits a clip to `target`. Returns the record, how many frames there are, and notes on what could not be kept.

    Raises BackboneError for a model whose frames share latents, and Cancelled where the user interrupts it.
    """
    if model.backbone.temporal_stride > 1:
        raise BackboneError(f"frames of {model.name} share latents, so it cannot edit segments; say --max-frames")
    assert isinstance(resolved.source, Source), "long clips are edited from file to file"
    cut = Segmentation.of(resolved)
    still = Clip(torch.zeros(1, 3, *resolved.size).byte(), resolved.source.fps)
    with job_beside(target, made_record(resolved, still, 0, model)) as job:
        edit = LongEdit(resolved, model, resolved.source, job, cut)
        try:
            survey = edit.surveyed(watch)
            edit.segments(survey, watch)
            return edit.written(survey, target, watch)
        except KeyboardInterrupt:
            raise Cancelled(f"stopped; the same command goes on, from {job.path}") from None


@dataclass(frozen=True, eq=False)
class LongEdit:
    """What the passes over a long clip have in common."""

    resolved: ResolvedEdit
    model: Model
    source: Source
    job: EditJob
    cut: Segmentation

    @property
    def reach(self) -> int:
        """Frames on either side that maps of structure depend on."""
        return max((extractor.reach for extractor in extractors(self.resolved, self.model).values()), default=0)

    def surveyed(self, watch: ProgressCallback) -> Survey:
        """What belongs to the whole clip."""
        survey, total = self.job.survey(), self.source.num_frames or 0
        with stage(Stage.READ, watch) as report:

            def keep(survey: Survey) -> None:
                self.job.keep_survey(survey, (survey.frames - 1) // self.cut.stride)
                report(survey.frames, max(total, survey.frames))

            reader = ClipReader(self.resolved, max(0, survey.frames - self.reach))
            return surveyed(survey, reader, extractors(self.resolved, self.model), self.cut.stride, keep)

    def segments(self, survey: Survey, watch: ProgressCallback) -> None:
        """Edits all segments that are not done."""
        spans = self.cut.spans(survey.frames)
        done = self.job.segments_done()
        if done == len(spans):
            return
        with stage(Stage.CONTENT, watch):
            contents = encoded_contents(self.resolved, survey.shown, self.model)
        reader = ClipReader(self.resolved, max(0, spans[done].start - self.reach))
        before = self.job.latents(done - 1) if done else None
        with stage(Stage.DENOISE, watch) as report:
            for number in range(done, len(spans)):
                prepared, part = self._prepared(survey, reader, spans[number]), _part_of(report, number, len(spans))
                if self._is_kept(prepared.clip):
                    before = self.model.backbone.encode(prepared.clip.frames)
                else:
                    hold = _holding(before, self.cut.shared)
                    before = denoised(self.resolved, prepared, contents, self.model, part, hold=hold)
                self.job.keep_latents(number, before)

    def written(self, survey: Survey, target: Path, watch: ProgressCallback) -> tuple[Record, int, tuple[str, ...]]:
        """The finished edit at its place."""
        resolved, count = self.resolved, survey.frames
        record = made_record(resolved, Clip(survey.shown, self.source.fps), count, self.model)
        frames, overwrite = self._decoded(len(self.cut.spans(count))), resolved.request.overwrite
        # Made in the job's folder, so that a kill leaves nothing beside the target.
        place = target if is_folder(target) else self.job.path / target.name
        notes = write_frames(
            resolved,
            frames,
            record,
            place,
            watch,
            first=survey.first,
            count=count,
            overwrite=overwrite or place != target,
        )
        if place != target:
            free_target(replace(resolved.request, target=target))
            put(place, target)
        return record, count, notes

    def _prepared(self, survey: Survey, reader: ClipReader, span: slice) -> Prepared:
        around, part = reader.clip(span, self.reach)
        before = self.job.measured(span.start // self.cut.stride - 1) if span.start else {}
        structures = [
            extractor.scaled(extractor.measured(around.frames, part, before.get(kind)), survey.scale(kind, extractor))
            for kind, extractor in extractors(self.resolved, self.model).items()
        ]
        return Prepared(Clip(around.frames[part], around.fps, around.first + part.start), tuple(structures))

    def _is_kept(self, clip: Clip) -> bool:
        mask = self.resolved.mask
        return mask is not None and mask.is_empty(clip.first, len(clip))

    def _decoded(self, count: int) -> Iterator[UInt8[Tensor, "3 h w"]]:
        for number in range(count):
            latents = self.job.latents(number)
            own = len(latents) - (self.cut.shared if number < count - 1 else 0)
            yield from self.model.backbone.decode(latents[:own])


def _holding(before: Latents | None, shared: int) -> Callable[[DenoiseInputs], StepHook]:
    """What brings the first frames of a segment from what the one before made of them to its own."""

    def hold(inputs: DenoiseInputs) -> StepHook:
        if before is None:
            return unchanged
        count = len(inputs.clip)
        known = torch.cat([before[-shared:], repeat(before[-1], "c y x -> t c y x", t=count - shared)])
        keep = (1 - torch.arange(count).to(known) / shared).clamp(min=0)[:, None, None, None].expand_as(known[:, :1])
        return blend_source(known, inputs.noise(known), keep)

    return hold


def _part_of(report: Report, number: int, count: int) -> Report:
    def in_part(done: int, total: int) -> None:
        report(number * PARTS + PARTS * done // total, count * PARTS)

    return in_part
