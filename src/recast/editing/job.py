"""The folder of an unfinished edit: what was found of the clip, and the latents of each segment that is done."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from recast.conditions.clip_scale import BITS, ClipScale, RawMap, ValueCounts
from recast.editing.record import Record
from recast.editing.survey import ShotFacts, Survey
from recast.errors import RequestError
from recast.files import disk_told, whole_file, workplace, write_synced
from recast.types import Latents
from recast.video.output import is_made

FACTS, SURVEY = "job.json", "survey.safetensors"
ASKED = "asked_segment"
ABOUT = "an unfinished edit by recast: the same command goes on with it, and removes this folder when it is done"


@dataclass(frozen=True)
class EditJob:
    """An edit that goes on where it was stopped. Each file is whole, and on the disk, before it has its name.

    asked: frames of a segment as the user asked for them, where memory ran out and they are fewer.
    """

    path: Path
    asked: int | None = None

    def begin(self, record: Record) -> None:
        """Begins it, or goes on with it. Raises RequestError where it is of an edit with other settings."""
        with disk_told(self.path):
            _check_facts(self.path, record, {} if self.asked is None else {ASKED: self.asked})

    def segment_begun(self, asked: int) -> int | None:
        """Frames of its segments, where it was begun with so many asked for and memory ran out; None otherwise."""
        try:
            facts = json.loads((self.path / FACTS).read_text("utf-8"))
            return facts["request"]["segment"] if facts.get(ASKED) == asked else None
        except (AttributeError, KeyError, OSError, ValueError):
            return None

    def check_unbegun(self) -> None:
        """Raises RequestError where it holds segments of another edit, which would be lost."""
        if (self.path / FACTS).exists():
            raise RequestError(
                f"{self.path} holds an unfinished edit with other settings: go on with those, or delete the folder"
            )

    def survey(self) -> Survey:
        """What is known of the clip."""
        path = self.path / SURVEY
        if not path.exists():
            return Survey()
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["facts"])
        held = load_file(path)
        counts = {kind: _counts(held, kind, *edges) for kind, edges in facts.pop("values").items()}
        last = {kind: held[f"last.{kind}"] for kind in counts}
        samples = tuple(held[name] for name in sorted(held) if name.startswith("sample."))
        facts["starts"] = tuple(facts["starts"])
        return Survey(**facts, counts=counts, last=last, samples=samples)

    def keep_survey(self, survey: Survey) -> None:
        """Stores it, and by itself what was measured of its last frame, for the part of the shot that begins there."""
        if survey.last:
            self._store(f"measured-{survey.frames:06d}.safetensors", dict(survey.last))
        facts = {name: getattr(survey, name) for name in ("frames", "first", "complete", "starts", "step")}
        values = {kind: [counts.least, counts.most] for kind, counts in survey.counts.items()}
        tensors = {f"last.{kind}": maps for kind, maps in survey.last.items()}
        tensors |= {f"sample.{number:02d}": frame for number, frame in enumerate(survey.samples)}
        for kind, counts in survey.counts.items():
            places = counts.counts.nonzero()[0]
            tensors |= {
                f"places.{kind}": torch.from_numpy(places),
                f"counts.{kind}": torch.from_numpy(counts.counts[places]),
            }
        self._store(SURVEY, tensors, {"facts": json.dumps(facts | {"values": values})})

    def measured(self, frame: int) -> dict[str, RawMap]:
        """What was measured of the frame before that one, by kind of structure."""
        return load_file(self.path / f"measured-{frame:06d}.safetensors")

    def keep_shot(self, start: int, shot: ShotFacts) -> None:
        """Stores what is known of the shot that begins at frame `start`."""
        scales = {kind: [scale.quantiles, scale.least, scale.most] for kind, scale in shot.scales.items()}
        self._store(self._shot(start).name, {"samples": shot.samples}, {"scales": json.dumps(scales)})

    def shot(self, start: int) -> ShotFacts:
        """What is known of the shot that begins at frame `start`."""
        with safe_open(self._shot(start), "pt") as file:
            scales = json.loads(file.metadata()["scales"])
            samples = file.get_tensor("samples")
        return ShotFacts(samples, {kind: ClipScale(tuple(each), *ends) for kind, (each, *ends) in scales.items()})

    def segments_done(self) -> int:
        """How many segments are done; they are done in order."""
        return next(number for number in count() if not self._segment(number).exists())

    def latents(self, segment: int) -> Latents:
        """The edited latents of a segment that is done. Raises RequestError where its file is damaged."""
        path = self._segment(segment)
        try:
            return load_file(path)["latents"]
        except (KeyError, SafetensorError) as error:
            raise RequestError(f"{path} is damaged ({error}); delete the folder, and begin the edit anew") from None

    def keep_latents(self, segment: int, latents: Latents) -> None:
        """Stores the latents of a segment."""
        self._store(self._segment(segment).name, {"latents": latents.cpu()})

    def _shot(self, start: int) -> Path:
        return self.path / f"shot-{start:06d}.safetensors"

    def _segment(self, number: int) -> Path:
        return self.path / f"segment-{number:06d}.safetensors"

    def _store(self, name: str, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
        whole = {key: tensor.contiguous() for key, tensor in tensors.items()}
        with disk_told(self.path), whole_file(self.path / name) as part:
            save_file(whole, part, metadata=metadata)


@contextmanager
def job_beside(target: Path) -> Iterator[EditJob]:
    """The job of an edit to `target`, in its workplace, held for this run.

    It is gone when the block ends, but where it ends with an error it stays if it was begun, or if a finished result is
    in it. Raises what `workplace` raises.
    """
    with workplace(target, lambda folder: (folder / FACTS).exists() or is_made(target, folder)) as folder:
        yield EditJob(folder)


def _check_facts(folder: Path, record: Record, asked: dict[str, int]) -> None:
    facts = {"about": ABOUT, **asked} | json.loads(replace(record, notes=()).to_json())
    path = folder / FACTS
    if not path.exists():
        for left in folder.glob("*.safetensors"):  # of a run that was killed while it removed the folder
            left.unlink()
        with whole_file(path) as part:
            write_synced(part, json.dumps(facts, indent=1) + "\n")
        return
    try:
        known = json.loads(path.read_text("utf-8"))
    except ValueError:
        known = {}
    if known == facts:
        return
    names = [name for name in facts["request"] if known.get("request", {}).get(name) != facts["request"][name]]
    other = f"other settings ({', '.join(names)})" if names else "another source, model or version"
    raise RequestError(f"{folder} holds an unfinished edit with {other}: go on with those, or delete the folder")


def _counts(held: dict[str, Tensor], kind: str, least: float, most: float) -> ValueCounts:
    counts = np.zeros(2**BITS, np.int64)
    counts[held[f"places.{kind}"].numpy()] = held[f"counts.{kind}"].numpy()
    return ValueCounts(counts, least, most)
