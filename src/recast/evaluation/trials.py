"""Evaluation of one item, a world or a real clip: runs its edits through the whole pipeline and measures them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from einops import rearrange
from PIL import Image

from recast.conditions.content import Medium
from recast.conditions.depth import normalized
from recast.editing.prepared import Prepared, prepare
from recast.editing.request import Request
from recast.editing.resolve import ResolvedEdit, resolve
from recast.editing.stages import generate
from recast.evaluation.cases.worlds import ON_SURFACES, Case, case
from recast.evaluation.items import CASE_KINDS, EvalConfig, EvalContext, EvalItem, Outcome, Variant, open_context
from recast.evaluation.metrics.accuracy import accuracy
from recast.evaluation.metrics.appearance import distance, sharpness
from recast.evaluation.metrics.consistency import steadiness
from recast.evaluation.metrics.cost import counted
from recast.evaluation.metrics.fidelity import PSNR_SIDE, autoencoded, depth_seen, masked, small_clip
from recast.evaluation.metrics.joint import Bars, joint
from recast.evaluation.metrics.prompt import prompt_consistency
from recast.methods import METHODS
from recast.types import Clip, Frames, Kind, Maps, Structure
from recast.world import Footage, rendered, sampled

FPS = Fraction(10)
"""Of the world's clips: a frame each tenth of a second."""
FIRST_OPEN_SEED = 30_000_000
"""Of worlds as they are drawn, in which nothing is held fixed."""
GREY = 128

Measurements = Iterator[tuple[Variant, dict[str, float], float | None]]


@dataclass(frozen=True, eq=False)
class AskedEdit:
    """A case with what edits of it are held against. source, truth: their frames, the latter the reference render."""

    case: Case
    source: Frames
    truth: Frames
    context: EvalContext

    @classmethod
    def of(cls, number: int, kind: str, context: EvalContext, side: int | None = None) -> "AskedEdit":
        """The case of this number and kind. side: its rows and columns, those that the model works at if None."""
        side = side or context.side
        asked = case(number, side, kind=kind)
        truth = rendered(asked.truth, len(asked.source.frames), side, side)
        return cls(asked, frames_of(asked.source), frames_of(truth), context)

    def measured(self, frames: Frames, bars: Bars | None = None) -> dict[str, float]:
        """What a clip gets as an edit of the source; with bars, the joint score too."""
        judged = accuracy(frames, self.case, self.context.judge)
        right = [judged[name] for name in self.case.target_attributes if name in judged]
        figures = judged | steadiness(frames, self.case.source, self.context.encoder)
        figures |= {
            "content": sum(right) / len(right),
            "sharpness": sharpness(frames),
            "distance": distance(frames, self.truth),
            "prompt": self._fit(frames),
        }
        if self.case.truth.look in ON_SURFACES:
            figures["surface"] = figures["warp"]
        if self.case.kept is not None:
            figures["unasked"] = distance(frames, self.source, torch.from_numpy(self.case.kept))
        return figures | self.score(figures, bars)

    def score(self, figures: dict[str, float], bars: Bars | None) -> dict[str, float]:
        """The joint score, where bars are there and something is asked to change."""
        if bars is None or not self.case.is_change:
            return {}
        return {"joint": joint(figures, [name for name, counts in self.case.tells.items() if counts], bars)}

    def _fit(self, frames: Frames) -> float:
        pair = self.context.pair
        return prompt_consistency(pair.embedded(self.case.words), pair.embeddings(frames))


def outcomes(setting: EvalConfig, task: EvalItem, edits: Sequence[Variant]) -> list[Outcome]:
    """Everything that one task tells, a world's with these edits; an edit that the model cannot make has no figures."""
    context = open_context(setting)
    case_kinds = {kind: name for name, kind in CASE_KINDS.items()}
    if task.kind in case_kinds:
        measured = _edited(case_kinds[task.kind], context, int(task.of), edits)
    else:
        measured = PARTS[task.kind](context, task.of)
    return [Outcome(task.name, trial, figures, seconds) for trial, figures, seconds in measured]


def _edited(kind: str, context: EvalContext, number: int, edits: Sequence[Variant]) -> Measurements:
    """The edits of one world; beside them the source, the reference render, that decoded, and floors."""
    asked = AskedEdit.of(number, kind, context)
    source, truth = asked.measured(asked.source), asked.measured(asked.truth)
    bars = Bars.of(source, truth)
    yield Variant("source", case=kind), source | asked.score(source, bars), None
    yield Variant("truth", case=kind), truth | asked.score(truth, bars), None
    backbone = context.model.backbone
    others = {"decoded": backbone.decode(backbone.encode(asked.truth))}
    if kind == "mixed":
        others |= floors(asked.source, number)
    for content, frames in others.items():
        yield Variant(content, case=kind), asked.measured(frames, bars), None
    yield from tried(asked, bars, edits)


def floors(source: Frames, seed: int) -> dict[str, Frames]:
    """Clips of the source's size that show nothing: flat grey, and noise of every frame's own."""
    rng = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 256, source.shape, generator=rng, dtype=torch.uint8)
    return {"grey": torch.full_like(source, GREY), "noise": noise}


def tried(asked: AskedEdit, bars: Bars, edits: Sequence[Variant]) -> Measurements:
    """These edits of a case, measured."""
    context, setting, number = asked.context, asked.context.setting, asked.case.number
    unread = () if Medium.PICTURE in context.model.backbone.media else ("picture",)
    seen: Prepared | None = None
    clip = Clip(asked.source, FPS)
    with TemporaryDirectory() as folder:
        example = Path(folder) / "example.png"
        Image.fromarray(rendered(asked.case.example, 1, context.side, context.side).frames[0]).save(example)
        contents = {"words": {"words": asked.case.words}, "picture": {"pictures": str(example)}}
        for trial in edits:
            if trial.content in unread:
                yield trial, {}, None
                continue
            options = setting.asked(trial) | contents[trial.content] | _source_prompt(trial, asked)
            request = Request.asked(model=setting.model, seed=number, structure_detail=trial.detail, **options)
            resolved = resolve(request, context.model, clip)
            seen = seen or _looked(resolved, asked.case.source, context)
            backbone, evaluations = counted(context.model.backbone)
            start = perf_counter()
            frames = generate(resolved, seen, replace(context.model, backbone=backbone)).frames
            seconds = perf_counter() - start
            yield trial, asked.measured(frames, bars) | {"evaluations": float(evaluations.count)}, seconds


def _source_prompt(trial: Variant, asked: AskedEdit) -> dict[str, object]:
    """What the source shows, where the method asks for it and the model cannot see it in the frames."""
    setting, media = asked.context.setting, asked.context.model.backbone.media
    needed = METHODS[trial.method or setting.method].needs_source and Medium.PICTURE not in media
    return {"source_prompt": asked.case.source_words} if needed else {}


def _looked(resolved: ResolvedEdit, source: Footage, context: EvalContext) -> Prepared:
    seen = prepare(resolved, context.model)
    if not context.setting.true_depth:
        return seen
    return replace(seen, structures=(Structure(Kind.DEPTH, normalized(_inverse(source))),))


def _drawn(context: EvalContext, number: str) -> Measurements:
    """The parts of the model on a world as it is drawn; depth on one that is filmed, as sources mostly are."""
    seed = FIRST_OPEN_SEED + int(number)
    shown = rendered(sampled(seed), 8, PSNR_SIDE, PSNR_SIDE)
    filmed = rendered(sampled(seed, look="plain"), 8, context.side, context.side)
    figures = autoencoded(Clip(frames_of(shown), FPS), context.model)
    figures |= depth_seen(Clip(frames_of(filmed), FPS), _inverse(filmed), context.model)
    yield Variant("worlds"), figures, None


def _filmed(context: EvalContext, path: str) -> Measurements:
    clip = small_clip(Path(path), context.model.backbone.pixel_multiple)
    yield Variant("footage"), autoencoded(clip, context.model), None


def _masked(context: EvalContext, path: str) -> Measurements:
    yield Variant("footage"), masked(Path(path), context.model), None


PARTS: dict[str, Callable[[EvalContext, str], Measurements]] = {"worlds": _drawn, "clip": _filmed, "masks": _masked}
"""What is measured of a model's parts, by the kind of task."""


def frames_of(footage: Footage) -> Frames:
    """A world's frames as clips have them."""
    return rearrange(torch.from_numpy(footage.frames), "t h w c -> t c h w").contiguous()


def _inverse(footage: Footage) -> Maps:
    return rearrange(torch.from_numpy(footage.inverse_depth), "t h w -> t 1 h w")
