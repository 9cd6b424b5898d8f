"""Which requests are answered: by Host, token, and where a browser says that they come from."""

from collections.abc import Mapping
from hmac import compare_digest

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recast.app.config import ServeConfig

OWN_HEADER = "x-recast"
"""A browser sends it to another site's server only after asking that server, which never allows it."""
READING = frozenset({"GET", "HEAD"})
OPEN_PATHS = frozenset({"/api/v1/health"})
"""Answered without a token, for whatever watches the server."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses before a byte of the body is read; no answer ever has a CORS header."""

    def __init__(self, app: ASGIApp, config: ServeConfig) -> None:
        self._app, self._config = app, config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or passes it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            return
        refusal = refused(scope["method"], scope["path"], _headers(scope), self._config)
        if refusal is not None:
            status, why = refusal
            await JSONResponse({"error": why}, status, HEADERS)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)


def refused(method: str, path: str, headers: Mapping[str, list[str]], config: ServeConfig) -> tuple[int, str] | None:
    """The status and reason with which a request is refused; None where it is answered.

    headers: all values of each, by lower-case names.
    """
    host = headers.get("host", [])
    if len(host) != 1 or host[0].lower() not in config.hosts:
        return 403, "this server is not reached by that Host; start it with --allow-host NAME:PORT"
    own = {f"{scheme}://{host[0].lower()}" for scheme in ("http", "https")}
    origins = headers.get("origin", [])
    if any(origin.lower() not in own for origin in origins):
        return 403, "requests from other sites are not answered"
    if any(site not in ("same-origin", "none") for site in headers.get("sec-fetch-site", [])):
        return 403, "requests from other sites are not answered"
    if method not in READING and not headers.get(OWN_HEADER):
        return 403, f"a request that changes something has the header {OWN_HEADER}: 1"
    if config.token is not None and path not in OPEN_PATHS and not _shown(config.token, headers):
        return 401, "send the header Authorization: Bearer TOKEN"
    return None


def _shown(token: str, headers: Mapping[str, list[str]]) -> bool:
    given = headers.get("authorization", [])
    return len(given) == 1 and compare_digest(given[0].encode(), f"Bearer {token}".encode())


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found
