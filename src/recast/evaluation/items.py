"""What is tried on one world, or on one real clip: edits through the whole pipeline, judged and measured."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from einops import rearrange
from PIL import Image

from recast.conditions.depth import normalized
from recast.conditions.image import ImageEncoder
from recast.editing.loaded import Model
from recast.editing.request import FIELDS, Request, all_settings
from recast.editing.stages import Prepared, generate, prepare
from recast.errors import known
from recast.evaluation.cases.worlds import ON_SURFACES, Case, case
from recast.evaluation.judge.judge import Judge
from recast.evaluation.metrics.accuracy import accuracy
from recast.evaluation.metrics.consistency import steadiness
from recast.evaluation.metrics.fidelity import PSNR_SIDE, autoencoded, depth_seen, masked, small_clip
from recast.types import Clip, Frames, Kind, Maps, Structure
from recast.world import Footage, rendered, sampled

FPS = Fraction(10)
"""Of the world's clips: a frame each tenth of a second."""
SWEPT = 4
"""Temporal guidance is swept over on one world of so many: pairs of the same world differ by nothing else."""
HOW = ("method", "structure", "cfg", "steps", "ensemble", "scheduler", "dtype")
"""Settings of a request that may be chosen for all edits, besides the methods' knobs; trials say the others."""
FIRST_OPEN_SEED = 30_000_000
"""Of worlds as they are drawn, in which nothing is held fixed."""


@dataclass(frozen=True)
class Variant:
    """What was measured: of which content, told how much structure, by how much temporal guidance.

    content: words, picture, truth (the world's own render of the edit), decoded (that through the model's autoencoder,
    about the most that an edit can be), source (the clip itself), worlds (as drawn, for the parts of the model) or
    footage.
    """

    content: str
    detail: float | None = None
    temporal_guidance: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What one trial of a task gave: numbers by the names of METRICS, those that it tells."""

    task: str
    trial: Variant
    figures: dict[str, float]


Told = Iterator[tuple[Variant, dict[str, float]]]


@dataclass(frozen=True)
class EvalConfig:
    """How the model is run. true_depth: told in place of the seen.

    edits: the trials that are tried on each world; those with other temporal guidance than 1 on every fourth.
    said: a request's settings by name, the same for all edits. Raises RequestError for what a trial says itself.
    """

    model: str
    device: str
    edits: tuple[Variant, ...]
    said: tuple[tuple[str, object], ...] = ()
    true_depth: bool = False

    def __post_init__(self) -> None:
        theirs = (*FIELDS, "temporal_guidance")
        free = [name for name in all_settings() if name in HOW or name not in theirs]
        for name, _ in self.said:
            known("setting of an evaluation", name, free)
        Request.asked(**dict(self.said))


@dataclass(frozen=True)
class EvalItem:
    """One world by its number, or one real clip or masked sequence by its path. kind: as in KINDS."""

    kind: str
    of: str

    @property
    def name(self) -> str:
        """What the results file knows it by; no path of one machine."""
        return f"{self.kind} {Path(self.of).name}"


@dataclass(frozen=True, eq=False)
class EvalContext:
    """All that is opened once and serves every task."""

    setting: EvalConfig
    model: Model
    judge: Judge
    encoder: ImageEncoder

    @property
    def side(self) -> int:
        """Rows and columns of rendered worlds."""
        return self.model.folder.metadata.short_side


@cache
def open_context(setting: EvalConfig) -> EvalContext:
    """The bench for a setting, opened once a process. Raises WeightsError, RequestError."""
    model = Model.loaded(setting.model, device=setting.device, dtype="auto")
    return EvalContext(setting, model, Judge.opened(), ImageEncoder.opened(model.folder, model.device))


def outcomes(setting: EvalConfig, task: EvalItem) -> list[Outcome]:
    """Everything that one task tells."""
    return [Outcome(task.name, trial, figures) for trial, figures in KINDS[task.kind](open_context(setting), task.of)]


def _edited(bench: EvalContext, number: str) -> Told:
    """The edits of one world; beside them the world's own render of the same, and that decoded, and the source."""
    asked = case(int(number), bench.side)
    yield Variant("source"), _steady(_frames(asked.source), asked, bench)
    truth = _frames(rendered(asked.truth, len(asked.source.frames), bench.side, bench.side))
    yield Variant("truth"), _measured(truth, asked, bench)
    decoded = bench.model.backbone.decode(bench.model.backbone.encode(truth))
    yield Variant("decoded"), _measured(decoded, asked, bench)
    with TemporaryDirectory() as folder:
        example = Path(folder) / "example.png"
        Image.fromarray(rendered(asked.example, 1, bench.side, bench.side).frames[0]).save(example)
        told = {"words": {"words": asked.words}, "picture": {"pictures": str(example)}}
        seen: Prepared | None = None
        for trial in bench.setting.edits:
            if trial.temporal_guidance != 1 and asked.number % SWEPT:
                continue
            # Methods other than gen1 know no temporal guidance; 1 is none.
            swept = {} if trial.temporal_guidance == 1 else {"temporal_guidance": trial.temporal_guidance}
            said = dict(bench.setting.said) | swept | told[trial.content]
            request = Request.asked(model=bench.setting.model, seed=asked.number, structure_detail=trial.detail, **said)
            seen = seen or _looked(request, asked.source, bench)
            yield trial, _measured(generate(request, seen, bench.model).frames, asked, bench)


def _looked(request: Request, source: Footage, bench: EvalContext) -> Prepared:
    seen = prepare(request, bench.model, clip=Clip(_frames(source), FPS))
    if not bench.setting.true_depth:
        return seen
    return replace(seen, structure=Structure(Kind.DEPTH, normalized(_inverse(source))))


def _measured(frames: Frames, asked: Case, bench: EvalContext) -> dict[str, float]:
    return accuracy(frames, asked, bench.judge) | _steady(frames, asked, bench)


def _steady(frames: Frames, asked: Case, bench: EvalContext) -> dict[str, float]:
    figures = steadiness(frames, asked.source, bench.encoder)
    return figures | ({"surface": figures["warp"]} if asked.truth.look in ON_SURFACES else {})


def _drawn(bench: EvalContext, number: str) -> Told:
    """The parts of the model on a world as it is drawn; depth on one that is filmed, as sources mostly are."""
    seed = FIRST_OPEN_SEED + int(number)
    shown = rendered(sampled(seed), 8, PSNR_SIDE, PSNR_SIDE)
    filmed = rendered(sampled(seed, look="plain"), 8, bench.side, bench.side)
    figures = autoencoded(Clip(_frames(shown), FPS), bench.model)
    figures |= depth_seen(Clip(_frames(filmed), FPS), _inverse(filmed), bench.model)
    yield Variant("worlds"), figures


def _filmed(bench: EvalContext, path: str) -> Told:
    yield Variant("footage"), autoencoded(small_clip(Path(path), bench.model.backbone.pixel_multiple), bench.model)


def _masked(bench: EvalContext, path: str) -> Told:
    yield Variant("footage"), masked(Path(path), bench.model)


KINDS: dict[str, Callable[[EvalContext, str], Told]] = {
    "edits": _edited,
    "worlds": _drawn,
    "clip": _filmed,
    "masks": _masked,
}
"""Every kind of task."""


def _frames(footage: Footage) -> Frames:
    return rearrange(torch.from_numpy(footage.frames), "t h w c -> t c h w").contiguous()


def _inverse(footage: Footage) -> Maps:
    return rearrange(torch.from_numpy(footage.inverse_depth), "t h w -> t 1 h w")
