"""A list of clips and prompts of edits, as suites read it."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recast.curation import captions
from recast.errors import MediaError, RequestError
from recast.evaluation.pairs import holds_clips
from recast.evaluation.prompts.rewriters import Kind, Rewriter
from recast.files import whole_file
from recast.progress import ProgressCallback
from recast.video.read import Window, opened, read

MOST_CAPTION = 200
"""Characters, so that there is room for what an edit adds."""
COLUMNS = ("clip", "source_caption", "edit_prompt", "kind")
SEARCHED_FRAMES = 48
"""Of these first frames the middle one is described."""


@dataclass(frozen=True)
class ListedPrompt:
    """A row. clip: its file. caption: what it shows."""

    clip: Path
    caption: str
    prompt: str
    kind: Kind


@dataclass(frozen=True)
class PromptSettings:
    """How prompts are made. captioner: the folder of a captioning model, for clips without a caption beside them.

    kinds: of edits. each: prompts of a kind for each clip.
    """

    kinds: tuple[Kind, ...]
    each: int
    captioner: str | None = None
    device: str = "cpu"


def listed_prompts(
    clips: Sequence[Path], rewriter: Rewriter, settings: PromptSettings, watch: ProgressCallback
) -> list[ListedPrompt]:
    """Prompts of all clips. Raises RequestError for a clip that nothing says a caption of, or none that is one line.

    Raises MediaError for what is no clip.
    """
    rows = []
    for number, clip in enumerate(clips):
        watch("prompts", number, len(clips))
        _check_clip(clip)
        caption = _checked(captions.beside(clip) or _described(clip, settings), clip)
        rows += [
            ListedPrompt(clip, caption, each.prompt, each.kind)
            for each in rewriter(caption, settings.kinds, settings.each)
        ]
    watch("prompts", len(clips), len(clips))
    if not rows:
        raise RequestError("no prompt could be made of the captions; give other --kinds, or a rewriter by --endpoint")
    return rows


def write_list(rows: Sequence[ListedPrompt], target: Path) -> None:
    """Writes the list as CSV with COLUMNS; clips by their paths from its folder on."""
    folder = target.absolute().parent
    with whole_file(target) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow((os.path.relpath(row.clip.absolute(), folder), row.caption, row.prompt, row.kind))


def _check_clip(clip: Path) -> None:
    if not clip.exists():
        raise MediaError(f"there is no such file: {clip}")
    if holds_clips(clip):
        raise MediaError(f"a clip is a file, or a folder of pictures, and this has none; name files in it: {clip}")


def _checked(caption: str, clip: Path) -> str:
    if len(caption) > MOST_CAPTION:
        raise RequestError(f"the caption has {len(caption)} characters; shorten it to {MOST_CAPTION}: {clip}")
    if not caption.isprintable() or "\ufffd" in caption:
        raise RequestError(f"the caption holds what is no text in UTF-8: {caption[:40]!r}; write it anew: {clip}")
    return caption


def _described(clip: Path, settings: PromptSettings) -> str:
    if settings.captioner is None:
        beside = clip.with_suffix(".txt") if clip.is_file() else clip / "caption.txt"
        raise RequestError(
            f"nothing says what {clip} shows; write it into {beside.name} beside it, or name the folder of a "
            "captioning model, such as BLIP's, by --captioner"
        )
    describe = captions.captioner(settings.captioner, settings.device)
    frames = read(opened(clip), Window(max_frames=SEARCHED_FRAMES)).frames
    caption = describe(frames[len(frames) // 2])
    if not caption:
        raise RequestError(f"the captioner says nothing of {clip}; write its caption beside it")
    return caption
