"""A layer of a clip's substrate painted by words, as a picture that `recast substrate render` takes."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image

from recast.conditions.clip_pair import ClipPair, WordDirection
from recast.editing.progress import no_progress
from recast.editing.substrates import FittedClip, SubstrateRequest
from recast.errors import RecastWarning, RequestError, known
from recast.progress import ProgressCallback
from recast.substrates.layers import Canvas
from recast.substrates.paint import Objective, PaintedLayer, PaintSettings, painted
from recast.substrates.stored import as_image, picture_names
from recast.video.output import check_free, new_file

LEAST_RISE = 0.05
"""Of the mean cosine, below which nobody would see the words in the result."""


@dataclass(frozen=True)
class PaintRequest:
    """What is painted. layer: a name, by default the top one. model: a model's name or folder, or a CLIPModel's."""

    clip: SubstrateRequest
    words: str
    source_words: str | None = None
    by: str = "atlas"
    layer: str | None = None
    model: str = "pocket"
    device: str = "cpu"
    settings: PaintSettings = field(default_factory=PaintSettings)


@dataclass(frozen=True)
class PaintScores:
    """Mean cosine of the words and the clip's frames, before it was painted and after. pair: what found it."""

    before: float
    after: float
    pair: str


def paint(
    request: PaintRequest, target: Path, *, watch: ProgressCallback = no_progress, overwrite: bool = False
) -> PaintScores:
    """Paints a layer by words and writes its picture, a PNG.

    Raises RequestError for a layer that is not there, for no words or more than are read, and for a target that is
    there; WeightsError for a model without a CLIP pair.
    """
    if target.suffix.lower() != ".png":
        raise RequestError(f"a layer is written as a PNG, which loses nothing; name one: {target}")
    check_free(target, overwrite)
    if not request.words.strip():
        raise RequestError("there are no words to paint by; say what the clip should show with --prompt")
    pair = ClipPair.opened(request.model, torch.device(request.device))
    words = WordDirection.of(pair, request.words, request.source_words)
    substrate = FittedClip(request.clip, watch).substrate(request.by)
    names = picture_names(len(substrate.layers))
    layer = PaintedLayer(substrate, names.index(known("layer", request.layer or names[-1], names)))
    objective = Objective(layer, pair, words, request.settings)
    made = painted(objective, lambda done, total: watch("paint", done, total))
    before, after = (_words_found(objective, canvas) for canvas in (layer.picture, made))
    if after - before < LEAST_RISE:
        warnings.warn(
            f"{pair.name} finds the words hardly more than before ({before:.3f}, {after:.3f}); take more --steps, give "
            "--source-prompt, or name a model that knows such pictures with -m",
            RecastWarning,
            stacklevel=2,
        )
    with new_file(target, overwrite) as part:
        Image.fromarray(as_image(made)).save(part, "PNG")
    return PaintScores(before, after, pair.name)


@torch.no_grad()
def _words_found(objective: Objective, canvas: Canvas) -> float:
    layer, encoder = objective.layer, objective.pair.pictures
    seen = [encoder.seen(layer.frame(canvas, number))[0].cpu() for number in range(len(layer.substrate))]
    return (torch.cat(seen) @ objective.words.wanted).mean().item()
