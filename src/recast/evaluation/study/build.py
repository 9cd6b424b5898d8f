"""A study's folder: clips of edits under names that tell nothing, and the plan."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from recast.errors import RequestError
from recast.evaluation.study.plan import (
    CLIPS,
    COLOURS,
    PLAN,
    StudyConfig,
    StudyEdit,
    StudyPair,
    StudyPlan,
    check_count,
    drawn_pairs,
    opaque_names,
    seats,
)
from recast.evaluation.suites.edits import EDITS, SOURCES
from recast.evaluation.suites.layouts import table_rows
from recast.evaluation.suites.suite_file import SuiteFile
from recast.files import whole_folder
from recast.progress import ProgressCallback
from recast.types import Clip
from recast.video.read import Window, opened, read
from recast.video.write import save_clip


def edits_of_suite(suite: Path, results: Path) -> list[StudyEdit]:
    """The edits that `recast evaluate --suite` has made. Raises RequestError where there is none of them."""
    found = [
        StudyEdit(item.edit.name, item.edit.words, item.arm.label, source, edited)
        for item in SuiteFile.opened(suite).items()
        if (edited := results / EDITS / f"{item.name}.mp4").is_file()
        and (source := results / SOURCES / f"{item.edit.name}.mp4").is_file()
    ]
    if not found:
        raise RequestError(f"there is no edit of the suite; make them first by `recast evaluate --suite`: {results}")
    return found


def edits_of_folders(prompts: Path, sources: Path, ways: dict[str, Path]) -> list[StudyEdit]:
    """Edits that any tools made, a folder for each, of the clips and prompts in a CSV file.

    Its columns are clip, a file of `sources`, edit_prompt and, where edits are not named as their clips, edit: the
    file's name without ending. Raises MediaError and RequestError as the lists of suites do, and for missing edits.
    """
    found = []
    for row in table_rows(prompts, ("clip", "edit_prompt"), filled=True):
        source = sources / row["clip"]
        stem = row.get("edit") or source.stem
        for way, folder in ways.items():
            edits = sorted(path for path in folder.glob("*") if path.stem == stem and not path.name.startswith("."))
            if not (source.exists() and edits):
                missing = f"no edit {stem}.* in {folder}" if source.exists() else f"no clip {source}"
                raise RequestError(f"{prompts} names what is not there: {missing}")
            if len(edits) > 1:
                named = " and ".join(path.name for path in edits[:2])
                raise RequestError(f"{named} are both the edit of {stem} by {way}; leave one of them in {folder}")
            found.append(StudyEdit(source.stem, row["edit_prompt"], way, source, edits[0]))
    return found


def built(edits: Sequence[StudyEdit], config: StudyConfig, folder: Path, watch: ProgressCallback) -> StudyPlan:
    """Makes the study's folder; it is there whole or not at all. Raises RequestError where there is something already.

    Clips are encoded anew, so that neither their names nor what is written in them says what made them.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "a study" if (folder / PLAN).exists() else "something"
        raise RequestError(f"there is {what} already, perhaps with answers; name another folder: {folder}")
    chosen = drawn_pairs(edits, config)
    rng = random.Random(config.seed)
    files = dict.fromkeys(path for pair in chosen for each in pair for path in (each.edited, each.source))
    names = dict(zip(files, opaque_names(len(files), rng), strict=True))
    checks = list(_checks(chosen, check_count(len(chosen), config.per_rater), rng))
    flat = dict(zip(COLOURS, opaque_names(len(COLOURS), rng), strict=True))
    asked = [(*pair, "") for pair in chosen] + checks
    titles = opaque_names(len(asked), rng)
    pairs = tuple(_pair(title, *each, names | flat) for title, each in zip(titles, asked, strict=True))
    plan = StudyPlan(config.question, config.seed, config.raters, pairs, seats(pairs, config))
    with whole_folder(folder) as part:
        (part / CLIPS).mkdir()
        for number, (path, name) in enumerate(names.items()):
            watch("clips", number, len(names))
            save_clip(read(opened(path), Window()), part / CLIPS / f"{name}.mp4")
        watch("clips", len(names), len(names))
        for colour in dict.fromkeys(colour for _, _, colour in checks):
            like = read(opened(checks[0][1].edited), Window())
            save_clip(_flat(like, colour), part / CLIPS / f"{flat[colour]}.mp4")
        plan.save(part)
    return plan


def _checks(
    pairs: Sequence[tuple[StudyEdit, StudyEdit]], count: int, rng: random.Random
) -> Iterator[tuple[StudyEdit, StudyEdit, str]]:
    for number in range(count):
        edit = rng.choice(pairs)[0]
        yield edit, edit, list(COLOURS)[number % len(COLOURS)]


def _pair(title: str, first: StudyEdit, second: StudyEdit, colour: str, names: dict[Path | str, str]) -> StudyPair:
    if colour:
        prompt, films = f"a plain {colour} screen and nothing else", (names[colour], names[second.edited])
        return StudyPair(title, "", prompt, "", "", names[second.source], films, check=True)
    films = names[first.edited], names[second.edited]
    return StudyPair(title, first.clip, first.prompt, first.way, second.way, names[first.source], films)


def _flat(like: Clip, colour: str) -> Clip:
    plane = torch.tensor(COLOURS[colour], dtype=torch.uint8)[None, :, None, None]
    return Clip(plane.expand(like.frames.shape).contiguous(), like.fps)
