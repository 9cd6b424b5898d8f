"""Near-duplicates, found by perceptual hash, also where they were re-encoded or resized."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from einops import rearrange
from jaxtyping import Float, UInt8

from recast.types import Frames

BITS = 64
ALLOWED_BITS = 5
"""Bits of 64 in which copies may differ, averaged over their frames; re-encoding flips one or two."""
MIDDLE_GREY = 128


def perceptual_hash(frames: Frames) -> bytes:
    """64 bits for each of the first, middle and last frame: which of its lowest DCT coefficients exceed their median.

    pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010). One frame gives 64 bits.
    """
    picks = sorted({0, len(frames) // 2, len(frames) - 1})
    return b"".join(_hash(rearrange(frames[pick], "c h w -> h w c").numpy()) for pick in picks)


def _hash(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    waves: Float[np.ndarray, "8 8"] = cv2.dct(grey.astype(np.float32) - MIDDLE_GREY)[:8, :8]
    bits = waves.ravel() > np.median(waves.ravel()[1:])
    return np.packbits(bits).tobytes()


def copies(hashes: Iterable[tuple[bytes, str]]) -> Iterator[int | None]:
    """For each hash, in order, the index of an earlier one that it is a copy of, or None.

    hashes: each with its source's name. Clips of one source are never counted as copies of each other, since a static
    shot looks alike throughout. A hash is compared only with those that share one of its bands exactly: there is one
    band more than bits may differ, so two copies always share a band, and none is missed.
    """
    known: dict[tuple[int, int, bytes], list[int]] = defaultdict(list)
    kept: dict[int, tuple[np.ndarray, str]] = {}
    for index, (code, source) in enumerate(hashes):
        bits, bands = np.unpackbits(np.frombuffer(code, np.uint8)), list(_bands(code))
        near = dict.fromkeys(other for band in bands for other in known[band])
        match = next((other for other in near if _same(bits, source, kept[other])), None)
        if match is None:
            kept[index] = (bits, source)
            for band in bands:
                known[band].append(index)
        yield match


def _same(bits: np.ndarray, source: str, other: tuple[np.ndarray, str]) -> bool:
    most = ALLOWED_BITS * len(bits) // BITS
    return source != other[1] and int(np.count_nonzero(bits != other[0])) <= most


def _bands(code: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The hash in ALLOWED_BITS + 1 bands or more, each with the hash's length and the band's position."""
    count = ALLOWED_BITS * len(code) * 8 // BITS + 1
    bits = np.unpackbits(np.frombuffer(code, np.uint8))
    for place, piece in enumerate(np.array_split(bits, count)):
        yield len(code), place, piece.tobytes()
