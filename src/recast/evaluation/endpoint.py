"""A chat-completion endpoint that the user names: one question, one answer of a known form. Nothing else is sent."""

import base64
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from jaxtyping import UInt8
from PIL import Image
from pydantic import BaseModel, ValidationError
from torch import Tensor

from recast.errors import RecastError, RequestError

Form = TypeVar("Form", bound=BaseModel)
KEY_VARIABLE = "RECAST_ENDPOINT_KEY"
"""Where the key is, if the endpoint wants one: not on the command line, which others can see."""
TIMEOUT_SECONDS = 120
MOST_BYTES = 1_000_000
"""Of an answer."""
TRIES = 3
"""Questions about one thing, where answers are not of their form."""


class _NoRedirect(HTTPRedirectHandler):
    """Another address was not named by the user."""

    def redirect_request(self, *_args: object, **_more: object) -> None:
        return None


@dataclass(frozen=True)
class ChatEndpoint:
    """An endpoint of OpenAI's form: `url`/chat/completions. model: as the endpoint calls it.

    Raises RequestError for an address that is none, or that would take the key over a plain connection.
    """

    url: str
    model: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise RequestError(
                f"an endpoint is http(s)://HOST/PATH, such as http://localhost:8000/v1: {self.url[:200]}"
            )
        if self._key and parts.scheme == "http" and not _is_here(parts.hostname):
            raise RequestError(
                f"the key in {KEY_VARIABLE} would go over a plain connection; use https: {self.url[:200]}"
            )
        if not self.model:
            raise RequestError(f"say which model the endpoint is to ask; it serves them by name: {self.url[:200]}")

    @property
    def name(self) -> str:
        """What results call it."""
        return f"{self.model} at {urlsplit(self.url).netloc}"

    @property
    def _key(self) -> str:
        return os.environ.get(KEY_VARIABLE, "")

    def ask(
        self,
        question: str,
        form: type[Form],
        pictures: Sequence[UInt8[Tensor, "3 h w"]] = (),
        *,
        context: object = None,
    ) -> Form:
        """The answer to words and pictures, as JSON of this form. Asks again, TRIES in all, where it is not.

        context: what the form's validators are given. Raises RecastError where nothing is answered, or nothing of that
        form.
        """
        shown = [{"type": "image_url", "image_url": {"url": _data_url(each)}} for each in pictures]
        content = [{"type": "text", "text": question}, *shown] if shown else question
        messages: list[dict[str, object]] = [{"role": "user", "content": content}]
        why = ""
        for _ in range(TRIES):
            text = self._answered(messages)
            try:
                return form.model_validate_json(_unfenced(text), context=context)
            except ValidationError as fault:
                first = fault.errors()[0]
                why = f"{'.'.join(map(str, first['loc'])) or 'the answer'}: {first['msg']}"
                remedy = (
                    f"That was not of the form that was asked for ({why}). Answer again, with the JSON object alone."
                )
                messages = [*messages, {"role": "assistant", "content": text}, {"role": "user", "content": remedy}]
        raise RecastError(f"{self.name} answered {TRIES} times in another form than was asked for ({why})")

    def _answered(self, messages: list[dict[str, object]]) -> str:
        body = json.dumps({"model": self.model, "messages": messages, "temperature": 0}).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        request = Request(f"{self.url.rstrip('/')}/chat/completions", body, headers)
        try:
            with build_opener(_NoRedirect).open(request, timeout=TIMEOUT_SECONDS) as answer:
                held = answer.read(MOST_BYTES + 1)
        except HTTPError as error:
            raise RecastError(
                f"{self.name} answered {error.code} {error.reason}; check the address, model and key"
            ) from None
        except (URLError, OSError) as error:
            raise RecastError(f"{self.name} does not answer ({getattr(error, 'reason', error)})") from None
        if len(held) > MOST_BYTES:
            raise RecastError(f"{self.name} answered more than {MOST_BYTES:,} bytes")
        try:
            return str(json.loads(held)["choices"][0]["message"]["content"])
        except (ValueError, KeyError, IndexError, TypeError) as fault:
            raise RecastError(
                f"{self.name} answers otherwise than chat completions do ({type(fault).__name__})"
            ) from None


def _unfenced(text: str) -> str:
    """Without the marks of a code block, in which many models put JSON."""
    lines = text.strip().splitlines()
    fenced = len(lines) > 2 and lines[0].startswith("```") and lines[-1] == "```"
    return "\n".join(lines[1:-1]) if fenced else text


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _data_url(picture: UInt8[Tensor, "3 h w"]) -> str:
    held = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(held, "PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"
