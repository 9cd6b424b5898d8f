"""The edits of a suite: each made into a file, and measured beside its source."""

import warnings
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from PIL import Image

from recast.conditions.content import Medium
from recast.editing.api import Editor, load, open_clip
from recast.editing.record import digest
from recast.errors import Cancelled, RecastError, RecastWarning, RequestError
from recast.evaluation.judge.judge import WEIGHTS
from recast.evaluation.pairs import evaluate
from recast.evaluation.results import ResultsFile, Workers, collected
from recast.evaluation.suites.layouts import ClipEdit
from recast.evaluation.suites.suite_file import SuiteFile, SuiteItem
from recast.files import whole_folder
from recast.model.folder import ModelFolder
from recast.progress import ProgressCallback
from recast.types import Clip
from recast.video.isolated_pictures import facts, still
from recast.video.sequence import KINDS
from recast.video.write import save_clip

RESULTS, EDITS, SOURCES, MASKS = "results.jsonl", "edits", "sources", "masks"
STRETCH = ("start", "end", "duration", "max_frames")
"""Settings that say which part of a clip is edited."""
HELD = 2
"""Models and clips that a process keeps at hand."""


@dataclass(frozen=True)
class SuiteRun:
    """A suite, the folder that takes edits and results, and the device."""

    file: SuiteFile
    folder: Path
    device: str
    jobs: int = 1

    @property
    def identity(self) -> dict[str, Any]:
        """What results must have in common: models, settings, the judge and the encoder."""
        paths = [self.file.located(model) for model in self.file.models]
        models = {Path(path).name: digest(ModelFolder.found(path).path) for path in paths}
        arms = [asdict(arm) | {"model": Path(arm.model).name} for arm in self.file.arms]
        held = {"models": models, "judge": digest(WEIGHTS), "encoder": self.file.encoder, "arms": arms}
        held |= {name: value for name, value in self.file.networks.items() if value}
        return held | ({"asked": [self.file.ask, self.file.ask_model]} if self.file.ask else {})

    def made(self, watch: ProgressCallback) -> dict[SuiteItem, dict[str, Any]]:
        """What was measured of each edit, in the suite's order. A stopped run goes on where it was."""
        for name in (EDITS, SOURCES):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        items = {f"{item.name}: {item.edit.words}": item for item in self.file.items()}
        for edit in dict.fromkeys(item.edit for item in items.values()):
            self._shown(edit)
        workers = Workers(self.jobs, partial(editor, self.file.arms[0].model, self.device))
        file = ResultsFile(self.folder / RESULTS, self.identity)
        found = collected(items, partial(made_edit, self), file, workers, watch)
        return {items[name]: row for name, row in found.items()}

    def stretch(self) -> dict[str, Any]:
        """Which part of clips is edited, as `open_clip` takes it."""
        held = {name: value for name, value in self.file.settings.items() if name in STRETCH}
        if "duration" in held:
            held["end"] = held.get("start", 0.0) + held.pop("duration")
        return held

    def _shown(self, edit: ClipEdit) -> None:
        """The stretch of the source beside the edits, for the page's players."""
        target = self.folder / SOURCES / f"{edit.name}.mp4"
        if not target.exists():
            save_clip(source_of(edit.clip, tuple(self.stretch().items())), target)
        if edit.mask is not None:
            white(edit.mask, self.white_masks(edit))

    def white_masks(self, edit: ClipEdit) -> Path:
        """Where `white` keeps its copy of the edit's masks: a clip may have several."""
        return self.folder / MASKS / f"{edit.name}-{crc32(str(edit.mask).encode()):08x}"


def made_edit(run: SuiteRun, item: SuiteItem) -> dict[str, Any]:
    """Makes and measures one edit. JSON's types: figures by the names of METRICS, or refusal, why there is no edit."""
    edit, target = item.edit, run.folder / EDITS / f"{item.name}.mp4"
    options, held = dict(item.arm.options), editor(item.arm.model, run.device)
    if edit.source_words and Medium.PICTURE not in held.model.backbone.media:
        options.setdefault("source_prompt", edit.source_words)  # others see in its frames what a clip shows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecastWarning)  # measurements say which words are not known
        try:
            result = held(edit.clip, prompt=edit.words, seed=item.seed, **options)
            result.save(target, overwrite=True)
        except Cancelled:
            raise
        except RecastError as error:
            return {"refusal": str(error)}
    return measured_edit(run, edit, target)


def measured_edit(run: SuiteRun, edit: ClipEdit, target: Path) -> dict[str, Any]:
    """The figures of an edit in a file. Words that are too many for the pair that measures are left out, with a note.

    Those of the source go first, then all: a list of other people's captions is no reason to measure nothing.
    """
    named = {name: value and run.file.located(value) for name, value in run.file.networks.items()}
    asked: dict[str, Any] = {"ask": run.file.ask, "ask_model": run.file.ask_model, "preference": named["preference"]}
    settings: dict[str, Any] = {"encoder": named["encoder"], "device": run.device}
    if edit.mask is not None:
        settings |= {"mask": white(edit.mask, run.white_masks(edit)), "edit": edit.side, "lpips": named["lpips"]}
    source = source_of(edit.clip, tuple(run.stretch().items()))
    words, notes = {"prompt": edit.words, "source_prompt": edit.source_words}, []
    while True:
        try:
            scores = evaluate(source, target, **(asked if words["prompt"] else {}), **settings, **words)
            break
        except RequestError as error:
            left_out = next((name for name in ("source_prompt", "prompt") if words[name]), None)
            if left_out is None:
                raise
            words[left_out] = None
            notes.append(f"measured without the {left_out.replace('_', ' ')}: {error}")
    figures = scores.figures
    facts = {"frame_count": scores.frames, "size": list(scores.size), "notes": [*notes, *scores.notes]}
    return facts | {"figures": figures.edit, "source": figures.source, "by": figures.by}


@lru_cache(maxsize=HELD)
def editor(model: str, device: str) -> Editor:
    """The model, opened once a process."""
    return load(model, device=device)


@lru_cache(maxsize=HELD)
def source_of(path: Path, stretch: tuple[tuple[str, Any], ...]) -> Clip:
    """The stretch of a clip that is edited, at its own size."""
    return open_clip(path, **dict(stretch))


def white(masks: Path, folder: Path) -> Path:
    """Masks as they are, but of a folder of pictures with a palette (DAVIS) a copy in which all objects are white."""
    pictures = sorted(masks.glob("*.png")) if masks.is_dir() else []
    if not pictures or folder.exists():
        return folder if pictures else masks
    if facts(pictures[0], KINDS).mode != "P":
        return masks
    with whole_folder(folder) as part:
        for path in pictures:
            object_shown = still(path, KINDS, alpha=False).any(axis=-1)  # only the background's colour is black
            Image.fromarray(255 * object_shown.astype(np.uint8)).save(part / path.name)
    return folder
