"""Packages that only curation needs, and what to install where they are missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from recast.errors import ExtraError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around imports of an extra's packages. Raises ExtraError, which says what to install, for one that is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ExtraError(f"this needs {error.name}: pip install 'recast-video[{name}]'") from error
