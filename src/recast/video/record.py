"""The run's record, as JSON text inside what was written: put in by `write`, read back here."""

import json
from pathlib import Path

from recast.video import isolated
from recast.video.pictures import EXTENSIONS, NUMBER, RECORD_NAME, picture_at

GIF_HEADER_BYTES = 13
GIF_BLOCK_BYTES = 255
COMMENT = b"\x21\xfe"
MOST_BYTES = 2**24
"""Of a record; one of a long request has some thousand."""


def embedded(path: Path) -> str | None:
    """The record in a video file, a GIF, or beside pictures (for a folder, a pattern or one of them); None without one.

    Raises MediaError where there is no such file, or one that recast does not read.
    """
    path = Path(path)
    if path.is_dir() or NUMBER.search(path.name) or path.suffix.lower() in EXTENSIONS:
        text = _beside(path if path.is_dir() else path.parent)
    elif path.suffix.lower() == ".gif" and path.is_file():
        text = _gif_comment(path)
    else:
        text = isolated.comment(path)
    return text if text and _is_record(text) else None


def _is_record(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _beside(folder: Path) -> str | None:
    path = folder / RECORD_NAME
    try:
        # A pipe would never end, and neither would a link to /dev/zero.
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _gif_comment(path: Path) -> str | None:
    with picture_at(path, ("GIF",)) as picture:
        return picture.info.get("comment", b"").decode("utf-8", errors="replace")


def commented(path: Path, text: str) -> None:
    """Puts a comment into the GIF at `path`, before its first picture. GIF89a specification, section 24."""
    data, encoded = path.read_bytes(), text.encode("utf-8")
    colours = 3 * 2 ** ((data[10] & 0b111) + 1) if data[10] & 0b1000_0000 else 0
    begin = GIF_HEADER_BYTES + colours
    blocks = [encoded[i : i + GIF_BLOCK_BYTES] for i in range(0, len(encoded), GIF_BLOCK_BYTES)]
    comment = COMMENT + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
    path.write_bytes(data[:begin] + comment + data[begin:])
