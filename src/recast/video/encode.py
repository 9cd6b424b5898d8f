"""Kinds of file that recast writes, and the video encoder of each."""

import os
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path

import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8
from PIL import Image

from recast.errors import RequestError
from recast.video.codecs import Codec, colour_notes, colour_tags, pixel_format
from recast.video.colour import BT709, as_frame, assumed_matrix, encodable
from recast.video.source import Source

FINEST_TICKS = 10**7
ODD_NOTE = "an odd size needs full colour (4:4:4), which some players refuse; webm plays in all browsers"


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    codecs: of the pictures, the usual one first. sounds: codecs that are copied as they are. resound: the encoder for
    all others. subtitles: codecs that are copied. ticks: per second, where the container fixes them. chapters: it
    holds them.
    """

    container: str
    codecs: tuple[str, ...]
    container_options: dict[str, str]
    sounds: frozenset[str] = frozenset()
    resound: str | None = None
    subtitles: frozenset[str] = frozenset()
    ticks: int | None = None
    chapters: bool = True


_ISO_SOUNDS = frozenset(["aac", "mp3", "ac3", "eac3", "opus", "flac", "alac", "pcm_s16le", "pcm_s24le", "pcm_s32le"])
_MOV_SOUNDS = frozenset(
    ["aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_u8"]
)
_MKV_SOUNDS = frozenset(
    ["aac", "mp3", "mp2", "ac3", "eac3", "opus", "vorbis", "flac", "alac", "pcm_s16le", "pcm_s24le", "pcm_s32le"]
)
_WEBM_SOUNDS = frozenset({"opus", "vorbis"})
_MKV_TEXTS = frozenset(["subrip", "ass", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"])
_MOV_CODECS = ("h264", "hevc", "prores", "prores4444")
_MKV_CODECS = ("h264", "hevc", "av1", "ffv1", "prores", "prores4444", "vp9")
_BITEXACT = {"fflags": "+bitexact"}
# A sound encoder starts below 0, by its delay; AVI would make room for it with an empty first frame.
_AVI = {"avoid_negative_ts": "disabled", **_BITEXACT}
_ISO = {"movflags": "+faststart", **_BITEXACT}
_MOV = {**_ISO, "movflags": "+faststart+use_metadata_tags"}
_MP4 = FileKind("mp4", ("h264", "hevc", "av1"), _ISO, _ISO_SOUNDS, "aac", frozenset({"mov_text"}))

KINDS: dict[str, FileKind] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": FileKind("mov", _MOV_CODECS, _MOV, _MOV_SOUNDS, "aac", frozenset({"mov_text"})),
    ".mkv": FileKind("matroska", _MKV_CODECS, _BITEXACT, _MKV_SOUNDS, "aac", _MKV_TEXTS, ticks=1000),
    ".webm": FileKind("webm", ("vp9", "av1"), _BITEXACT, _WEBM_SOUNDS, "libopus", frozenset({"webvtt"}), ticks=1000),
    ".avi": FileKind("avi", ("mpeg4", "ffv1"), _AVI, frozenset({"mp3", "mp2", "ac3"}), "libmp3lame", chapters=False),
    ".gif": FileKind("gif", ("gif",), _BITEXACT, ticks=100, chapters=False),
}


@dataclass(frozen=True)
class Moment:
    """A frame's place in time, in seconds: in the new video, how long it shows, and in the source."""

    seconds: Fraction
    duration: Fraction
    source_seconds: Fraction


def kind_of(target: Path) -> FileKind:
    """By the name's ending. Raises RequestError for one that recast does not write, and a name that is no text."""
    if os.fsencode(target) != str(target).encode(errors="replace"):
        raise RequestError(f"FFmpeg writes only to names that are Unicode text; choose another one: {target}")
    try:
        return KINDS[target.suffix.lower()]
    except KeyError:
        known = ", ".join(sorted(KINDS))
        raise RequestError(
            f"recast does not write {target.suffix or 'files without an ending'}; it writes {known}, "
            f"or pictures as frame_%05d.png: {target}"
        ) from None


def tick(kind: FileKind, source: Source, fps: Fraction) -> Fraction:
    """The time base to write in, in seconds: exact for the source's times wherever the container can be so."""
    if kind.ticks:
        return Fraction(1, kind.ticks)
    if kind.container == "avi":
        # The MPEG-4 codec counts at most 65535 ticks a second.
        return (
            Fraction(fps.denominator, fps.numerator)
            if fps.numerator < 2**16
            else (1 / fps).limit_denominator(2**16 - 1)
        )
    exact = lcm(fps.numerator, source.time_base.denominator)
    return Fraction(1, exact if exact <= FINEST_TICKS else source.time_base.denominator)


def container_options(kind: FileKind, tick: Fraction) -> dict[str, str]:
    """The muxer's options. MP4 keeps the lead of one stream over another in ticks of the whole movie, else of 1 ms."""
    fine = {"movie_timescale": str(tick.denominator)} if kind.container in ("mp4", "mov") else {}
    return {**kind.container_options, **fine}


class VideoEncoder:
    """Upright frames of RGB, or with straight alpha where the source keeps its own, to packets of one video stream."""

    def __init__(
        self, container: OutputContainer, codec: Codec, source: Source, size: tuple[int, int], tick: Fraction
    ) -> None:
        self._container, self._codec, self._tick = container, codec, tick
        self._matrix = BT709 if codec.tagged else assumed_matrix(size)
        self._reformatter = VideoReformatter()
        self._pixel_format = pixel_format(codec, size, alpha=source.keeps_alpha)
        options = codec.options | colour_tags(codec, source.colour)
        stream = container.add_stream(codec.encoder, rate=source.fps, options=options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = size
        stream.pix_fmt, stream.time_base = self._pixel_format, tick
        self._stream, context = stream, stream.codec_context
        if codec.tag and container.format.name in ("mp4", "mov"):
            context.codec_tag = codec.tag
        self.notes = [ODD_NOTE] if self._pixel_format == "yuv444p" else []
        self.notes += colour_notes(codec, source.colour)
        context.time_base, context.thread_count = tick, codec.num_threads
        context.sample_aspect_ratio = source.sample_aspect

    def tell(self, name: str, text: str) -> None:
        """Gives the stream a text. To be called before the first frame."""
        self._stream.metadata[name] = text

    def add(self, image: UInt8[np.ndarray, "h w c"], time: int, duration: int) -> None:
        """Encodes the next frame; time and duration in ticks."""
        frame = self._frame(image)
        frame.pts, frame.duration, frame.time_base = time, duration, self._tick
        self._container.mux(self._stream.encode(frame))

    def _frame(self, image: UInt8[np.ndarray, "h w c"]) -> VideoFrame:
        if self._codec.encoder == "gif":
            return paletted(image)
        if self._codec.is_rgb:
            return as_frame(image).reformat(format=self._pixel_format)
        return encodable(image, self._pixel_format, self._matrix, self._reformatter)

    def flush(self) -> None:
        """Writes what the encoder holds back."""
        self._container.mux(self._stream.encode(None))


def paletted(image: UInt8[np.ndarray, "h w 3"]) -> VideoFrame:
    """The picture in its own best 256 colours, without dithering, which would flicker."""
    picture = Image.fromarray(image).quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours = np.zeros((256, 4), np.uint8)
    chosen = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    # FFmpeg's palettes are alpha, red, green, blue.
    colours[: len(chosen), 1:], colours[:, 0] = chosen, 255
    # PyAV takes a pair for this format, which its types do not tell.
    return VideoFrame.from_ndarray((np.array(picture), colours), format="pal8")  # pyrefly: ignore[bad-argument-type]
