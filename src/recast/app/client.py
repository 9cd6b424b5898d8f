"""recast over HTTP from Python: sends clips, follows jobs, fetches results. Needs nothing but the standard library."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from recast.errors import RecastError, RequestError
from recast.files import whole_file
from recast.progress import ProgressCallback

TIMEOUT_SECONDS = 60
RESTART_SECONDS = 60
"""How long a server may be away while a job is waited for: one that was killed goes on with its jobs."""
ENDED = ("done", "failed", "cancelled")


class NoAnswerError(RecastError):
    """No server answers, or it broke off."""


@dataclass(frozen=True)
class Client:
    """A server at `url`, as `recast serve` prints it without the path."""

    url: str = "http://127.0.0.1:7860"
    token: str | None = None

    def send(self, path: str | PathLike[str]) -> str:
        """Sends a video or picture; returns the name that the server has for it."""
        path = Path(path)
        where = f"/files?name={quote(path.name, errors='replace')}"
        try:
            with path.open("rb") as body:
                return self.ask("POST", where, body, path.stat().st_size)["id"]
        except NoAnswerError:
            self.jobs()  # where the token is wrong, this says so; an upload is hung up on before its answer is read
            raise

    def submit(self, source: str | PathLike[str], **settings: object) -> "ClientJob":
        """Sends a clip, and queues an edit of it. settings: as of POST /jobs: prompt=["snow"], settings={"seed": 7}."""
        return self.submit_sent(self.send(source), **settings)

    def submit_sent(self, number: str, **settings: object) -> "ClientJob":
        """Queues an edit of a clip that `send` has sent."""
        document = json.dumps({"source": number} | settings).encode()
        return ClientJob(self, self.ask("POST", "/jobs", document, len(document))["id"])

    def jobs(self) -> list[dict[str, Any]]:
        """The newest jobs, newest first."""
        with self.open("GET", "/jobs") as answer:
            return json.load(answer)

    def ask(self, method: str, path: str, body: bytes | BinaryIO | None = None, size: int = 0) -> dict[str, Any]:
        """The JSON object that the server answers under /api/v1. size: of the body. Raises RecastError."""
        with self.open(method, path, body, size) as answer:
            return json.load(answer)

    def open(self, method: str, path: str, body: bytes | BinaryIO | None = None, size: int = 0) -> HTTPResponse:
        """The answer itself, to be read and closed. Raises RecastError, with the server's reason where it refuses."""
        headers = {"X-Recast": "1", "Content-Type": "application/json"}
        if body is not None:
            headers["Content-Length"] = str(size)
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        request = Request(f"{self.url.rstrip('/')}/api/v1{path}", body, headers, method=method)
        try:
            return urlopen(request, timeout=TIMEOUT_SECONDS)
        except HTTPError as error:
            raise RequestError(_reason(error)) from None
        except TimeoutError:
            raise NoAnswerError(f"the server at {self.url} did not answer within {TIMEOUT_SECONDS} s") from None
        except (OSError, HTTPException) as error:
            raise _unanswered(self.url, getattr(error, "reason", error)) from None


@dataclass(frozen=True)
class ClientJob:
    """A job on a server."""

    client: Client
    id: str

    def view(self) -> dict[str, Any]:
        """The job as it is now."""
        return self.client.ask("GET", f"/jobs/{self.id}")

    def wait(self, watch: ProgressCallback | None = None) -> dict[str, Any]:
        """Follows the job to its end, and returns it, though the server is started again meanwhile.

        Raises RecastError where it failed, was cancelled or is gone, or no server answers for RESTART_SECONDS.
        """
        view = self.view()
        while view["state"] not in ENDED:
            for view in self._events():
                if watch is not None and view["progress"] is not None:
                    watch(view["stage"], round(1000 * view["progress"]), 1000)
            if view["state"] not in ENDED:
                view = self._again()
        if view["state"] != "done":
            raise RecastError(f"the job is {view['state']}: {view['error'] or 'nothing more is known'}")
        return view

    def cancel(self) -> dict[str, Any]:
        """Asks the job to stop."""
        return self.client.ask("POST", f"/jobs/{self.id}/cancel")

    def download(self, path: str | PathLike[str]) -> Path:
        """Fetches the result of a job that is done. The file is there whole or not at all."""
        target = Path(path)
        with (
            self.client.open("GET", f"/jobs/{self.id}/result") as answer,
            whole_file(target) as part,
            part.open("wb") as file,
        ):
            try:
                shutil.copyfileobj(answer, file)
            except (ConnectionError, TimeoutError, HTTPException) as error:
                raise _broken_off(self.client.url, error) from None
            if file.tell() != int(answer.headers["Content-Length"]):
                raise _broken_off(self.client.url, f"only {file.tell()} bytes of the result came")
            file.flush()
        return target

    def _again(self) -> dict[str, Any]:
        """The job after its events broke off."""
        until = time.monotonic() + RESTART_SECONDS
        while True:
            try:
                return self.view()
            except NoAnswerError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.5)

    def _events(self) -> Iterator[dict[str, Any]]:
        """The job at each change, until its end or until the server breaks off."""
        with (
            suppress(OSError, HTTPException, NoAnswerError),
            self.client.open("GET", f"/jobs/{self.id}/events") as answer,
        ):
            for line in answer:
                if line.startswith(b"data: ") and line.endswith(b"\n"):
                    yield json.loads(line[6:])


def _unanswered(url: str, why: object) -> NoAnswerError:
    if isinstance(why, (ConnectionResetError, BrokenPipeError, HTTPException)):
        return _broken_off(url, why)
    return NoAnswerError(f"no server answers at {url} ({why}); start it with `recast serve`")


def _broken_off(url: str, why: object) -> NoAnswerError:
    return NoAnswerError(f"the server at {url} broke off ({why}); see whether it runs, and ask again")


def _reason(error: HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {error.code} {error.reason}"
