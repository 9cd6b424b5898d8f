"""How work says how far it is, and how it is stopped."""

from collections.abc import Callable

Report = Callable[[int, int], None]
"""Called as one stage goes on with (done, total); raises Cancelled to stop it cleanly."""


def unreported(_done: int, _total: int, /) -> None:
    """The report that nobody hears."""


ProgressCallback = Callable[[str, int, int], None]
"""Called as work goes on with (stage, done, total), from the thread that works; raises Cancelled to stop it cleanly."""
