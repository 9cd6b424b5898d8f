"""Lists of clips and prompts in their published layouts, and in a plain table."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recast.errors import MediaError, RequestError

LOVEU_PROMPTS = (
    "Style Change Caption",
    "Object Change Caption",
    "Background Change Caption",
    "Multiple Changes Caption",
)
LOVEU_NAME, LOVEU_SOURCE = "Video name", "Our GT caption"
BACKGROUNDS = frozenset({"background", "environment"})
"""Kinds of edits that are to leave the masked subject alone."""
SUBJECTS = frozenset({"object", "subject"})
"""Kinds of edits that are to leave all but the masked subject alone."""


@dataclass(frozen=True)
class ClipEdit:
    """One edit to ask for. name: of the clip, without folder and ending. kind: in the list's own word.

    mask: of the subject, for measuring what was to stay; None where there is none, or where all may change.
    """

    clip: Path
    name: str
    words: str
    kind: str = ""
    source_words: str | None = None
    mask: Path | None = None

    @property
    def side(self) -> str:
        """Which side of the mask was to be edited."""
        return "outside" if self.kind in BACKGROUNDS else "inside"


def table(prompts: Path, videos: Path) -> Iterator[ClipEdit]:
    """A CSV file with the columns clip and edit_prompt, and where known source_caption, kind and mask.

    clip, mask: paths from `videos` on.
    """
    for row in table_rows(prompts, ("clip", "edit_prompt"), filled=True):
        clip = _there(videos / row["clip"])
        mask = _there(videos / row["mask"]) if row.get("mask") else None
        kind, source = row.get("kind") or "", row.get("source_caption") or None
        yield ClipEdit(clip, clip.stem, row["edit_prompt"], kind, source, mask)


def loveu(prompts: Path, videos: Path) -> Iterator[ClipEdit]:
    """The prompts of LOVEU-TGVE-2023 (arXiv:2310.16003) saved as CSV, and its folders of videos or frames.

    A row is a clip and its four prompts; rows that only head a part of the list have no captions. A clip is
    PART/480p_videos/NAME.mp4, or PART/480p_frames/NAME/, PART being DAVIS_480p, youtube_480p or videvo_480p.
    """
    for row in table_rows(prompts, (LOVEU_NAME, LOVEU_SOURCE, *LOVEU_PROMPTS)):
        name, source = row[LOVEU_NAME], row[LOVEU_SOURCE]
        if not (name and source):
            continue
        clip = _found(name, videos, ("*/480p_videos/{}.mp4", "*/480p_frames/{}"))
        for column in LOVEU_PROMPTS:
            if row[column]:
                yield ClipEdit(clip, name, row[column], column.split()[0].lower(), source)


def davis(prompts: Path, videos: Path) -> Iterator[ClipEdit]:
    """Sequences of DAVIS 2016 or 2017 with their masks, and a CSV file with the columns clip and edit_prompt.

    clip: a sequence's name, whose frames are in JPEGImages/SIZE/NAME/ and whose masks in Annotations/SIZE/NAME/.
    """
    for row in table_rows(prompts, ("clip", "edit_prompt"), filled=True):
        name, kind = row["clip"], row.get("kind") or ""
        clip = _found(name, videos, ("JPEGImages/480p/{}", "JPEGImages/*/{}"))
        annotated = videos / "Annotations" / clip.parent.name / name
        mask = _there(annotated) if kind in BACKGROUNDS | SUBJECTS else None
        yield ClipEdit(clip, name, row["edit_prompt"], kind, row.get("source_caption") or None, mask)


def v2vbench(prompts: Path, videos: Path) -> Iterator[ClipEdit]:
    """The index of V2VBench (arXiv:2407.07111), a YAML file, and its videos.

    Under `data` it lists clips, each with a `video_id`, a `prompt` of what it shows and, as `edit`, prompts to edit it
    by. A clip is a folder of frames or a video of that name.
    """
    for row in _entries(_parsed(prompts, yaml.safe_load), "data", prompts):
        name = _text(row, "video_id", prompts)
        clip = _found(name, videos, ("{}", "{}.mp4", "{}.gif"))
        for edit in _entries(row, "edit", prompts):
            kind = edit.get("src") or edit.get("type") or ""
            yield ClipEdit(clip, name, _text(edit, "prompt", prompts), str(kind), row.get("prompt") or None)


FIVE_KINDS = {"1": "object", "2": "object, deformed", "3": "colour", "4": "material", "5": "addition", "6": "removal"}
"""What FiVE's numbers of kinds stand for."""


def five(prompts: Path, videos: Path) -> Iterator[ClipEdit]:
    """One of the six lists of FiVE (arXiv:2503.13684), a JSON file, and the folder that has its images and masks.

    Brackets in prompts mark the words that change, and are left out. A clip is images/NAME/ or videos/NAME.mp4, the
    mask of what is edited bmasks/NAME/, where there is one.
    """
    for row in _entries({"edits": _parsed(prompts, json.load)}, "edits", prompts):
        name = _text(row, "video_name", prompts)
        clip, mask = _found(name, videos, ("images/{}", "videos/{}.mp4")), videos / "bmasks" / name
        source, target = (
            _text(row, f"{which}_prompt", prompts).translate({ord("["): None, ord("]"): None})
            for which in ("source", "target")
        )
        kind = FIVE_KINDS.get(str(row.get("editing_type_id")), "")
        yield ClipEdit(clip, name, target, kind, source, mask if mask.exists() else None)


LAYOUTS: dict[str, Callable[[Path, Path], Iterator[ClipEdit]]] = {
    "table": table,
    "loveu-tgve-2023": loveu,
    "davis": davis,
    "v2vbench": v2vbench,
    "five": five,
}
"""Readers of a list of prompts and a folder of videos, by the layout's name."""


def table_rows(path: Path, needed: tuple[str, ...], *, filled: bool = False) -> Iterator[dict[str, str]]:
    """Rows of a CSV file without the blanks around its cells. Raises MediaError, and RequestError for other columns.

    filled: also for a row in which one of those that are needed is empty; rows in which all cells are empty are left
    out.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                held = ", ".join(reader.fieldnames or ()) or "none"
                raise RequestError(f"the list has no column {missing[0]!r}; it has {held}; {path}")
            for row in reader:
                cells = {name: (cell or "").strip() for name, cell in row.items() if isinstance(name, str)}
                empty = next((name for name in needed if filled and not cells[name]), None)
                if empty is None:
                    yield cells
                elif any(cells.values()):
                    raise RequestError(f"line {reader.line_num} of the list has no {empty}; {path}")
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise MediaError(f"the list of prompts cannot be read ({fault}); {path}") from fault


def _parsed(path: Path, parse: Callable[[Any], Any]) -> Any:  # noqa: ANN401 -- what YAML and JSON hold
    try:
        with path.open(encoding="utf-8") as file:
            return parse(file)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as fault:
        raise MediaError(f"the list of prompts cannot be read ({fault}); {path}") from fault


def _entries(held: object, name: str, path: Path) -> list[dict[str, Any]]:
    """The mappings that are listed under a name."""
    listed = held.get(name) if isinstance(held, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise RequestError(f"the list should have, as {name!r}, a list of entries; is it of another layout? {path}")
    return listed


def _text(row: dict[str, Any], name: str, path: Path) -> str:
    if not isinstance(row.get(name), str) or not row[name].strip():
        raise RequestError(f"an entry of the list has no {name!r}; it has {', '.join(map(str, row)) or 'none'}; {path}")
    return row[name].strip()


def _found(name: str, videos: Path, patterns: tuple[str, ...]) -> Path:
    for pattern in patterns:
        if found := sorted(videos.glob(pattern.format(name))):
            return found[0]
    raise MediaError(
        f"there is no clip {name} in {videos}; looked for {' and '.join(p.format(name) for p in patterns)}"
    )


def _there(path: Path) -> Path:
    if not path.exists():
        raise MediaError(f"the list names what is not there: {path}")
    return path
