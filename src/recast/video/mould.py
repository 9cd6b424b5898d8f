"""What an output's track is set up from: a file of a header alone, made here from a few numbers.

PyAV sets a track up like one of an open file. The user's file is not opened in this process, so one is written for it:
its only parts that come from the user's are numbers within bounds. What the decoder has to know first, which could be
anything, is given to the output and to no reader.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Stream

CODEC_DELAY, SEEK_PRE_ROLL, BIT_DEPTH = "56aa", "56bb", "6264"
_CODECS = {
    "aac": "A_AAC",
    "mp3": "A_MPEG/L3",
    "mp2": "A_MPEG/L2",
    "ac3": "A_AC3",
    "eac3": "A_EAC3",
    "opus": "A_OPUS",
    "vorbis": "A_VORBIS",
    "flac": "A_FLAC",
    "alac": "A_ALAC",
    "pcm_u8": "A_PCM/INT/LIT",
    "pcm_s16le": "A_PCM/INT/LIT",
    "pcm_s24le": "A_PCM/INT/LIT",
    "pcm_s32le": "A_PCM/INT/LIT",
    "pcm_s16be": "A_PCM/INT/BIG",
    "pcm_s24be": "A_PCM/INT/BIG",
    "subrip": "S_TEXT/UTF8",
    "ass": "S_TEXT/ASS",
    "webvtt": "D_WEBVTT/SUBTITLES",
    "hdmv_pgs_subtitle": "S_HDMV/PGS",
    "dvd_subtitle": "S_VOBSUB",
    "dvb_subtitle": "S_DVBSUB",
}
"""Names of codecs in Matroska."""
_DEPTHS = {"pcm_u8": 8, "pcm_s16le": 16, "pcm_s24le": 24, "pcm_s32le": 32, "pcm_s16be": 16, "pcm_s24be": 24}
_ENCODERS = {"aac": "aac", "mp3": "libmp3lame"}
_SOUND, _SUBTITLES = 2, 17
_SIZED = ("18538067", "1654ae6b", "ae", "e1")
"""Elements that hold others: of the file, of its tracks, of a track, of its sound."""


def number_in(header: bytes, name: str) -> int:
    """A number in the header of a Matroska file with one track; 0 where there is none. Matroska, RFC 9559."""
    found = 0
    for key, body in _elements(header):
        if key in _SIZED:
            found = found or number_in(body, name)
        elif key == name and len(body) <= 8:
            found = int.from_bytes(body, "big")
    return found


def _elements(data: bytes) -> Iterator[tuple[str, bytes]]:
    place = 0
    while place + 1 < len(data):
        long = 9 - data[place].bit_length()
        key, place = data[place : place + long].hex(), place + long
        long = 9 - data[place].bit_length() if place < len(data) else 9
        if long > 8:
            return
        size = int.from_bytes(data[place : place + long], "big") & (2 ** (7 * long) - 1)
        place += long
        yield key, data[place : place + size]
        place += size


@contextmanager
def mould(
    codec: str, rate: int, channels: int, *, delay: int = 0, preroll: int = 0, depth: int = 0
) -> Iterator[Stream]:
    """A track of that codec to set others up from. Sound has a rate; delay and preroll in nanoseconds."""
    with (
        _subtitles_of_mp4()
        if codec == "mov_text"
        else BytesIO(
            _header(codec, rate, channels, {CODEC_DELAY: delay, SEEK_PRE_ROLL: preroll, BIT_DEPTH: depth})
        ) as file,
        av.open(file) as held,
    ):
        assert isinstance(held, InputContainer)
        yield held.streams[0]


def _header(codec: str, rate: int, channels: int, numbers: dict[str, int]) -> bytes:
    track = _number("d7", 1) + _number("73c5", 1) + _number("83", _SOUND if rate else _SUBTITLES)
    track += _element("86", _CODECS[codec].encode())
    track += b"".join(_number(key, numbers[key]) for key in (CODEC_DELAY, SEEK_PRE_ROLL) if numbers[key])
    packet, private = b"", b""
    if rate:
        packet, private = _silence(codec, rate), _lossless(codec, rate, channels, numbers[BIT_DEPTH])
        depth = _DEPTHS.get(codec, numbers[BIT_DEPTH])
        sound = _element("b5", struct.pack(">d", rate)) + _number("9f", 2 if packet else channels)
        track += _element("e1", sound + (_number(BIT_DEPTH, depth) if depth else b""))
    track += _element("63a2", private) if private else b""
    kind = _element("4282", b"matroska") + _number("4287", 4) + _number("4285", 2)
    about = _number("2ad7b1", 1_000_000) + _element("4d80", b"recast") + _element("5741", b"recast")
    parts = _element("1549a966", about) + _element("1654ae6b", _element("ae", track))
    cluster = _number("e7", 0) + (_element("a3", b"\x81\0\0\x80" + packet) if packet else b"")
    return _element("1a45dfa3", kind) + _element("18538067", parts + _element("1f43b675", cluster))


def _lossless(codec: str, rate: int, channels: int, depth: int) -> bytes:
    """What a decoder of FLAC or ALAC has to know first: from it FFmpeg takes how deep samples are."""
    if codec == "alac" and depth and 0 < channels <= 8:
        return struct.pack(">IBBBBBBHIII", 4096, 0, depth, 40, 10, 14, channels, 255, 0, 0, rate)
    if codec == "flac" and 4 <= depth <= 32 and 0 < channels <= 8 and rate < 2**20:
        packed = (rate << 44) + (channels - 1 << 41) + (depth - 1 << 36)
        return b"fLaC\x80\0\0\x22" + struct.pack(">HH6xQ16x", 4096, 4096, packed)
    return b""


def _silence(codec: str, rate: int) -> bytes:
    """A packet of silence: from one FFmpeg tells how many samples packets have, which QuickTime's files say."""
    if codec not in _ENCODERS:
        return b""
    with suppress(av.FFmpegError, ValueError):  # a rate that the encoder has not
        encoder = CodecContext.create(_ENCODERS[codec], "w")
        assert isinstance(encoder, AudioCodecContext)
        encoder.sample_rate, encoder.layout, encoder.format = rate, "stereo", "fltp"
        encoder.open()
        frame = AudioFrame.from_ndarray(np.zeros((2, encoder.frame_size), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = rate
        return bytes([*encoder.encode(frame), *encoder.encode(None)][0])
    return b""


def _number(key: str, value: int) -> bytes:
    return _element(key, value.to_bytes(8, "big"))


def _element(key: str, body: bytes) -> bytes:
    return bytes.fromhex(key) + (2**56 + len(body)).to_bytes(8, "big") + body


def _subtitles_of_mp4() -> BytesIO:
    # Matroska has no such codec.
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        container.add_mux_stream("mov_text")
        container.start_encoding()
    return BytesIO(file.getvalue())
