"""Clips of any length, from file to file: a segment at a time, each on the disk before the next one is begun.

Each shot is edited for itself, and segments of one shot share frames. After each step the next segment takes these as
the one before made them, the first one fully and each later one less, under their own noise, so that it goes on from
there; nothing that was decoded is encoded again. What belongs to a whole shot is found first. Memory is that of a
segment, and a run that was stopped goes on with the segment that it was at.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import repeat
from jaxtyping import Float, UInt8
from torch import Tensor

from recast.denoising import DenoiseInputs, StepHook, unchanged
from recast.diffusion.blend import blend_source
from recast.diffusion.excerpt import in_turn
from recast.editing.denoise import Contents, contents_of, denoised, encoded_contents
from recast.editing.glimpse import Look, no_look
from recast.editing.job import EditJob
from recast.editing.loaded import Model
from recast.editing.prepared import Prepared, extractors, with_made
from recast.editing.progress import Stage, no_progress, part_of, stage
from recast.editing.record import Record
from recast.editing.resolve import ResolvedEdit
from recast.editing.segments import ClipReader, Segment, Segmentation
from recast.editing.stages import is_kept, made_record, write_frames
from recast.editing.survey import Survey, Surveyor
from recast.errors import BackboneError, Cancelled
from recast.progress import ProgressCallback, Report, unreported
from recast.types import Clip, Frames, Latents
from recast.video.cuts import SEEN_BEFORE
from recast.video.read import Source


def edit_long(
    resolved: ResolvedEdit,
    model: Model,
    target: Path,
    job: EditJob,
    watch: ProgressCallback = no_progress,
    *,
    look: Look = no_look,
) -> tuple[Record, int, tuple[str, ...]]:
    """Edits a clip to `target`. job: the unfinished one, or a new one. look: sees each step of denoising.

    Returns the record, how many frames there are, and notes on what could not be kept.

    Raises BackboneError for a model whose frames share latents, and Cancelled where the user interrupts it.
    """
    if model.backbone.temporal_stride > 1:
        raise BackboneError(f"frames of {model.name} share latents, so it cannot edit segments; say --max-frames")
    assert isinstance(resolved.source, Source), "long clips are edited from file to file"
    cut = Segmentation.of(resolved)
    still = Clip(blank(resolved, 1), resolved.source.fps)
    job.begin(made_record(resolved, still, 0, model))
    edit = LongEdit(resolved, model, resolved.source, job, cut, look)
    try:
        survey = edit.surveyed(watch)
        edit.segments(survey, watch)
        return edit.written(survey, target, watch)
    except (KeyboardInterrupt, Cancelled) as stopped:
        written_out = f"; recast partial {target} writes out what is finished" if job.segments_done() else ""
        raise Cancelled(f"stopped; the same command goes on, from {job.path}{written_out}") from stopped


@dataclass(frozen=True, eq=False)
class LongEdit:
    """What the passes over a long clip have in common."""

    resolved: ResolvedEdit
    model: Model
    source: Source
    job: EditJob
    cut: Segmentation
    look: Look

    @property
    def reach(self) -> int:
        """Frames on either side that maps of structure depend on."""
        return max((extractor.reach for extractor in extractors(self.resolved, self.model).values()), default=0)

    def surveyed(self, watch: ProgressCallback) -> Survey:
        """The clip's length and its shots; what belongs to each is in the job's folder."""
        survey, total = self.job.survey(), self.source.num_frames or 0
        seers = extractors(self.resolved, self.model)
        with stage(Stage.READ, watch) as report:

            def keep(survey: Survey) -> None:
                self.job.keep_survey(survey)
                report(survey.frames, max(total, survey.frames))

            def close(survey: Survey) -> None:
                if survey.frames - survey.starts[-1] > self.cut.length:
                    self.job.keep_shot(survey.starts[-1], survey.shot(seers))

            reader = ClipReader(self.resolved, max(0, survey.frames - max(self.reach, SEEN_BEFORE)))
            detector = self.resolved.request.cuts
            return Surveyor(reader, seers, detector, self.cut.stride, keep, close).surveyed(survey)

    def segments(self, survey: Survey, watch: ProgressCallback) -> None:
        """Edits all segments that are not done."""
        segments = self.cut.segments(survey.starts, survey.frames)
        done = self.job.segments_done()
        if done == len(segments):
            return
        with stage(Stage.CONTENT, watch):
            words = encoded_contents(self.resolved, self.model)
        reader = ClipReader(self.resolved, max(0, segments[done].span.start - self.reach))
        before = self.job.latents(done - 1) if done else None
        with stage(Stage.DENOISE, watch) as report:
            for number, segment in enumerate(segments[done:], done):
                part = part_of(report, number, len(segments))
                before = self._latents(reader, segment, None if segment.is_first else before, words, part)
                self.job.keep_latents(number, before)

    def _latents(
        self,
        reader: ClipReader,
        segment: Segment,
        before: Float[Tensor, "before c y x"] | None,
        words: Contents,
        report: Report,
    ) -> Latents:
        """The edited latents of a segment. before: those of the one before, of the same shot."""
        prepared, shown = self._prepared(reader, segment)
        if is_kept(self.resolved, prepared.clip):
            return self.model.backbone.encode(prepared.clip.frames)
        contents = contents_of(words, self.resolved, shown, self.model)
        held = _holding(before, self.cut.shared)

        def hold(inputs: DenoiseInputs) -> StepHook:
            return in_turn(held(inputs), self.look(inputs))

        return denoised(self.resolved, prepared, contents, self.model, report, hold=hold)

    def written(self, survey: Survey, target: Path, watch: ProgressCallback) -> tuple[Record, int, tuple[str, ...]]:
        """The finished edit at its place."""
        resolved, count = self.resolved, survey.frames
        record = made_record(resolved, Clip(blank(resolved, 2), self.source.fps), count, self.model)
        notes = write_frames(
            resolved,
            self.decoded(self.cut.segments(survey.starts, count)),
            record,
            target,
            watch,
            numbers=range(survey.first, survey.first + count),
            overwrite=resolved.request.overwrite,
            inside=self.job.path,
        )
        return record, count, notes

    def _prepared(self, reader: ClipReader, segment: Segment) -> tuple[Prepared, Frames]:
        """A segment with its structures, and frames that tell what its shot shows."""
        around, part = reader.clip(segment.span, self.reach, segment.shot)
        seers = extractors(self.resolved, self.model)
        if segment.is_shot:
            seen = {kind: extractor(around) for kind, extractor in seers.items()}
            return Prepared(around, with_made(self.resolved, self.model, around, seen)), around.frames
        shot = self.job.shot(segment.shot.start)
        before = self.job.measured(segment.span.start) if seers and not segment.is_first else {}
        seen = {
            kind: extractor.scaled(extractor.measured(around.frames, part, before.get(kind)), shot.scales[kind])
            for kind, extractor in seers.items()
        }
        clip = Clip(around.frames[part], around.fps, around.first + part.start)
        return Prepared(clip, with_made(self.resolved, self.model, clip, seen)), shot.samples

    def decoded(self, segments: Sequence[Segment]) -> Iterator[UInt8[Tensor, "3 h w"]]:
        """The frames of the first segments, without those that the next one still changes."""
        decode = self.model.decode(self.resolved.request.decoder)
        for number, segment in enumerate(segments):
            latents = self.job.latents(number)
            yield from decode(latents[: len(latents) - segment.handed_on], unreported)


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


def blank(resolved: ResolvedEdit, count: int) -> Frames:
    """Frames that stand for a clip where its rate and size alone are asked for."""
    return torch.zeros(count, 3, *resolved.size, dtype=torch.uint8)
