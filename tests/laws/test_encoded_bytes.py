"""The same frames have the same bytes, whatever the memory held before that an encoder works in.

    python tests/laws/test_encoded_bytes.py [THREADS [X264-PARAMS]]

counts the different results of 300 encodings by x264, for docs/decisions/0056.
"""

import ctypes
import io
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from recast.video.codecs import CODECS
from recast.video.colour import BT709, encodable

M_PERTURB = -6
"""glibc's: new memory is filled with a byte."""


@contextmanager
def memory_of(byte):
    """What is allocated in the block holds that byte, where the C library can do so."""
    fill = getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)
    fill(M_PERTURB, byte)
    try:
        yield
    finally:
        fill(M_PERTURB, 0)


def moving(rows, columns, count):
    """Soft spots that drift through the picture, with grain: all of a codec's kinds of block come up."""
    rng = np.random.default_rng(0)
    field = cv2.GaussianBlur(rng.random((rows + 2 * count, columns + count, 3)), (0, 0), 2)
    field = 255 * (field - field.min()) / np.ptp(field)
    seen = (field[2 * each : 2 * each + rows, each : each + columns] for each in range(count))
    return [np.clip(each + rng.normal(0, 12, each.shape), 0, 255).astype(np.uint8) for each in seen]


def encoded(codec, images):
    """The hash of all packets."""
    packets, reformatter = sha256(), VideoReformatter()
    container = av.open(io.BytesIO(), "w", format="matroska")
    stream = container.add_stream(codec.encoder, rate=8, options=codec.options)
    stream.height, stream.width = images[0].shape[:2]
    stream.pix_fmt, stream.codec_context.thread_count = codec.pixel_format, codec.num_threads
    for number, image in enumerate(images):
        if codec.is_rgb:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=codec.pixel_format)
        else:
            frame = encodable(image, codec.pixel_format, BT709, reformatter)
        frame.pts, frame.time_base = number, Fraction(1, 8)
        for packet in stream.encode(frame):
            packets.update(bytes(packet))
    for packet in stream.encode(None):
        packets.update(bytes(packet))
    return packets.hexdigest()


@pytest.mark.parametrize("size", [(72, 84), (100, 148)], ids=str)
@pytest.mark.parametrize("name", sorted(CODECS.keys() - {"gif"}))
def test_what_memory_held_does_not_change_what_is_encoded(name, size):
    images = moving(*size, 8)
    found = set()
    for byte in (0, 60, 128, 200):
        with memory_of(byte):
            found.add(encoded(CODECS[name], images))
    assert len(found) == 1


def test_h264_has_the_same_bytes_each_time():
    images = moving(40, 52, 40)
    found = [encoded(CODECS["h264"], images) for _ in range(150)]
    assert len(set(found)) == 1, f"{len(set(found))} different results of {len(found)}"


if __name__ == "__main__":
    threads, *ways = sys.argv[1:] or ["1"]
    held = CODECS["h264"]
    options = held.options | ({"x264-params": ways[0]} if ways else {})
    tried = replace(held, num_threads=int(threads), options=options)
    print(sorted(Counter(encoded(tried, moving(40, 52, 40)) for _ in range(300)).values(), reverse=True))
