"""PNG files of 16 bits a channel, which Pillow cannot write in colour. PNG (third edition), sections 5 and 11."""

import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB, RGBA = 2, 6
"""Colour types."""


def write_png16(path: Path, image: UInt8[np.ndarray, "h w c"], text: dict[str, str], level: int) -> None:
    """Writes a picture, each 8-bit value v as 257 v: 0 and 65535 are black and white, as 0 and 255 were.

    image: RGB, or with straight alpha as a fourth channel. text: Latin-1 keywords and values.
    level: of compression, 0 to 9.
    """
    rows, columns, channels = image.shape
    wide = (image.astype(np.uint16) * 257).astype(">u2")
    lines = np.zeros((rows, 1 + 2 * channels * columns), np.uint8)  # each begins with its filter, 0: none
    lines[:, 1:] = wide.reshape(rows, -1).view(np.uint8)
    head = struct.pack(">IIBBBBB", columns, rows, 16, RGBA if channels == 4 else RGB, 0, 0, 0)
    texts = b"".join(_chunk(b"tEXt", f"{name}\0{value}".encode("latin-1")) for name, value in text.items())
    body = _chunk(b"IDAT", zlib.compress(lines.tobytes(), level))
    path.write_bytes(SIGNATURE + _chunk(b"IHDR", head) + texts + body + _chunk(b"IEND", b""))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
