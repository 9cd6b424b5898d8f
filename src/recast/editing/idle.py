"""Settings that a request changes and nothing reads: each is named, with the reason."""

from collections.abc import Iterable, Iterator

from recast.backbones.backbone import Backbone
from recast.editing.request import FIELDS, Request
from recast.methods import GENERATORS, Method

GUIDING = ("guidance", "guided_from", "guided_until", "apg_eta", "apg_threshold", "apg_momentum", "perturbed_attention")
"""Knobs that say how content guidance is done."""


def idle_settings(request: Request, method: Method, backbone: Backbone, cfg_scale: float) -> Iterator[str]:
    """A sentence for each group of settings that do nothing in this edit.

    request: with the names of the method and the model that are meant. cfg_scale: content guidance, as resolved.
    """
    ignored = _changed(request, sorted(method.ignores))
    yield from _sentence(ignored, f"{request.method} does not read that")
    if not backbone.structure_kinds:
        kept = [
            name
            for name in _changed(request, ["structure", "structure_from", "structure_detail"])
            if name not in ignored
        ]
        yield from _sentence(kept, f"{request.model} reads no structure")
    if not method.needs_source:
        yield from _sentence(_changed(request, ["source_prompt"]), f"{request.method} does not ask what the clip shows")
    if not method.follows_flow:
        yield from _sentence(_changed(request, ["flow"]), f"{request.method} follows no motion")
    if cfg_scale == 1:
        guiding = [*_changed(request, ["negative"]), *(name for name in GUIDING if name in request.knobs)]
        yield from _sentence(guiding, "a cfg of 1 is no guidance")
    if not backbone.has_temporal_layers:
        timed = [name for name in ("temporal_guidance", "motion_guidance") if request.knobs.get(name, 1) != 1]
        yield from _sentence(timed, f"frames do not see each other in {request.model}")
    if request.method not in GENERATORS:
        yield from _sentence(
            _changed(request, ["fps", "storyboard", "layout", "strokes"]), "the clip has a rate and a course of its own"
        )
    if request.mask is None:
        yield from _sentence(_changed(request, ["edit", "feather"]), "there is no mask")


def _changed(request: Request, names: Iterable[str]) -> list[str]:
    usual = {name: FIELDS[name].get_default(call_default_factory=True) for name in names}
    return [name for name, default in usual.items() if getattr(request, name) != default]


def _sentence(names: list[str], reason: str) -> Iterator[str]:
    if names:
        named = " and ".join(name.replace("_", " ") for name in names)
        yield f"{named} {'do' if len(names) > 1 else 'does'} nothing here: {reason}"
