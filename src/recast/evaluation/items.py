"""What is evaluated: variants of an edit, the worlds and clips that they run on, and their outcomes."""

from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from recast.conditions.clip_pair import ClipPair
from recast.editing.knob_names import knobs_of
from recast.editing.loaded import Model
from recast.editing.request import FIELDS, Request, all_settings, method_for
from recast.errors import known
from recast.evaluation.judge.judge import Judge
from recast.evaluation.metrics.consistency import FrameEncoder
from recast.evaluation.pair_scores import EMBEDDED
from recast.methods import METHODS
from recast.model.folder import ModelFolder

SWEPT = 2
"""Temporal guidance is swept over on one world of so many: 100 worlds give 50 pairs that differ by nothing else."""
CASE_KINDS = {"mixed": "edits", "place": "place", "colour": "colour"}
"""The kind of task by the kind of case."""
EDITED = ("words", "picture")
"""What an edit takes its content from, by the names that variants have for it."""
HOW = ("method", "structure", "cfg", "steps", "ensemble", "scheduler", "window", "dtype")
"""Settings of a request that may be chosen for all edits, besides the methods' knobs; trials say the others."""


@dataclass(frozen=True)
class Variant:
    """What was measured: which clips, at which t_s (`detail`), with how much temporal guidance.

    content: words, picture, truth (the reference render of the edit), decoded (that through the model's autoencoder,
    about the most that an edit can be), source (the clip itself), grey and noise (floors: clips of nothing), worlds (as
    drawn, for the parts of the model) or footage.
    case: of CHANGES in cases/worlds.py. method, steps: None for those that all edits have.
    """

    content: str
    detail: float | None = None
    temporal_guidance: float | None = None
    case: str = "mixed"
    method: str | None = None
    steps: int | None = None

    @property
    def is_swept(self) -> bool:
        """Whether it is one of a sweep over temporal guidance, and of that alone."""
        return self.temporal_guidance not in (None, 1) or self.steps is not None


@dataclass(frozen=True)
class Outcome:
    """What one trial of a task gave: numbers by the names of METRICS, those that it tells.

    seconds: that the edit took, no part of what it is; None where nothing was edited.
    """

    task: str
    trial: Variant
    figures: dict[str, float]
    seconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class EvalConfig:
    """How the model is run. true_depth: whether edits are conditioned on the true depth in place of the estimate.

    edits: what is tried on each world of its case, those of a sweep on one of SWEPT.
    settings: of a request, by name, the same for all edits. Raises RequestError for those that a variant sets itself.
    """

    model: str
    device: str
    edits: tuple[Variant, ...]
    settings: tuple[tuple[str, object], ...] = ()
    true_depth: bool = False

    def __post_init__(self) -> None:
        theirs = (*FIELDS, "temporal_guidance")
        free = [name for name in all_settings() if name in HOW or name not in theirs]
        for name, _ in self.settings:
            known("setting of an evaluation", name, free)
        Request.asked(**dict(self.settings))
        for trial in self.edits:
            known("method", trial.method or self.method, METHODS)
            Request.asked(**{name: value for name, value in self.asked(trial).items() if name != "temporal_guidance"})

    @cached_property
    def method(self) -> str:
        """The method of edits that name no other: the model's own unless one was set. Raises WeightsError."""
        return method_for(Request.asked(**dict(self.settings)), ModelFolder.found(self.model).metadata.method)

    def asked(self, trial: Variant) -> dict[str, object]:
        """A request's settings for one trial; what this evaluation's method has and the trial's has not is left out.

        Raises RequestError for a method that is not known.
        """
        method = trial.method or self.method
        foreign = knobs_of(self.method).keys() - knobs_of(method).keys()
        if method != self.method and not METHODS[method].ensembles:
            foreign |= {"ensemble"}
        common = {name: value for name, value in self.settings if name not in foreign} | {"method": method}
        # Some methods have no temporal guidance; 1 is none.
        swept = {"temporal_guidance": trial.temporal_guidance} if trial.temporal_guidance != 1 else {}
        return common | swept | ({} if trial.steps is None else {"steps": trial.steps})


@dataclass(frozen=True)
class EvalItem:
    """One world by its number, or one real clip or masked sequence by its path.

    kind: of CASE_KINDS, or of PARTS in trials.py.
    """

    kind: str
    of: str

    @property
    def name(self) -> str:
        """What the results file knows it by; no path of one machine."""
        return f"{self.kind} {Path(self.of).name}"


@dataclass(frozen=True, eq=False)
class EvalContext:
    """All that is opened once and serves every task.

    encoder: tells frame consistency. pair: the model's CLIP pair, which tells prompt consistency; that of EMBEDDED for
    a model that has no image encoder.
    """

    setting: EvalConfig
    model: Model
    judge: Judge
    encoder: FrameEncoder
    pair: ClipPair

    @property
    def side(self) -> int:
        """Rows and columns of rendered worlds."""
        return self.model.backbone.short_side


@cache
def open_context(setting: EvalConfig) -> EvalContext:
    """The context for a setting, opened once a process. Raises WeightsError, RequestError."""
    dtype = Request.asked(**dict(setting.settings)).dtype
    model = Model.loaded(setting.model, device=setting.device, dtype=dtype)
    pair = ClipPair.opened(setting.model if model.folder.has("image_encoder") else EMBEDDED, model.device)
    judge = Judge.opened()
    return EvalContext(setting, model, judge, encoder=judge, pair=pair)
