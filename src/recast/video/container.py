"""Opens a stranger's media file: closed lists of formats and codecs, no protocols, bounded sizes, one kind of error."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BufferedReader
from pathlib import Path
from stat import S_ISREG

import av
import av.logging
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from recast.errors import MediaError, RecastError

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg,flv"
SOUND_FORMATS = f"{FORMATS},wav,mp3,flac,ogg,aac"
"""Also those that hold sound alone."""
VIDEO_CODECS = frozenset(
    [
        "h264",
        "hevc",
        "vp8",
        "vp9",
        "av1",
        "mpeg4",
        "prores",
        "ffv1",
        "mjpeg",
        "gif",
        "png",
        "mpeg1video",
        "mpeg2video",
        "h263",
        "rawvideo",
        "dvvideo",
    ]
)
DECODERS = ",".join([*sorted(VIDEO_CODECS), "libdav1d", "libvpx", "libvpx-vp9"])
SOUND_CODECS = frozenset(
    [
        "aac",
        "mp3",
        "mp2",
        "ac3",
        "eac3",
        "opus",
        "vorbis",
        "flac",
        "alac",
        "pcm_s16le",
        "pcm_s16be",
        "pcm_s24le",
        "pcm_s24be",
        "pcm_s32le",
        "pcm_u8",
        "amr_nb",
    ]
)
SOUND_DECODERS = ",".join([*sorted(SOUND_CODECS), "mp3float", "mp2float", "libopus", "amrnb"])
MAX_PIXELS = 2**25

MOST_THREADS = 8
"""Of one decoder: each holds frames of its own."""

# Python never hears FFmpeg's lines: its decoding threads would wait for Python's lock while Python waits for them, and
# both for ever. Where they are wanted, FFmpeg writes them itself (`recast.video.ffmpeg_log`).
av.logging.set_level(None)


@contextmanager
def reported(path: Path, what: str = "is damaged, or not a video that recast can read") -> Iterator[None]:
    """Turns whatever PyAV raises into one line of MediaError.

    Broad on purpose: on damaged files PyAV raises UnicodeDecodeError, IndexError and AttributeError besides its own
    errors. The decoder's text is left out: it may hold addresses and is of no help to a user.
    """
    try:
        yield
    except RecastError:
        raise
    except Exception as error:
        raise MediaError(f"the file {what}: {path}") from error


@contextmanager
def demuxing(path: Path, file: BufferedReader | None = None, formats: str = FORMATS) -> Iterator[InputContainer]:
    """The open container. It is read from `file`, so FFmpeg never sees its name, and can reach no other file or host.

    file: as `regular_file` opened it; None to do that here. Raises MediaError where there is no such file or it is of
    no known kind.
    """
    with regular_file(path) if file is None else file as held:
        with reported(
            path, "is not a video, or of a kind that recast does not read (mp4, mov, mkv, webm, avi, gif, ts)"
        ):
            container = av.open(
                held,
                metadata_errors="replace",
                container_options={
                    "protocol_whitelist": "none",
                    "format_whitelist": formats,
                    "codec_whitelist": f"{DECODERS},{SOUND_DECODERS}",
                },
                options={"max_pixels": str(MAX_PIXELS)},
            )
        assert isinstance(container, InputContainer)
        with container:
            yield container


def regular_file(path: Path) -> BufferedReader:
    """The file, open to be read. Raises MediaError for what is no regular file, before a byte of it is read."""
    try:
        # Without the flag, opening a pipe that nobody writes to would never end.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise MediaError(f"there is no such file: {path}") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise MediaError(f"the file cannot be opened ({why}): {path}") from None
    if not S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise MediaError(f"this is no regular file: {path}")
    return os.fdopen(handle, "rb")


def time_base(stream: Stream) -> Fraction:
    """Seconds in a tick of the stream's clock."""
    return stream.time_base or Fraction(1, av.time_base)


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The container's main video, checked and ready to decode.

    Raises MediaError for sound alone, codecs off the list, and pictures of no size or more than 2^25 pixels.
    """
    stream = container.streams.best("video")
    if stream is None or stream.disposition & Disposition.attached_pic:
        sound = "only sound" if container.streams.audio else "no video"
        raise MediaError(f"the file holds {sound}; recast needs a video: {path}")
    assert isinstance(stream, VideoStream)
    codec = stream.codec_context.codec.canonical_name
    if codec not in VIDEO_CODECS:
        raise MediaError(f"recast does not read {codec} video; convert it to H.264 first: {path}")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width < 1 or height < 1:
        # FFmpeg says none where it is beyond what is allowed.
        raise MediaError(f"the video says no picture size, or more than {MAX_PIXELS} pixels a frame: {path}")
    if width * height > MAX_PIXELS:
        raise MediaError(
            f"{width}x{height} is more than {MAX_PIXELS} pixels a frame; scale the video down first: {path}"
        )
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS), "codec_whitelist": DECODERS}
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(MOST_THREADS, os.cpu_count() or 1)
    return stream
