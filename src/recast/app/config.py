"""Where a server listens, for whom, and what it takes."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from recast.errors import RequestError
from recast.jobs.store import MOST_ATTEMPTS

PORT = 7860
LEAST_TOKEN = 16
"""Characters."""


@dataclass(frozen=True)
class ServeConfig:
    """A server's settings. data: the folder of its queue, uploads and results. token: what clients must show.

    allowed_hosts: names by which it may be reached besides those of this machine, with the port where it is not the
    scheme's own. most_upload_bytes: of one file. most_jobs: that wait or run. workers: processes that edit.
    most_attempts: workers that may die with a job before it has failed.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = PORT
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    most_upload_bytes: int = 4 * 2**30
    most_jobs: int = 1000
    workers: int = 1
    most_attempts: int = MOST_ATTEMPTS

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < LEAST_TOKEN:
            raise RequestError(f"the token has {len(self.token)} characters; take at least {LEAST_TOKEN}")
        if not is_loopback(self.host) and not (self.token and self.allowed_hosts):
            raise RequestError(
                f"{self.host} can be reached from other machines: say --token, and by which names with --allow-host"
            )

    @property
    def hosts(self) -> frozenset[str]:
        """Every Host header that is answered."""
        own = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        return frozenset(own | {name.lower() for name in self.allowed_hosts})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
