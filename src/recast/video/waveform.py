"""The sound of a file as samples of one channel, for what follows it; it is decoded where pictures are."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from jaxtyping import Float32

from recast.errors import MediaError
from recast.video.container import SOUND_CODECS, time_base

RATE = 16_000
"""Samples a second: what is waveform up to 8 kHz."""
MOST_SECONDS = 2 * 3600


@dataclass(frozen=True, eq=False)
class Waveform:
    """The sound of a file. samples: -1..1, RATE of them a second. first: the time of the first one, in seconds."""

    samples: Float32[np.ndarray, " n"]
    first: float


def waveform_in(container: InputContainer, path: Path) -> Iterator[tuple[float, Float32[np.ndarray, " n"]]]:
    """The samples of the first track of sound, part by part, each with its time in seconds.

    Raises MediaError for a file without sound, of a codec off the list, or longer than MOST_SECONDS.
    """
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        raise MediaError(
            f"the file has no sound to follow; name another one, as in sound(loudness of FILE, 0..1): {path}"
        )
    assert isinstance(stream, AudioStream)
    codec = stream.codec_context.codec.canonical_name
    if codec not in SOUND_CODECS:
        raise MediaError(f"recast does not read {codec} sound; convert it to FLAC or AAC first: {path}")
    resampler, count = AudioResampler("flt", "mono", RATE), 0
    for frame in chain(_decoded(container, stream), [None]):
        start = 0.0 if frame is None or frame.pts is None else float(frame.pts * (frame.time_base or time_base(stream)))
        for part in resampler.resample(frame):
            samples = part.to_ndarray()[0].astype(np.float32)
            count += len(samples)
            if count > RATE * MOST_SECONDS:
                raise MediaError(f"the sound is longer than {MOST_SECONDS} s; cut it first: {path}")
            yield start, samples


def _decoded(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    for packet in container.demux(stream):
        for frame in packet.decode():
            assert isinstance(frame, AudioFrame)
            yield frame


def joined(parts: Iterator[tuple[float, Float32[np.ndarray, " n"]]]) -> Waveform:
    """The whole of it."""
    held = list(parts)
    samples = np.concatenate([np.zeros(0, np.float32), *(part for _, part in held)])
    return Waveform(np.nan_to_num(samples), held[0][0] if held else 0.0)
