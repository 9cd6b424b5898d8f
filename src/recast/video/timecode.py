"""Time code of a clip, such as 01:00:00;12: which is that of a later frame. SMPTE ST 12-1."""

import re
from fractions import Fraction

from av.container import InputContainer

TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")
HOLDS = ("mov", "mp4", "matroska")
"""Kinds of files that tell one: QuickTime in a track of its own, Matroska as a text."""


def timecode_of(container: InputContainer) -> str | None:
    """The time code of a file's first frame, as its streams or the file itself tell it."""
    held = [stream.metadata for stream in (*container.streams.video, *container.streams)] + [container.metadata]
    texts = (text for metadata in held for key, text in metadata.items() if key.lower() == "timecode")
    return next((text for text in texts if TIMECODE.fullmatch(text)), None)


def later(timecode: str, frames: int, fps: Fraction) -> str:
    """The time code so many frames later, at that rate.

    Behind a semicolon frames are counted with drops: of 30 a second numbers 0 and 1 are left out at the start of each
    minute but every tenth, of 60 numbers 0 to 3.
    """
    found = TIMECODE.fullmatch(timecode)
    assert found is not None, "a time code that timecode_of gave"
    hours, minutes, seconds, number = (int(found[group]) for group in (1, 2, 3, 5))
    rate, drops = round(fps), found[4] != ":"
    skipped = round(rate / 15) if drops else 0
    whole = 60 * hours + minutes
    count = (60 * whole + seconds) * rate + number - skipped * (whole - whole // 10) + frames
    if skipped:
        tens, rest = divmod(count, 600 * rate - 9 * skipped)
        count += 9 * skipped * tens + skipped * max(0, (rest - skipped) // (60 * rate - skipped))
    seconds, number = divmod(count, rate)
    return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{found[4]}{number:02}"
