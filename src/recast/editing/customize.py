"""`recast.customize`: a model learns a subject from pictures, and an adapter folder is what comes of it."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from recast.conditions.subject import NamedSubject
from recast.editing.adapting import asked, free_adapter, memory_told, settings_of
from recast.editing.loaded import Model
from recast.editing.progress import no_progress
from recast.editing.subject_pictures import PictureReader, picture_files
from recast.engine.monitor import Monitor, StepStats
from recast.progress import ProgressCallback
from recast.tuning.customize import CustomizeConfig, PictureSet, customize_adapter
from recast.tuning.strips import drawn_subject
from recast.tuning.subjects import subject_offset
from recast.tuning.tuned import tunable
from recast.types import Frames
from recast.video.sheet import saved

OF_CUSTOMIZING = settings_of(CustomizeConfig)
OF_PICTURES = ("model", "device", "structure", "structure_detail", "size")
"""Settings that are those of an edit: the model, and what is kept of each picture."""
DETAILS = tuple(float(detail) for detail in range(8))
"""Every t_s that structure is learned with, unless one is asked for."""


def customize(
    photos: Sequence[str | PathLike[str]],
    *,
    token: str,
    class_name: str,
    output: str | PathLike[str],
    overwrite: bool = False,
    watch: ProgressCallback = no_progress,
    **settings: object,
) -> Path:
    """Teaches a model a subject and writes the adapter folder `output`, which `recast.load(adapter=...)` takes.

    photos: picture files, and folders of them; 15 to 30 pictures. Prompts then name the subject by `token`; class_name
    says what it is. settings: fields of `CustomizeConfig`, such as train="full", and of an edit as in OF_PICTURES.
    Prior data is made once and stays in OUTPUT.prior; samples on the way go to OUTPUT.samples. Where a run to the same
    folder was stopped, the same call goes on with it, bit for bit.
    Raises RecastError for what cannot be done; Cancelled from `watch` loses the steps since the last fiftieth.
    """
    subject = NamedSubject(token, " ".join(class_name.split()))
    config, request = asked(CustomizeConfig, OF_PICTURES, subject.class_name, settings)
    target = free_adapter(Path(output), overwrite=overwrite)
    files = picture_files(photos)
    model = Model.loaded(request.model, device=request.device, dtype="float32")
    reader = PictureReader(model, request, (request.structure_detail,) if "structure_detail" in settings else DETAILS)
    with memory_told("customizing", "a smaller --size or --batch"):
        own = reader.frames(files)
        prior = own[:0]
        if config.trains_network:
            prior = reader.prior(_beside(target, "prior"), own, subject.class_name, config.prior, watch)
        pictures = _learned_from(reader, own, prior, subject, watch)
        offset = subject_offset(model.backbone, subject, own, config.seed)
        samples = drawn_subject(
            tunable(model.backbone), pictures, config.seed, None if config.trains_network else offset
        )
        watch("customize", 0, config.steps)
        monitor = _reporting(watch, config.steps, _beside(target, "samples"))
        customize_adapter(model.backbone, pictures, offset, config, target, monitor=monitor, samples=samples)
    return target


def _reporting(watch: ProgressCallback, steps: int, strips: Path) -> Monitor:
    def report(seen: StepStats) -> None:
        if seen.samples_image is not None:
            strips.mkdir(parents=True, exist_ok=True)
            saved(seen.samples_image, strips / f"step-{seen.step:06d}.png")
        watch("customize", seen.step, steps)

    return report


def _learned_from(
    reader: PictureReader, own: Frames, prior: Frames, subject: NamedSubject, watch: ProgressCallback
) -> PictureSet:
    shown = [(frame, subject.named) for frame in own.split(1)]
    shown += [(frame, subject.class_name) for frame in prior.split(1)]
    cached = []
    for frame, words in shown:
        watch("encode", len(cached), len(shown))
        cached.append(reader.cached(frame, words))
    watch("encode", len(shown), len(shown))
    base = {"name": reader.model.name, "digest": reader.model.digest}
    return PictureSet(subject, tuple(cached[: len(own)]), tuple(cached[len(own) :]), base)


def _beside(target: Path, what: str) -> Path:
    return target.with_name(f"{target.name}.{what}")
