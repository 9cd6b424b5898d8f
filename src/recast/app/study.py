"""A study on this machine: one static page, the pairs of a seat, and answers, which are on the disk when confirmed."""

import threading
from pathlib import Path
from typing import Annotated, Literal

from fastapi import FastAPI, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from recast.app.config import ServeConfig
from recast.app.guard import Guard
from recast.errors import RequestError
from recast.evaluation.study.answers import StudyAnswer, add_answer, read_answers
from recast.evaluation.study.plan import CLIPS, StudyPlan

PAGE = Path(__file__).parent / "study_page"
FILES = {"/": "index.html", "/study.css": "study.css", "/study.js": "study.js"}
"""What the page is made of, by path."""
Number = Annotated[int, InPath(ge=1, le=100_000)]
Name = Annotated[str, InPath(pattern="^[0-9a-f]{8}$")]


class GivenAnswer(BaseModel):
    """What a rater pressed. seconds: from when the pair was shown."""

    model_config = ConfigDict(extra="forbid")

    choice: Literal["left", "same", "right"]
    seconds: float = Field(default=0.0, ge=0, le=1e6)


class StudyItem(BaseModel):
    """A pair as a rater sees it: nothing says what made which clip."""

    pair: str
    prompt: str
    source: str
    left: str
    right: str
    answer: str | None


class SeatView(BaseModel):
    """How far a rater is."""

    number: int
    done: int
    total: int


class StudyView(BaseModel):
    """What all raters share."""

    question: str
    seats: list[SeatView]


def study_application(folder: Path, config: ServeConfig) -> FastAPI:
    """The page and its API over a study's folder, behind the guard. Raises MediaError for a folder that is none."""
    plan = StudyPlan.opened(folder)
    app = FastAPI(title="recast study", docs_url=None, redoc_url=None, openapi_url=None)
    _add_page(app, folder)
    _add_answers(app, folder, plan)
    app.add_middleware(Guard, config=config)

    @app.exception_handler(RequestError)
    async def refused(_request: Request, error: RequestError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 404)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"error": error.errors()[0]["msg"]}, 422)

    return app


def serve_study(folder: Path, config: ServeConfig) -> None:
    """Answers until it is stopped."""
    import uvicorn

    app = study_application(folder, config)
    options = {"log_level": "warning", "server_header": False, "proxy_headers": False, "timeout_graceful_shutdown": 5}
    uvicorn.run(app, host=config.host, port=config.port, **options)


def rater_of(seat: int) -> str:
    """What answers from a seat are kept under."""
    return f"seat {seat}"


def _add_page(app: FastAPI, folder: Path) -> None:
    @app.get("/clips/{name}.mp4", response_class=FileResponse)
    def clip(name: Name) -> FileResponse:
        path = folder / CLIPS / f"{name}.mp4"
        if not path.is_file():
            raise RequestError("there is no such clip")
        return FileResponse(path, media_type="video/mp4")

    for path, name in FILES.items():

        def page(name: str = name) -> FileResponse:
            return FileResponse(PAGE / name)

        app.get(path, response_class=FileResponse)(page)


def _add_answers(app: FastAPI, folder: Path, plan: StudyPlan) -> None:
    lock = threading.Lock()

    @app.get("/api/v1/study")
    def study() -> StudyView:
        counts = [0] * len(plan.seats)
        given = {(answer.rater, answer.pair) for answer in read_answers(folder)}
        for number, seat in enumerate(plan.seats):
            counts[number] = sum((rater_of(number + 1), name) in given for name, _ in seat.items)
        totals = [len(seat.items) for seat in plan.seats]
        views = [SeatView(number=n, done=d, total=t) for n, (d, t) in enumerate(zip(counts, totals, strict=True), 1)]
        return StudyView(question=plan.question, seats=views)

    @app.get("/api/v1/seats/{seat}")
    def items(seat: Number) -> list[StudyItem]:
        given = {each.pair: each.choice for each in read_answers(folder) if each.rater == rater_of(seat)}
        return [_item(plan, name, turned, given.get(name)) for name, turned in _seat(plan, seat)]

    @app.put("/api/v1/seats/{seat}/answers/{pair}", status_code=204)
    def answer(seat: Number, pair: Name, given: GivenAnswer) -> None:
        turned = dict(_seat(plan, seat)).get(pair)
        if turned is None:
            raise RequestError("this rater is not shown that pair")
        with lock:
            add_answer(folder, StudyAnswer(rater_of(seat), pair, given.choice, turned, given.seconds))


def _seat(plan: StudyPlan, number: int) -> tuple[tuple[str, bool], ...]:
    if number > len(plan.seats):
        raise RequestError(f"the study has {len(plan.seats)} raters")
    return plan.seats[number - 1].items


def _item(plan: StudyPlan, name: str, turned: bool, answer: str | None) -> StudyItem:
    pair = plan.pair(name)
    left, right = pair.films[::-1] if turned else pair.films
    return StudyItem(pair=name, prompt=pair.prompt, source=pair.source, left=left, right=right, answer=answer)
