"""The stages of curation in order, each stored on disk when it is done, so that a killed run can resume."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recast.curation.filters import FILTERS
from recast.curation.materials import Found, Material, SourceKind, found
from recast.curation.report import page
from recast.curation.scan import Candidate, Scan, ScanJob
from recast.curation.selection import COPIES, Selection, selected, shard_jobs
from recast.curation.settings import Settings
from recast.data.manifest import schema, write_manifest
from recast.data.storage import MANIFEST, PICTURES, REPORT, SUMMARY, write_text
from recast.editing.record import digest
from recast.errors import RequestError, known
from recast.files import run_lock
from recast.jobs.runners import ONE_WORKER, RUNNERS, Executor
from recast.model.folder import ModelFolder
from recast.progress import ProgressCallback
from recast.video.cuts import DETECTORS

WORK = ".work"
"""Folder inside that of the shards with intermediate results; it is removed at the end."""
IMAGES_A_JOB, WORLDS_A_JOB = 32, 1024


@dataclass(frozen=True)
class CurationPlan:
    """Sources as the user gave them, what was found in them, and the settings."""

    sources: tuple[str, ...]
    settings: Settings
    found: Found

    @classmethod
    def made(cls, sources: Sequence[str], settings: Settings) -> "CurationPlan":
        """The plan for some sources. Raises RequestError for a missing source or an unknown part."""
        known("shot detector", settings.shots, DETECTORS)
        known("kind of picture", settings.pictures, PICTURES)
        known("way to take folders", settings.folders, ("auto", "clip", "images"))
        for name in settings.skip:
            known("filter", name, [*FILTERS, COPIES])
        return cls(tuple(sources), settings, found(list(sources), settings.folders, settings.frames))

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What two runs must have in common for one to resume the other."""
        settings = self.settings
        model = None if settings.model is None else digest(ModelFolder.found(settings.model).path)
        captioner = None if settings.captioner is None else digest(Path(settings.captioner))
        listed = json.dumps([[each.matter, each.name, each.stamp] for each in self.found.materials])
        return {
            "recast": version("recast-video"),
            "settings": settings.to_dict(),
            "model": model,
            "captioner": captioner,
            "sources": list(self.sources),
            "materials": hashlib.sha256(listed.encode()).hexdigest(),
        }

    def counts(self) -> dict[str, int]:
        """How many materials there are, by kind."""
        return {matter.value: self.found.count(matter) for matter in SourceKind}

    def batches(self) -> Iterator[tuple[int, tuple[Material, ...]]]:
        """Materials that one job scans, with the index of the first: many where scanning is quick, else one."""
        sizes = {SourceKind.IMAGE: IMAGES_A_JOB, SourceKind.WORLD: WORLDS_A_JOB}
        materials, start = self.found.materials, 0
        while start < len(materials):
            stop = start + 1
            size = sizes.get(materials[start].matter, 1)
            while stop < min(start + size, len(materials)) and materials[stop].matter is materials[start].matter:
                stop += 1
            yield start, materials[start:stop]
            start = stop


def curated(
    plan: CurationPlan, folder: Path, watch: ProgressCallback, crew: Executor = ONE_WORKER
) -> tuple[dict[str, Any], bool]:
    """Makes the shards of a plan in a folder; returns their summary, and whether there was anything to do.

    Resumes an interrupted run of the same plan; the result is the same as without the interruption. Raises RequestError
    where the folder holds something else or is in use by another run, ExtraError where a package is missing.
    """
    known("runner", crew.runner, RUNNERS)
    schema()
    done = _summary(plan, folder)
    if done is not None:
        return done, False
    work = _work(folder)
    with run_lock(work):
        _begin(plan, folder)
        summary = _through(plan, folder, watch, crew)
    shutil.rmtree(work)
    return summary, True


def _through(plan: CurationPlan, folder: Path, watch: ProgressCallback, crew: Executor) -> dict[str, Any]:
    """Runs all stages that are not done yet; returns the summary, which is written last."""
    scans = list(_scanned(plan, folder / WORK, watch, crew))
    chosen = selected(scans, plan.settings)
    encoded = _encoded(plan, chosen.kept, folder, watch, crew)
    write_manifest(folder / MANIFEST, (each["rows"] for each in encoded), FILTERS)
    summary = _summed(plan, scans, chosen, encoded)
    thumbs = {key: (image, caption) for each in encoded for key, image, caption in each["thumbs"]}
    write_text(folder / REPORT, page(summary, scans, chosen, thumbs))
    write_text(folder / SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    return summary


def _summary(plan: CurationPlan, folder: Path) -> dict[str, Any] | None:
    """The summary of a finished run of the same plan, None without one. Raises RequestError for anything else."""
    path = folder / SUMMARY
    if path.exists():
        summary = json.loads(path.read_text("utf-8"))
        _check_same(summary.get("identity"), plan, folder)
        shutil.rmtree(folder / WORK, ignore_errors=True)  # an earlier run may have been killed before it removed this
        return summary
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"this is a file, and shards need a folder: {folder}")
    if folder.exists() and not (folder / WORK).is_dir() and any(folder.iterdir()):
        raise RequestError(f"the folder holds other things; name a new one for the shards: {folder}")
    return None


def _work(folder: Path) -> Path:
    """The folder of intermediate results, with those of an earlier run."""
    work = folder / WORK
    for part in ("scans", "rows"):
        try:
            (work / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RequestError(f"nothing can be written there ({error.strerror}): {folder}") from error
    return work


def _begin(plan: CurationPlan, folder: Path) -> None:
    """Checks that intermediate results belong to this plan, and removes half-written files of a killed run."""
    work = folder / WORK
    identity = work / "identity.json"
    if identity.exists():
        _check_same(json.loads(identity.read_text("utf-8")), plan, folder)
    else:
        write_text(identity, json.dumps(plan.identity))
    for part in (folder, work, work / "scans", work / "rows"):
        for left in part.glob(".recast-*"):
            left.unlink(missing_ok=True)


def _check_same(identity: dict[str, Any] | None, plan: CurationPlan, folder: Path) -> None:
    wanted = json.loads(json.dumps(plan.identity))
    if identity == wanted:
        return
    previous = identity or {}
    differing = [name for name in wanted if previous.get(name) != wanted[name]]
    if "settings" in differing and isinstance(previous.get("settings"), dict):
        differing += [name for name, value in wanted["settings"].items() if previous["settings"].get(name) != value]
        differing.remove("settings")
    raise RequestError(
        f"the folder holds shards that differ in {', '.join(differing) or 'kind'}; name another one: {folder}"
    )


def _scanned(plan: CurationPlan, work: Path, watch: ProgressCallback, crew: Executor) -> Iterator[Scan]:
    place = work / "scans"
    jobs = [ScanJob(batch, first, plan.settings, place / f"{first:08d}.json") for first, batch in plan.batches()]
    crew.do("scan", [job for job in jobs if not job.target.exists()], watch)
    for job in jobs:
        yield from map(Scan.from_dict, json.loads(job.target.read_text("utf-8")))


def _encoded(
    plan: CurationPlan, kept: Sequence[Candidate], folder: Path, watch: ProgressCallback, crew: Executor
) -> list[dict[str, Any]]:
    jobs = list(shard_jobs(kept, plan.settings, folder, folder / WORK))
    crew.do("encode", [job for job in jobs if not job.rows.exists()], watch)
    return [json.loads(job.rows.read_text("utf-8")) for job in jobs]


def _summed(plan: CurationPlan, scans: list[Scan], chosen: Selection, encoded: list[dict[str, Any]]) -> dict[str, Any]:
    dropped = Counter(reason for scan in scans for reason, _ in scan.dropped)
    dropped[COPIES] += len(chosen.copies)
    kept = Counter(("images" if each.frames == 1 else "clips", each.bucket) for each in chosen.kept)
    rows = [row for each in encoded for row in each["rows"]]
    return {
        "identity": plan.identity,
        "found": plan.counts(),
        "kept": len(chosen.kept),
        "buckets": [{"kind": kind, "bucket": bucket, "kept": count} for (kind, bucket), count in sorted(kept.items())],
        "captioned": sum(row["caption"] is not None for row in rows),
        "dropped": {reason: count for reason, count in dropped.most_common() if count},
        "failed": [{"source": scan.source, "reason": scan.failed} for scan in scans if scan.failed is not None],
        "passed_over": [{"source": name, "reason": reason} for name, reason in plan.found.passed_over],
        "shards": dict(sorted(Counter(row["shard"] for row in rows).items())),
    }
