"""One clip edited by several methods: what each made of it, what it took, and how it scores."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter

import torch

from recast.conditions.flow import ClipFlow
from recast.conditions.image import ImageEncoder
from recast.conditions.text import TextEncoder
from recast.editing.checks import source_of, treated
from recast.editing.loaded import Model
from recast.editing.prepared import Prepared, prepare
from recast.editing.progress import no_progress
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.stages import generate
from recast.errors import Cancelled, RecastError, WeightsError
from recast.evaluation.judge.judge import Judge
from recast.evaluation.metrics.consistency import neighbours, warp_along
from recast.evaluation.metrics.cost import counted
from recast.evaluation.metrics.prompt import prompt_consistency
from recast.progress import ProgressCallback
from recast.types import Frames
from recast.video.read import opened


@dataclass(frozen=True, eq=False)
class MethodTrial:
    """What one method made of a clip: frames at the size that was worked at, or the reason why it made none.

    seconds: of content, denoising and decoding. evaluations: of the network, each branch of each call. scores: by the
    names of METRICS, those that can be told.
    """

    method: str
    frames: Frames | None = None
    seconds: float = 0.0
    evaluations: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    refusal: str = ""


def trials(
    asked: Callable[[str], Request], methods: list[str], model: Model, watch: ProgressCallback = no_progress
) -> Iterator[tuple[Prepared, MethodTrial]]:
    """The clip as the model sees it, and the trial of each method in turn.

    asked: the request for a method. A method that refuses, or whose request is refused, gives a trial with the reason;
    where that is so of all, the first reason is raised. Raises Cancelled, and what reading the clip raises.
    """
    prepared, scorer, refused = None, None, []
    for method in methods:
        try:
            request = asked(method)
            resolved = resolve(request, model, treated(opened(source_of(request), request.on_damage), request))
            prepared = prepared or prepare(resolved, model, watch)
            backbone, evaluations = counted(model.backbone)
            began = perf_counter()
            frames = generate(resolved, prepared, replace(model, backbone=backbone), watch).frames
        except Cancelled:
            raise
        except RecastError as error:
            refused.append((MethodTrial(method, refusal=str(error)), error))
            if len(refused) == len(methods):
                raise
            continue
        seconds = perf_counter() - began
        scorer = scorer or Scorer.of(prepared.clip.frames, request, model)
        yield prepared, MethodTrial(method, frames, seconds, evaluations.count, scorer.scores(frames))
    for trial, _ in refused:
        assert prepared is not None, "some method was not refused"
        yield prepared, trial


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores edits of one clip without any truth. words: what was asked for; pictures: the model's encoder of frames.

    flow, seen: DIS's flow of the source, and where it is seen in both frames.
    """

    judge: Judge
    source: ClipFlow
    words: torch.Tensor | None
    pictures: ImageEncoder | None

    @classmethod
    def of(cls, source: Frames, request: Request, model: Model) -> "Scorer":
        """For edits of these frames. Prompt consistency needs words, and a model with a CLIP pair."""
        words, pictures = None, None
        if request.words:
            try:
                pictures = ImageEncoder.opened(model.folder, model.device)
                text = ", ".join(text for text, weight in request.words if weight > 0)
                words = TextEncoder.opened(model.folder, model.device)(text).pooled.cpu()
            except WeightsError:
                words, pictures = None, None
        return cls(Judge.opened(), ClipFlow.of(source), words, pictures)

    def scores(self, frames: Frames) -> dict[str, float]:
        """Frame consistency and warp error of two frames or more, and prompt consistency where it can be told."""
        found = {}
        if len(frames) > 1:
            found["frames"] = neighbours(self.judge.embeddings(frames))
            warp = warp_along(frames, self.source)
            found |= {} if warp is None else {"warp": 1e3 * warp}
        if self.words is not None and self.pictures is not None:
            found["prompt"] = prompt_consistency(self.words, self.pictures.embeddings(frames))
        return found
