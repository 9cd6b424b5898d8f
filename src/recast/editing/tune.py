"""`recast.tune`: a model learns one captioned clip, and an adapter folder is what comes of it."""

from os import PathLike
from pathlib import Path

import torch

from recast.editing.adapting import asked, free_adapter, memory_told, settings_of
from recast.editing.denoise import structured
from recast.editing.loaded import Model
from recast.editing.prepared import prepare
from recast.editing.progress import no_progress
from recast.editing.resolve import ResolvedEdit, resolve
from recast.engine.monitor import StepStats
from recast.errors import ClipError, RequestError
from recast.progress import ProgressCallback
from recast.tuning.config import TuneConfig
from recast.tuning.tuned import tunable
from recast.tuning.tuner import CachedClip, tune_adapter
from recast.types import Clip, Condition
from recast.video.read import opened

OF_TUNING = settings_of(TuneConfig)
OF_SOURCE = (
    "device",
    "duration",
    "end",
    "max_frames",
    "model",
    "on_damage",
    "size",
    "start",
    "structure",
    "structure_detail",
)
"""Settings that are those of an edit: the model, the stretch of the clip, and what is kept of it."""


def tune(
    clip: Clip | str | PathLike[str],
    *,
    caption: str,
    output: str | PathLike[str],
    overwrite: bool = False,
    watch: ProgressCallback = no_progress,
    **settings: object,
) -> Path:
    """Tunes a model on a clip and writes the adapter folder `output`, which `recast.load(adapter=...)` takes.

    caption: what the clip shows. settings: fields of `TuneConfig`, such as train="lora" and steps=200, and of an edit
    as in OF_SOURCE. Where a run to the same folder was stopped, the same call goes on with it, bit for bit.
    Raises RecastError for what cannot be done; Cancelled from `watch` loses the steps since the last fiftieth.
    """
    if not caption.strip():
        raise RequestError('nothing says what the clip shows; write --caption "a dog runs"')
    config, request = asked(TuneConfig, OF_SOURCE, caption.strip(), settings)
    target = free_adapter(Path(output), overwrite=overwrite)
    source = clip if isinstance(clip, Clip) else opened(clip, request.on_damage)
    model = Model.loaded(request.model, device=request.device, dtype="float32")
    tunable(model.backbone)  # before there is work that would be lost
    cached = cached_clip(resolve(request, model, source), model, config, watch)

    def report(seen: StepStats) -> None:
        watch("tune", seen.step, config.steps)

    watch("tune", 0, config.steps)
    with memory_told("tuning", "fewer --frames or a smaller --size"):
        tune_adapter(model.backbone, cached, config, target, monitor=report)
    return target


def cached_clip(
    resolved: ResolvedEdit, model: Model, config: TuneConfig, watch: ProgressCallback = no_progress
) -> CachedClip:
    """Evenly spaced frames of the clip as latents, structure and content: all that tuning reads. ClipError for too few.

    Structure is that of the whole stretch, as edits see it.
    """
    prepared = prepare(resolved, model, watch)
    count, whole = config.frames, prepared.clip
    if len(whole) < count:
        raise ClipError(f"the clip has {len(whole)} frames and {count} are to be learned; say --frames {len(whole)}")
    picks = torch.linspace(0, len(whole) - 1, count).round().long()
    backbone = model.backbone
    content = backbone.encode_content(resolved.cond, seed=resolved.seed)
    bare = Condition(content, backbone.null_tokens(), frames=whole.first + torch.arange(len(whole)))
    condition = structured(resolved, prepared, bare, model).at(picks)
    latents = backbone.encode(whole.frames[picks])
    base = {"name": model.name, "digest": model.digest}
    return CachedClip(latents, condition, resolved.cond[0].text, base)
