"""What a request comes to, for one model and one source."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from recast.conditions.content import ContentInput, Medium
from recast.conditions.raft import RAFTFlow
from recast.conditions.vocabulary import unknown
from recast.curves import Curve
from recast.denoising import FlowEstimator, Sampler
from recast.diffusion.samplers import SAMPLERS
from recast.editing.changing import KeyedContent, changing_of, without_constant
from recast.editing.idle import idle_settings
from recast.editing.knob_names import knobs_of
from recast.editing.loaded import Model
from recast.editing.made_structures import MadeStructure
from recast.editing.mask import Mask
from recast.editing.model_defaults import defaults_of, method_of, own_method, sampler_of
from recast.editing.motion_files import guides_of
from recast.editing.request import Request, method_for
from recast.editing.structures import NamedStructure, check_structure, named_structures
from recast.errors import BackboneError, RecastWarning, RequestError, known
from recast.layout import NO_GUIDES, Guides
from recast.methods import GENERATORS, Method
from recast.types import Clip, Kind
from recast.video.read import Source, Window
from recast.video.resize import working_size

WINDOW = 16
"""Most frames that a network sees at once where neither its folder nor the user says it."""
LEAST_DETAIL = 7.0
"""t_s at which outlines are so coarse that drawing the source's would undo the edit."""


@dataclass(frozen=True, eq=False)
class ResolvedEdit:
    """A request in which nothing is left open: what one model does to one source. All that stages read of a request.

    request: with the names of the method and the model that are meant, for the record. source: a file, or a clip from
    memory. stretch: the part of it, at its own size. size: rows and columns to work at. structures, detail: what
    is kept, and t_s. flow: how motion is estimated, by DIS if None. cond, uncond: the wanted content and
    what guidance pushes away from, the model's null content where empty. shown: what the source shows, in words; its
    frames tell where empty. method: with its knobs. window: most frames that the network
    sees at once. mask: None where all of the clip is edited. outlines: how strongly the source's are drawn into the
    enlarged result, 1 fully to 0 not at all.
    curves: settings that change over the frames, by name. keyed: the wanted content where that does, and no `cond`.
    made: structures that the user made, by kind. guides: of clips without a source.
    """

    request: Request
    source: Source | Clip
    stretch: Window
    size: tuple[int, int]
    structures: tuple[NamedStructure, ...]
    detail: float
    cond: tuple[ContentInput, ...]
    uncond: tuple[ContentInput, ...]
    shown: tuple[ContentInput, ...]
    method: Method
    flow: FlowEstimator | None
    sampler: Sampler
    steps: int
    cfg_scale: float
    ensemble: int
    window: int
    seed: int
    mask: Mask | None
    outlines: float
    curves: Mapping[str, Curve] = field(default_factory=dict)
    keyed: KeyedContent | None = None
    made: Mapping[Kind, MadeStructure] = field(default_factory=dict)
    guides: Guides = NO_GUIDES

    def outlines_at(self, frame: int) -> float:
        """`outlines` at a frame of the source."""
        detail = self.curves.get("structure_detail")
        return self.outlines if detail is None else _outlines(self.request, detail(frame))

    @property
    def facts(self) -> dict[str, Any]:
        """What was chosen where the request left a choice, in JSON's types."""
        names = knobs_of(self.request.method)
        return {
            "size": f"{self.size[1]}x{self.size[0]}",
            "knobs": {name: getattr(self.method, name) for name in names},
            "steps": self.steps,
            "cfg": self.cfg_scale,
            "ensemble": self.ensemble,
            "window": self.window,
            "enlarged": {"by": self.request.enlarge, "strength": round(self.outlines, 4)},
        }


def resolve(request: Request, model: Model, source: Source | Clip) -> ResolvedEdit:
    """The request as this model carries it out on this source: what it leaves open is the model's own, then ours.

    Raises RequestError for a size or a window that the model cannot take, or knobs of another method, BackboneError for
    structures and pictures that it cannot honour, MediaError for a missing mask. Warns of words that the model does
    not know, of a window longer than its training's clips, and of settings that do nothing.
    """
    name = method_for(request, own_method(model))
    own, usual = defaults_of(model.folder.metadata, name)
    steps = int(usual["steps"]) if request.steps is None else request.steps
    recorded, request = replace(request, method=name, model=model.name), without_constant(request)
    changing = changing_of(request, name, model, source)
    model.check_parts(request)
    resolved = ResolvedEdit(
        request=recorded,
        curves=changing.curves,
        keyed=changing.content,
        source=source,
        stretch=Window(start=request.start, end=request.stop, max_frames=request.max_frames),
        size=chosen_size(request, source, model),
        structures=_structures(request, model, steps),
        detail=request.structure_detail,
        cond=() if changing.content else _words(request.words) + _pictures(request, model),
        uncond=_words(request.negative),
        shown=_words(request.source_prompt),
        method=method_of(name, own, request.knobs),
        flow=RAFTFlow.opened(request.flow, model.device) if request.flow else None,
        sampler=SAMPLERS[sampler_of(request.scheduler, model)],
        steps=steps,
        cfg_scale=usual["cfg"] if request.cfg is None else request.cfg,
        ensemble=int(usual["ensemble"]) if request.ensemble is None else request.ensemble,
        window=_window(request, model),
        seed=request.seed,
        mask=_mask(request, source),
        made=_made(request, source),
        outlines=enlargement(request),
        guides=guides_of(request.layout, request.strokes, source.fps),
    )
    _warn(resolved, model)
    return resolved


def chosen_size(request: Request, source: Source | Clip, model: Model) -> tuple[int, int]:
    """Rows and columns to work at. Raises RequestError for a size that the model cannot take."""
    multiple = model.backbone.pixel_multiple
    if isinstance(request.size, tuple):
        columns, rows = request.size
        if rows % multiple or columns % multiple:
            near = "x".join(str(max(1, round(side / multiple)) * multiple) for side in request.size)
            raise RequestError(
                f"size {columns}x{rows}: {model.name} takes sides that are multiples of {multiple}, such as {near}"
            )
        return rows, columns
    rows, columns = source.size
    aspect = source.sample_aspect if isinstance(source, Source) else Fraction(1)
    return working_size((rows, max(1, round(columns * aspect))), request.size or model.backbone.short_side, multiple)


def enlargement(request: Request) -> float:
    """How strongly the source's outlines are drawn into the enlarged result, 1 fully to 0 not at all.

    It falls with t_s: what was asked to lose its outlines must not get them back.
    """
    return _outlines(request, request.structure_detail)


def _outlines(request: Request, detail: float) -> float:
    return 0.0 if request.enlarge == "plain" else 1 - detail / LEAST_DETAIL


def _structures(request: Request, model: Model, steps: int) -> tuple[NamedStructure, ...]:
    """Those that the request names. Raises BackboneError for what a model that reads structure cannot honour."""
    named = named_structures(request.structure)
    kinds = [each.kind for each in named]
    for kind in request.structure_from:
        known("structure to give", kind, list(Kind))
    surplus = sorted(request.structure_from.keys() - set(kinds))
    if surplus:
        given = f"{surplus[0]} is given from a file, and the structure is {', '.join(kinds)}"
        raise RequestError(f"{given}; say --structure {surplus[0]} too")
    for kind in kinds:
        if kind not in request.structure_from:
            check_structure(kind)
    if model.backbone.structure_kinds and request.method not in GENERATORS:
        model.backbone.check_structures(named, steps)
    return named


def _window(request: Request, model: Model) -> int:
    """Most frames that the network sees at once: the request's, else the model's own, else what it was trained on."""
    metadata, backbone = model.folder.metadata, model.backbone
    # The network has places for latents; the first frame has one of its own.
    most = 1 + (backbone.max_frames - 1) * backbone.temporal_stride
    own = min(metadata.window or metadata.frames or WINDOW, most)
    if request.window is None:
        return own
    if request.window > most:
        raise RequestError(
            f"window is {request.window} frames and {model.name} has places for {most}; say {most} or less"
        )
    if metadata.frames and request.window > max(metadata.frames, own):
        learned = f"{model.name} learned from clips of {metadata.frames} frames"
        warnings.warn(f"{learned}; in a window of {request.window} it guesses", RecastWarning, stacklevel=2)
    return request.window


def _made(request: Request, source: Source | Clip) -> dict[Kind, MadeStructure]:
    """The structures that the user made. Raises MediaError for a file that is not there."""
    return {Kind(kind): MadeStructure(Kind(kind), path, source.size) for kind, path in request.structure_from.items()}


def _mask(request: Request, source: Source | Clip) -> Mask | None:
    """The request's mask for frames of the source; None where all of the clip is edited."""
    if request.mask is None:
        return None
    own = source if isinstance(source, Source) else None
    return Mask(request.mask, source.size, request.edit == "inside", request.feather, own)


def _words(each: tuple[tuple[str, float], ...]) -> tuple[ContentInput, ...]:
    return tuple(ContentInput(Medium.WORDS, text, weight) for text, weight in each)


def _pictures(request: Request, model: Model) -> tuple[ContentInput, ...]:
    """The request's pictures. Raises BackboneError where the model reads none."""
    if request.pictures and Medium.PICTURE not in model.backbone.media:
        raise BackboneError(f"{model.name} reads words only; leave the pictures out, or take a Gen-1 model")
    return tuple(ContentInput(Medium.PICTURE, path, weight) for path, weight in request.pictures)


def _warn(resolved: ResolvedEdit, model: Model) -> None:
    """Of words that the model does not know, and of settings that do nothing."""
    keyed = () if resolved.keyed is None else tuple(each for key in resolved.keyed.contents for each in key)
    content = (*resolved.cond, *keyed, *resolved.uncond, *resolved.shown)
    text = " ".join(each.text for each in content if each.medium is Medium.WORDS)
    familiar = model.folder.known_words
    strange = unknown(text, familiar | model.tokens if familiar else familiar)
    if strange:
        named = ", ".join(f"{word} (near: {', '.join(near)})" if near else word for word, near in strange.items())
        warnings.warn(f"{model.name} does not know: {named}", RecastWarning, stacklevel=3)
    for idle in idle_settings(resolved.request, resolved.method, model.backbone, resolved.cfg_scale):
        warnings.warn(idle, RecastWarning, stacklevel=3)
