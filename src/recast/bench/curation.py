"""Curation of rendered worlds by one process: clips a second into shards, with conditioning and without."""

import shutil
from functools import partial
from pathlib import Path

from recast.bench.case import BenchCase, BenchConfig
from recast.curation.curate import CurationPlan, curated
from recast.curation.settings import Settings
from recast.editing.progress import no_progress

CLIPS = 8


def cases(config: BenchConfig) -> list[BenchCase]:
    """Worlds at the sizes that pocket is trained on."""
    made = []
    for name, model in {"with conditioning": config.model, "without": None}.items():
        asked = {"buckets": "pocket", "model": model, "device": config.device.type, "frames": config.frames}
        plan = CurationPlan.made([f"world:{CLIPS}"], Settings.asked(**asked))
        size = f"{CLIPS} worlds of {config.frames} frames"
        work = partial(_anew, plan, config.folder / f"shards-{name}")
        made.append(BenchCase("curation", name, size, work, CLIPS, "clip"))
    return made


def _anew(plan: CurationPlan, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    curated(plan, folder, no_progress)
