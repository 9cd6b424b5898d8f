"""What can be found wrong with a request before anything slow is done, and before a model is read."""

import os
from pathlib import Path

from recast.editing.request import Request
from recast.editing.schedules import CONTENT, files_in
from recast.editing.values import ALPHA
from recast.errors import MediaError, RequestError
from recast.methods import GENERATORS
from recast.video.codecs import chosen
from recast.video.colour import ALPHA_KEPT, HDR_NOTES, TONE_MAPPED, TRANSPARENT
from recast.video.encode import kind_of
from recast.video.output import is_folder
from recast.video.sequence import has_alpha
from recast.video.source import Source
from recast.video.write import check_writable


def check_inputs(request: Request) -> None:
    """Finds what is wrong before anything slow: raises MediaError for a missing file, RequestError for no content.

    It also refuses, by RequestError, ways to make a clip that read no source.
    """
    if request.method in GENERATORS:
        raise RequestError(f"{request.method} reads nothing of a clip; say recast generate, without one")
    check_content(request)


def check_content(request: Request) -> None:
    """Raises MediaError for a file that is missing, RequestError where nothing says what to show."""
    named = (
        request.mask,
        request.flow,
        request.storyboard,
        request.layout,
        request.strokes,
        *files_in(request.schedules),
        *request.structure_from.values(),
        *(path for path, _ in (*request.pictures, *request.adapters)),
    )
    missing = [path for path in named if path and path != ALPHA and not Path(path).exists()]
    if missing:
        raise MediaError(f"there is no such file: {missing[0]}")
    shown = request.words or request.pictures or request.schedules.keys() & set(CONTENT)
    if not (shown or request.storyboard):
        raise RequestError('nothing says what the clip should look like; write -p "a snowy field" or --image FILE')


def check_target(request: Request, source: Source | None = None) -> Path:
    """The result's path, when a clip may be written to it. Raises RequestError when not.

    source: whose frames the codec has to take.
    """
    target = free_target(request)
    if not is_folder(target):
        kind = kind_of(target)
        chosen(request.codec, kind.codecs, kind.container)
    if source is not None:
        check_writable(target, source, codec=request.codec)
    return target


def treated(source: Source, request: Request) -> Source:
    """The source, read as the request has it. Raises MediaError where the request refuses such sources."""
    if request.hdr == "refuse" and source.colour.transfer in HDR_NOTES:
        raise MediaError(f"the video is HDR, which was to be refused; --hdr convert brings it to 8 bits: {source.path}")
    if request.hdr == "tonemap" and source.colour.transfer in HDR_NOTES:
        source = source.with_changed(TONE_MAPPED, tuple(HDR_NOTES.values()), tone_mapped=True)
    if request.interlaced == "refuse" and source.interlaced:
        raise MediaError(
            f"the video is interlaced, which was to be refused; choose how with --interlaced: {source.path}"
        )
    source = source.woven() if request.interlaced == "keep" else source
    return source if request.alpha == "black" or not has_alpha(source) else _of_alpha(source, request)


def _of_alpha(source: Source, request: Request) -> Source:
    if request.alpha == "refuse":
        raise MediaError(
            f"the clip has alpha, which was to be refused; --alpha black lays it on black, keep keeps it: {source.path}"
        )
    return source.with_changed(ALPHA_KEPT, (TRANSPARENT,), transparent=True, keeps_alpha=True)


def free_target(request: Request) -> Path:
    """The result's path, when it may be written to. Raises RequestError when it may not."""
    target, source = target_of(request), request.source
    if source is not None and target.exists() and source.exists() and os.path.samefile(source, target):
        raise RequestError(f"{target} is the source itself; choose another name with -o")
    if target.exists() and not target.is_file() and not target.is_dir():
        raise RequestError(f"{target} is no regular file, and is not replaced; choose another name with -o")
    if os.path.lexists(target) and not request.overwrite and not (target.is_dir() and not any(target.iterdir())):
        raise RequestError(f"{target} is already there; replace it with -y, or choose another name with -o")
    if not is_folder(target) and not target.absolute().parent.is_dir():
        raise RequestError(f"there is no folder {target.parent} to write {target.name} to; make it first")
    return target


def target_of(request: Request) -> Path:
    """Where the result goes. Raises RequestError where that is not said."""
    if request.target is None:
        raise RequestError("the request has no target; say where the result goes")
    return request.target


def source_of(request: Request) -> Path:
    """The clip's path. Raises MediaError where there is none."""
    if request.source is None:
        raise MediaError("the request names no source file; give one, as in --set source=FILE")
    return request.source
