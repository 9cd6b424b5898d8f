"""What a model's folder says of methods, the one that it is edited by and its defaults for each, and of rates."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from recast.diffusion.schedule import is_consistency
from recast.editing.knob_names import knobs_of
from recast.editing.loaded import Model
from recast.errors import RequestError, WeightsError, known
from recast.methods import ALL_METHODS, METHODS, Method
from recast.model.metadata import ModelMetadata
from recast.types import Clip

SAMPLING = ("steps", "cfg", "ensemble")
"""What a model's defaults for a method may say besides its knobs."""

DDIM, CONSISTENCY = "ddim", "lcm"
"""Names in SAMPLERS: what requests mean that say none, and the way of networks that were distilled for few steps."""

FAR = 2.0
"""A clip's rate is far from that of training where one is more than so many times the other."""


def own_method(model: Model) -> str:
    """The method that the model's folder names. Raises WeightsError for one that there is not."""
    name = model.folder.metadata.method
    if name not in METHODS:
        raise WeightsError(
            f"recast.json names the method {name!r}; there are {', '.join(METHODS)}; {model.folder.path}"
        )
    return name


def defaults_of(metadata: ModelMetadata, method: str) -> tuple[dict[str, float], dict[str, float]]:
    """What a model's folder says of a method, and with that what is usual where the request says nothing."""
    own = metadata.method_defaults.get(method, {})
    ensemble = metadata.ensemble if ALL_METHODS[method].ensembles else 1
    return own, {"steps": metadata.steps, "cfg": metadata.cfg_scale, "ensemble": ensemble} | own


def method_of(name: str, own: dict[str, float], knobs: dict[str, Any]) -> Method:
    """The method with its knobs: those of the request, then the model's own for it, then the method's defaults.

    Raises WeightsError for what the model's folder says and the method refuses.
    """
    usual = {knob: value for knob, value in own.items() if knob not in SAMPLING}
    try:
        for knob in usual:
            known("knob", knob, knobs_of(name))
        TypeAdapter(ALL_METHODS[name]).validate_python(usual)
    except (ValidationError, RequestError) as fault:
        first = fault.errors(include_url=False)[0] if isinstance(fault, ValidationError) else None
        wrong = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(fault)
        raise WeightsError(f"recast.json, method_defaults of {name}: {wrong}; mend the model's folder") from fault
    return TypeAdapter(ALL_METHODS[name]).validate_python(usual | knobs)


def sampler_of(name: str, model: Model) -> str:
    """The sampler that a request means: for ddim the model's own way, where it was distilled for another."""
    consistent = name == DDIM and model.folder.has("scheduler") and is_consistency(model.folder.scheduler_config())
    return CONSISTENCY if consistent else name


def spacing_note(clip: Clip, model: Model) -> tuple[str, ...]:
    """What is to be known of a clip whose frames are much denser or sparser than those that the model learned from."""
    trained, rate = model.folder.metadata.fps, float(clip.fps)
    if trained is None or len(clip) == 1 or max(rate / trained, trained / rate) <= FAR:
        return ()
    moves = f"{'less' if rate > trained else 'more'} from frame to frame ({trained / rate:.2g} times as far)"
    return (
        f"the clip has {rate:.4g} frames a second and {model.name} learned from {trained:.4g}: things move {moves} "
        "than it has seen; there is no setting for it yet",
    )
