"""Pictures between frames by a model of video that is held to these frames."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from recast.backbones.backbone import Backbone
from recast.backbones.video_control import FirstPictureBackbone, VideoControlBackbone
from recast.editing.api import Editor
from recast.editing.checks import check_inputs, check_target, source_of
from recast.editing.interpolate import Maker, Picks, Rate, by_flow, interpolate, retimed
from recast.editing.loaded import Model
from recast.editing.progress import no_progress
from recast.editing.record import JOINED, SOURCE_TYPES
from recast.editing.request import Request
from recast.editing.resolve import WINDOW
from recast.errors import BackboneError, RequestError
from recast.progress import ProgressCallback
from recast.types import Clip, Frames
from recast.video.read import opened
from recast.video.resize import enlarged

USUAL = {True: "gen1", False: "sdedit"}
"""The method that is meant where none is said, by whether the model reads a structure of what flow shows."""


def by_model(request: Request, rate: Rate, fps: Fraction, model: Model) -> Maker:
    """By an edit of what flow shows between frames, under a mask that keeps the frames themselves.

    Frames go through as many at once as the model's window has room for; of one call the last are the first of the
    next. fps: what is made, a second. Raises RequestError for a rate that puts frames between the old ones, and
    BackboneError for a model that cannot be held to single frames.
    """
    if rate.times is None:
        raise RequestError("a model makes frames between all of the clip's own ones; say --factor N, not --rate")
    _check_held(model.backbone)
    own = model.folder.metadata
    window = request.window or own.window or own.frames or WINDOW
    if window < 1 + rate.times:
        raise RequestError(f"the model sees {window} frames at once, and two with {rate.times - 1} between are more")
    kept = {"source": None, "target": None, "cuts": "none", "edit": "inside", "feather": 0, "flow": None}
    method = USUAL[bool(model.backbone.structure_kinds)] if request.method == "auto" else request.method
    held = request.updated(**kept, method=method)
    flow = by_flow(request).made
    times = rate.times

    def made(keys: Frames, picks: Picks) -> Iterator[Frames]:
        guess = torch.cat([*flow(keys, picks), keys[-1:]])
        for (_, share), shown, picture in zip(picks, guess, edited(guess), strict=False):
            yield picture[None] if share else shown[None]

    def edited(guess: Frames) -> list[torch.Tensor]:
        with TemporaryDirectory() as folder:
            _write_mask(Path(folder), guess, times)
            result = Editor(model, held)(Clip(guess, fps), mask=folder).edited
        outlines, pairs = result.resolved.outlines_at, zip(result.frames, guess, strict=True)
        return [enlarged(small, like, outlines(number)) for number, (small, like) in enumerate(pairs)]

    named = {"name": model.name, "digest": model.digest}
    return Maker(1 + (window - 1) // times, made, named, SOURCE_TYPES + JOINED)


def interpolate_by(
    request: Request, rate: Rate, *, modelled: bool, watch: ProgressCallback = no_progress
) -> tuple[str, ...]:
    """`interpolate`, by flow or by the request's model. What is wrong with the request is said before that is read."""
    if not modelled:
        return interpolate(request, rate, None, watch)
    check_inputs(request)
    fps = retimed(opened(source_of(request), request.on_damage), rate).fps
    check_target(request)
    return interpolate(request, rate, by_model(request, rate, fps, Model.asked(request)), watch)


def _check_held(backbone: Backbone) -> None:
    reads_mask = isinstance(backbone, VideoControlBackbone) and not backbone.reads_clip
    if not backbone.has_temporal_layers:
        raise BackboneError("the model sees single frames, and would make each one for itself; take a model of video")
    if isinstance(backbone, FirstPictureBackbone):
        raise BackboneError("the model is held to a clip's first frame alone; take one that reads words, or VACE")
    if backbone.temporal_stride > 1 and not reads_mask:
        wrong = f"{backbone.temporal_stride} frames share a latent of this model, so it is not held to single ones"
        raise BackboneError(f"{wrong}; take a VACE model, or one of image latents, such as animatediff")


def _write_mask(folder: Path, frames: Frames, times: int) -> None:
    """White where frames are to be made, black where they are the clip's own: each `times`-th."""
    rows, columns = frames.shape[-2:]
    for number in range(len(frames)):
        plane = np.full((rows, columns), 0 if number % times == 0 else 255, dtype=np.uint8)
        Image.fromarray(plane).save(folder / f"{number:05d}.png", compress_level=1)
