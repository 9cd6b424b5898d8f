"""Which requests are answered: by Host, token, and where a browser says that they come from."""

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recast.app.config import ServeConfig

OWN_HEADER = "x-recast"
"""A browser sends it to another site's server only after asking that server, which never allows it."""
READING = frozenset({"GET", "HEAD"})
OPEN_PATHS = frozenset({"/api/v1/health", "/"})
"""Answered without a token: for whatever watches the server, and the page, which asks for it."""
PAGE = "/page/"
"""Files of the page: the same for everybody, and answered without a token too."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
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
            await JSONResponse({"error": why}, status, HEADERS | {"Cache-Control": "no-store"})(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                # A browser keeps no answers, unless a handler says so; files of the page it has, it asks for again.
                is_page = scope["path"] == "/" or scope["path"].startswith(PAGE)
                headers.setdefault("Cache-Control", "no-cache" if is_page else "no-store")
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
    is_open = path in OPEN_PATHS or path.startswith(PAGE)
    if config.token is not None and not is_open and not _shown(config, headers):
        return 401, "send the header Authorization: Bearer TOKEN"
    return None


def cookie_of(config: ServeConfig) -> tuple[str, str]:
    """The name and value of the cookie by which a browser shows that it was given the token.

    The port is in the name because a host's servers share their cookies.
    """
    return f"recast-{config.port}", sha256(f"a page of recast: {config.token}".encode()).hexdigest()


def _shown(config: ServeConfig, headers: Mapping[str, list[str]]) -> bool:
    given = headers.get("authorization", [])
    if given:
        return len(given) == 1 and compare_digest(given[0].encode(), f"Bearer {config.token}".encode())
    name, value = cookie_of(config)
    return any(compare_digest(each.encode(), value.encode()) for each in _cookies(headers, name))


def _cookies(headers: Mapping[str, list[str]], name: str) -> list[str]:
    try:
        jars = [SimpleCookie(line) for line in headers.get("cookie", [])]
    except CookieError:
        return []
    return [jar[name].value for jar in jars if name in jar]


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found
