"""recast from Python: a loaded model that edits clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

from recast.editing.checks import check_inputs, check_target, treated
from recast.editing.generate import USUAL, generated
from recast.editing.loaded import Model
from recast.editing.prepared import prepare
from recast.editing.progress import no_progress
from recast.editing.record import Record
from recast.editing.request import ALSO_CALLED, Request
from recast.editing.resolve import resolve
from recast.editing.stages import Edited, generate, write
from recast.errors import RequestError
from recast.methods import GENERATORS
from recast.progress import ProgressCallback
from recast.types import Clip, Frames
from recast.video.read import Window, opened, read
from recast.video.write import save_clip


def load(
    model: str | PathLike[str] = "pocket",
    *,
    device: str = "auto",
    dtype: str = "auto",
    adapter: str | PathLike[str] | Sequence[str | tuple[str, float]] = (),
) -> "Editor":
    """An editor with the model of a known name, or in a folder.

    device: auto, cpu, cuda or mps. dtype: auto, float32, bfloat16 or float16. adapter: a folder that `tune` wrote, or
    several, each with a weight as DIR:W or (DIR, W).
    Raises WeightsError where the model or an adapter is missing or damaged, RequestError for a device that is not there
    and for an adapter of another model.
    """
    held = adapter if isinstance(adapter, str | Sequence) else str(adapter)
    asked = Request.asked(model=str(model), device=device, dtype=dtype, adapters=held)
    loaded = Model.loaded(asked.model, device=asked.device, dtype=asked.dtype, adapters=asked.adapters)
    return Editor(loaded, asked)


def open_clip(
    path: str | PathLike[str],
    *,
    start: float = 0.0,
    end: float | None = None,
    max_frames: int | None = None,
    size: tuple[int, int] | None = None,
    on_damage: str = "fail",
) -> Clip:
    """Decodes a stretch of a video file: start <= time < end in seconds, at most `max_frames`.

    size: rows and columns, None for the file's own. on_damage: fail; or warn, which takes what can be decoded; or
    repeat, which fills what is missing or corrupt with the frame before. Raises MediaError where it cannot be read,
    RequestError where the stretch holds no frame.
    """
    source = opened(path, on_damage)
    return read(source, Window(start=start, end=end, max_frames=max_frames, size=size))


@dataclass(frozen=True, eq=False)
class Editor:
    """A loaded model. defaults: the request that each call starts from."""

    model: Model
    defaults: Request

    def __call__(
        self, clip: Clip | str | PathLike[str], *, watch: ProgressCallback = no_progress, **settings: object
    ) -> "Result":
        """Edits a clip or a file, or the stretch of it that start, end and max_frames say.

        settings: as the command line's flags and the fields of `Request`, such as prompt="a snowy field",
        image="ref.png", structure_detail=2, temporal_guidance=1.2, seed=7, mask="mask.png".
        Raises RecastError for what cannot be done; its message says what to do.
        """
        _check_set_here(settings)
        if "vram" in settings:
            raise RequestError("vram is of edits from file to file: `recast edit`, or recast.evaluation.room.within")
        if not isinstance(clip, Clip | str | PathLike):
            kind = type(clip).__name__
            raise RequestError(f"the clip is of type {kind}; give a path, or a Clip of frames [t 3 h w] and their rate")
        if isinstance(clip, Clip):
            request = self.defaults.updated(**settings)
        else:
            request = self.defaults.updated(source=Path(clip), **settings)
        check_inputs(request)
        source = clip if isinstance(clip, Clip) else treated(opened(clip, request.on_damage), request)
        resolved = resolve(request, self.model, source)
        return Result(generate(resolved, prepare(resolved, self.model, watch), self.model, watch))

    def generate(self, *, watch: ProgressCallback = no_progress, **settings: object) -> "Result":
        """Makes a clip from words or pictures alone, without a source.

        settings: as for an edit, and frames=16 or duration=2 (seconds), fps=8, size=(512, 288), noise="mixed",
        long="keys". Raises RecastError for what cannot be done, such as a model that always reads a structure.
        """
        _check_set_here(settings)
        return Result(generated(self.defaults.updated(**{"method": USUAL} | settings), self.model, watch))


def _check_set_here(settings: Mapping[str, object]) -> None:
    named = {ALSO_CALLED.get(name, name) for name in settings}
    fixed = {"model", "adapters", "device", "dtype", "source", "target", "overwrite"} & named
    if fixed:
        wrong = f"{min(fixed)} is not set by the edit"
        raise RequestError(f"{wrong}; load() sets model, adapter and device, save() the target")


@dataclass(frozen=True, eq=False)
class Result:
    """An edited clip."""

    edited: Edited

    @property
    def frames(self) -> Frames:
        """The edited frames at the size that was worked at; `save` brings them to the source's size."""
        return self.edited.frames

    @property
    def clip(self) -> Clip:
        """The same as a clip, to look at or to edit again."""
        return replace(self.edited.prepared.clip, frames=self.frames)

    @property
    def record(self) -> Record:
        """How it was made, as each output carries it."""
        return self.edited.record

    def save(
        self, path: str | PathLike[str], *, overwrite: bool = False, watch: ProgressCallback = no_progress
    ) -> Path:
        """Writes the clip at its source's own size, with the source's sound where it came from a file.

        Raises RequestError for a file that is already there or of an unknown kind.
        """
        target = Path(path)
        resolved = self.edited.resolved
        check_target(replace(resolved.request, target=target, overwrite=overwrite))
        if resolved.request.method in GENERATORS:
            codec, record = resolved.request.codec, self.record.to_json()
            save_clip(self.clip, target, overwrite=overwrite, record=record, codec=codec)
            return target
        if not isinstance(resolved.source, Clip):
            write(self.edited, target, watch, overwrite=overwrite)
            return target
        with TemporaryDirectory() as folder:
            # Written as pictures first, so that there is one way to write an edit: beside a source that is read again.
            save_clip(resolved.source, Path(folder))
            filed = replace(self.edited, resolved=replace(resolved, source=opened(folder)))
            write(filed, target, watch, overwrite=overwrite)
        return target
