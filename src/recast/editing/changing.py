"""What changes over the frames of an edit: numbers as curves, and the wanted content at its keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from recast.conditions.content import ContentInput, Medium
from recast.curves import Curve, Places
from recast.editing.loaded import Model
from recast.editing.request import Request, method_for
from recast.editing.schedules import CONTENT, NUMBERS, Keyed, schedules_of
from recast.editing.sound_schedules import Driven
from recast.editing.values import ALSO_SET_AS
from recast.errors import BackboneError, RequestError
from recast.methods import ALL_METHODS
from recast.model.folder import ModelFolder
from recast.types import Clip
from recast.video.source import Source

MEDIA = {"words": Medium.WORDS, "pictures": Medium.PICTURE}


@dataclass(frozen=True)
class KeyedContent:
    """The wanted content at each key, or at each stop of a sound."""

    keys: Places
    contents: tuple[tuple[ContentInput, ...], ...]


@dataclass(frozen=True)
class Changing:
    """What changes. curves: settings by name. content: None where it is the same in all frames."""

    curves: Mapping[str, Curve] = field(default_factory=dict)
    content: KeyedContent | None = None


def without_constant(request: Request) -> Request:
    """The request with each schedule that says one value alone as that value, so both are one edit."""
    keyed = schedules_of(request.schedules)
    values = {name: each.values[0] for name, each in keyed.items() if each.is_constant}
    if not values:
        return request
    left = {name: text for name, text in request.schedules.items() if name not in values}
    return request.updated(schedules=left, **values)


def changing_of(request: Request, name: str, model: Model, source: Source | Clip) -> Changing:
    """What changes in an edit by the method `name`, over frames of this source.

    Raises RequestError for what the method takes once for all frames, and for keys that cannot be, BackboneError for
    what the model cannot read.
    """
    keyed = schedules_of(request.schedules)
    _check(keyed, name, model)
    file = source if isinstance(source, Source) else None
    curves = {each: keyed[each].curve(source.fps, file) for each in NUMBERS if each in keyed}
    contents = {each: keyed[each] for each in CONTENT if each in keyed}
    placed = {
        each: found.placed(source.fps) if isinstance(found, Keyed) else found.between(source.fps, file)
        for each, found in contents.items()
    }
    return Changing(curves, _content(request, contents, placed))


def check_schedules(request: Request, fps: Fraction) -> None:
    """What is wrong with a request's schedules, as far as that is known before its model is read.

    Raises RequestError as `changing_of`.
    """
    if request.schedules:
        folder = ModelFolder.found(request.model)
        keyed = schedules_of(without_constant(request).schedules)
        _check_method(keyed, method_for(request, folder.metadata.method))
        keys = {each: found for each, found in keyed.items() if isinstance(found, Keyed)}
        placed = {each: found.placed(fps) for each, found in keys.items()}
        _content(request, {each: keys[each] for each in CONTENT if each in keys}, placed)


def _check_method(keyed: Mapping[str, Keyed | Driven], name: str) -> None:
    for each in sorted(keyed.keys() - ALL_METHODS[name].over_time):
        able = [other for other, kind in ALL_METHODS.items() if each in kind.over_time]
        shown = ALSO_SET_AS.get(each, each)
        raise RequestError(f"{name} takes one {shown} for all frames; {', '.join(able)} take a schedule of it")


def _check(keyed: Mapping[str, Keyed | Driven], name: str, model: Model) -> None:
    _check_method(keyed, name)
    if "structure_detail" in keyed and not model.backbone.structure_kinds:
        raise BackboneError(f"{model.name} reads no structure, so its detail can have no schedule; leave it out")
    if "pictures" in keyed and Medium.PICTURE not in model.backbone.media:
        raise BackboneError(f"{model.name} reads words only; leave the pictures out, or take a Gen-1 model")


def _content(
    request: Request, keyed: Mapping[str, Keyed | Driven], placed: Mapping[str, Places]
) -> KeyedContent | None:
    given = [name for name in CONTENT if name in keyed]
    if not given:
        return None
    if len({placed[name] for name in given}) > 1:
        raise RequestError("prompt and image have schedules with other keys; give both the same frames and way")
    still = tuple(each for name in CONTENT if name not in given for each in _inputs(name, getattr(request, name)))
    at_keys = zip(*(keyed[name].values for name in given), strict=True)
    contents = tuple(
        still
        + tuple(each for name, value in zip(given, values, strict=True) for each in _inputs(name, _read(name, value)))
        for values in at_keys
    )
    return KeyedContent(placed[given[0]], contents)


def _read(name: str, value: str) -> tuple[tuple[str, float], ...]:
    return getattr(Request.asked(**{name: value}), name)


def _inputs(name: str, weighted: tuple[tuple[str, float], ...]) -> tuple[ContentInput, ...]:
    return tuple(ContentInput(MEDIA[name], text, weight) for text, weight in weighted)
