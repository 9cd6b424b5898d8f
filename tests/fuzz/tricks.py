"""Names and texts that try to make a reader open another file or a socket, and files that unpack to too much."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

Make = Callable[[Path], Path]
"""Makes a file in a folder, and returns its path."""


def texts(secret: Path, port: int) -> dict[str, str]:
    """Playlists under the names of videos: by file name, their text. secret: a good video. port: of a socket here."""
    places = {
        "absolute": str(secret),
        "relative": secret.name,
        "file": f"file:{secret}",
        "files": f"file://{secret}",
        "http": f"http://127.0.0.1:{port}/x.mp4",
        "tcp": f"tcp://127.0.0.1:{port}",
        "concat": f"concat:{secret}|{secret}",
        "subfile": f"subfile,,start,0,end,0,,:{secret}",
        "crypto": f"crypto:{secret}",
        "data": "data:video/mp4;base64,AAAA",
    }
    found = {}
    for name, place in places.items():
        found[f"hls-{name}.mp4"] = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{place}\n#EXT-X-ENDLIST\n"
        found[f"concat-{name}.mp4"] = f"ffconcat version 1.0\nfile '{place}'\n"
        found[f"dash-{name}.mov"] = (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
            f"<Representation><BaseURL>{place}</BaseURL></Representation></AdaptationSet></Period></MPD>"
        )
    found["sdp.mkv"] = f"v=0\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    found["list.m3u8"] = found["hls-absolute.mp4"]
    found["pls.avi"] = f"[playlist]\nFile1={secret}\nNumberOfEntries=1\n"
    return found


def names(secret: Path, port: int) -> list[str]:
    """Paths that are protocols to FFmpeg, and devices."""
    return [
        f"concat:{secret}|{secret}",
        f"subfile,,start,0,end,0,,:{secret}",
        f"file:{secret}",
        f"crypto:{secret}",
        f"cache:{secret}",
        f"async:{secret}",
        f"http://127.0.0.1:{port}/x.mp4",
        f"tcp://127.0.0.1:{port}",
        "pipe:0",
        "fd:0",
        "lavfi:testsrc",
        "data:video/mp4;base64,AAAA",
        f"{secret}?x",
        "/dev/zero",
        "/dev/stdin",
        "/dev/tty",
        "/proc/self/mem",
    ]


def box(kind: bytes, body: bytes) -> bytes:
    """A box of an MP4 file (ISO 14496-12, 4.2)."""
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _mp4_of_many_samples(folder: Path) -> Path:
    """Its table of sizes says one size for 200 million samples, so it needs no bytes for them."""
    made = folder / "whole.mp4"
    with av.open(str(made), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    data = made.read_bytes()
    count = 200_000_000
    for kind, place, value in ((b"stsz", 8, struct.pack(">II", 1, count)), (b"stts", 12, struct.pack(">I", count))):
        start = data.index(kind) + place
        data = data[:start] + value + data[start + len(value) :]
    start = data.index(b"stsc") + 16
    data = data[:start] + struct.pack(">I", count) + data[start + 4 :]
    return _put(folder / "samples.mp4", data)


def _png(width: int, height: int, chunks: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + 3 * width)) for _ in range(height)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunks + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _png_of_text(folder: Path) -> Path:
    body = b"a\0\0" + zlib.compress(bytes(2**26), 1)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    return _put(folder / "text.png", _png(4, 4, chunk))


def _vast(folder: Path, name: str, codec: str, pixels: str) -> Path:
    path = folder / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 4104, 8192, pixels
        picture = av.VideoFrame(8192, 4104, pixels)
        for plane in picture.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def _pipes(folder: Path) -> Path:
    (folder / "pipes").mkdir()
    os.mkfifo(folder / "pipes" / "00001.png")
    return folder / "pipes" / "%05d.png"


def _sparse(folder: Path) -> Path:
    with (folder / "sparse.mp4").open("wb") as file:
        file.truncate(2**40)
    return folder / "sparse.mp4"


def _put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


BOMBS: dict[str, Make] = {
    "pixels of a PNG": lambda folder: _put(folder / "pixels.png", _png(8192, 4104)),
    "text of a PNG": _png_of_text,
    "pixels of FFV1": lambda folder: _vast(folder, "pixels.mkv", "ffv1", "gray"),
    "pixels of MPEG-4 in AVI": lambda folder: _vast(folder, "pixels.avi", "mjpeg", "yuvj420p"),
    "samples of an MP4": _mp4_of_many_samples,
    "a pipe": _pipe,
    "pipes by a pattern": _pipes,
    "1 TB of nothing": _sparse,
}
"""Each is refused, soon and in little memory."""
