"""What a browser asks for to show clips: the clips themselves, copies that it can play, single frames, masks."""

from pathlib import Path as Folder
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import FileResponse, JSONResponse

from recast.app.config import ServeConfig
from recast.app.files import UserFile, UserFiles
from recast.app.jobs import ENDINGS, result_path
from recast.app.making import Making
from recast.app.masks import followed
from recast.app.samples import sample_clip
from recast.app.seen import COPY, MOST_SIDE, frame_jpeg, make_copy
from recast.errors import RequestError
from recast.jobs.store import JobStore

Id = Annotated[str, Path(max_length=64)]
Seconds = Annotated[float, Query(ge=0, le=10**6, allow_inf_nan=False, description="Time in the clip.")]
Side = Annotated[int, Query(ge=16, le=MOST_SIDE, description="The most pixels of the short side.")]
KEPT = {"Cache-Control": "private, max-age=604800, immutable"}
"""What a number names never changes."""
PLAYABLE = {"mov": "video/mp4", "mp4": "video/mp4", "matroska": "video/webm", "webm": "video/webm"}
"""Kinds of file that browsers play, if they know the codec."""
UNNAMED = "application/octet-stream"


def add_media(router: APIRouter, config: ServeConfig, store: JobStore, files: UserFiles, making: Making) -> None:
    """Adds what shows files and results."""
    _add_files(router, files, making)
    _add_results(router, config, store, making)

    @router.post("/samples", response_model=None, responses={200: {"model": UserFile}, 202: {}})
    def sample() -> UserFile | JSONResponse:
        """A clip to try an edit on, of the world that the model in the package knows; 202 while it is rendered."""
        return sample_clip(files, making) or _later()

    @router.post("/files/{number}/mask", response_model=None, responses={200: {"model": UserFile}, 202: {}})
    def mask(
        number: Id,
        still: Annotated[str, Query(max_length=64, description="A painted frame: white is marked.")],
        frame: Annotated[int, Query(ge=0, le=10**6, description="The frame that it was painted on.")] = 0,
        grow: Annotated[int, Query(ge=-200, le=200, description="Pixels to grow the region by.")] = 0,
    ) -> UserFile | JSONResponse:
        """A mask of the whole clip, followed from a still; 202 while it is being made: ask again."""
        return followed(files, making, number, still=still, frame=frame, grow=grow) or _later()


def _add_files(router: APIRouter, files: UserFiles, making: Making) -> None:
    @router.get("/files/{number}/content", response_class=FileResponse)
    def content(number: Id) -> FileResponse:
        """The file as it came; takes a Range."""
        facts = files.facts(number)
        kind = PLAYABLE.get(facts.container.split(",")[0], UNNAMED) if facts.kind == "video" else UNNAMED
        return FileResponse(files.path(number), media_type=kind, headers=KEPT)

    @router.get("/files/{number}/view", response_class=FileResponse, responses={202: {}})
    def copy(number: Id) -> Response:
        """A copy of a video that any browser plays; 202 while it is being made: ask again."""
        path = files.path(number)
        made = making.is_made(path.with_name(COPY), lambda: make_copy(path))
        return FileResponse(path.with_name(COPY), media_type="video/mp4", headers=KEPT) if made else _later()

    @router.get("/files/{number}/frame", response_class=Response)
    def frame(number: Id, seconds: Seconds = 0.0, side: Side = 240) -> Response:
        """One frame of a video, or a picture, as JPEG; its number is in the header X-Frame."""
        return _jpeg(*frame_jpeg(files.path(number), seconds, side))


def _add_results(router: APIRouter, config: ServeConfig, store: JobStore, making: Making) -> None:
    @router.get("/jobs/{key}/view", response_class=FileResponse, responses={202: {}})
    def copy(key: Id) -> Response:
        """The result for a browser to play: itself, or a copy of what browsers do not play; 202 as for files."""
        path = result_path(store.keyed(key), config.data)
        if path.suffix == ".mp4":
            return FileResponse(path, media_type=ENDINGS["mp4"], headers=KEPT)
        made = making.is_made(path.with_name(COPY), lambda: make_copy(path))
        return FileResponse(path.with_name(COPY), media_type="video/mp4", headers=KEPT) if made else _later()

    @router.get("/jobs/{key}/frame", response_class=Response)
    def frame(key: Id, seconds: Seconds = 0.0, side: Side = 240) -> Response:
        """One frame of the result as JPEG."""
        return _jpeg(*frame_jpeg(result_path(store.keyed(key), config.data), seconds, side))

    @router.get("/jobs/{key}/glimpse", response_class=FileResponse)
    def glimpse(key: Id) -> FileResponse:
        """A small picture of what a running job is making, as JPEG; 404 before it denoises and when it is done."""
        return _glimpse(store, config.data, key)


def _glimpse(store: JobStore, data: Folder, key: str) -> FileResponse:
    from recast.editing.queued import glimpse_at

    path = data / glimpse_at(store.keyed(key))
    if not path.is_file():
        raise RequestError("there is no such picture yet, or no longer")
    return FileResponse(path, media_type="image/jpeg")


def _jpeg(body: bytes, number: int) -> Response:
    return Response(body, media_type="image/jpeg", headers=KEPT | {"X-Frame": str(number)})


def _later() -> JSONResponse:
    return JSONResponse({"made": False}, 202, {"Retry-After": "1"})
