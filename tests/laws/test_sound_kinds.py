"""Sound that a target does not take as it is: channels without names, rates that an encoder or a container has not."""

from fractions import Fraction

import av
import numpy as np
import pytest
from test_video_fidelity import with_notes
from video_files import copied, picture, tone

from recast.errors import MediaError
from recast.video.read import opened


def unnamed(path, codec, layout, channels, rate=48000):
    """A video with PCM sound whose channels have no names, as Matroska has none."""
    deep = codec == "pcm_s24le"
    with av.open(str(path), "w") as file:
        video = file.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = file.add_stream(codec, rate=rate)
        sound.layout, sound.codec_context.format = layout, "s32" if deep else "s16"
        for index in range(8):
            file.mux(video.encode(av.VideoFrame.from_ndarray(picture((48, 64), index), format="rgb24")))
        file.mux(video.encode(None))
        samples = np.arange(rate // 4 * channels, dtype=np.int32 if deep else np.int16)[None] << (16 if deep else 0)
        frame = av.AudioFrame.from_ndarray(samples, format="s32" if deep else "s16", layout=layout)
        frame.pts, frame.rate, frame.time_base = 0, rate, Fraction(1, rate)
        file.mux([*sound.encode(frame), *sound.encode(None)])
    return path


def sound_of(path):
    with av.open(str(path)) as file:
        return b"".join(bytes(packet) for packet in file.demux(audio=0)), file.streams.audio[0].layout.name


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le"])
@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 6), ("7.1", 8)])
def test_channels_without_names_are_copied_to_mp4_which_names_them(tmp_path, codec, layout, channels):
    source = unnamed(tmp_path / "in.mkv", codec, layout, channels)
    notes = with_notes(opened(source), tmp_path / "out.mp4")
    assert sound_of(tmp_path / "out.mp4")[0] == sound_of(source)[0]
    assert sound_of(tmp_path / "out.mp4")[1] in (layout, "1 channels")
    assumed = [note for note in notes if "channels have no names" in note]
    assert assumed == [f"the sound's {channels} channels have no names; {layout} is assumed"] * (channels > 2)


def test_more_channels_than_have_names_are_refused_for_mp4_alone(tmp_path):
    source = opened(unnamed(tmp_path / "in.mkv", "pcm_s16le", "9 channels", 9))
    with pytest.raises(MediaError, match="9 channels of sound without names; use mov or mkv"):
        copied(source, tmp_path / "out.mp4")
    copied(source, tmp_path / "out.mkv")
    copied(source, tmp_path / "out.mov")
    assert sound_of(tmp_path / "out.mov")[0] == sound_of(tmp_path / "in.mkv")[0] == sound_of(tmp_path / "out.mkv")[0]


def seconds_of_sound(path):
    with av.open(str(path)) as file:
        frames = [frame for packet in file.demux(audio=0) for frame in packet.decode()]
    return sum(frame.samples for frame in frames) / frames[0].rate, frames[0].rate


def test_sound_at_a_rate_that_the_encoder_does_not_know_gets_the_next_one(tmp_path):
    for rate, became in ((96000, 48000), (9000, 11025), (44100, 44100)):
        source = unnamed(tmp_path / f"{rate}.mkv", "pcm_s16le", "stereo", 2, rate)
        (note,) = [text for text in with_notes(opened(source), tmp_path / f"{rate}.avi") if "re-encoded" in text]
        assert note == "sound was re-encoded from pcm_s16le to mp3" + (f" at {became} Hz" if became != rate else "")
        seconds, found = seconds_of_sound(tmp_path / f"{rate}.avi")
        assert found == became
        assert seconds == pytest.approx(0.25, abs=3 * 1152 / became)


def test_mp3_too_slow_for_mp4_is_encoded_anew(tmp_path):
    source = unnamed(tmp_path / "in.mkv", "pcm_s16le", "mono", 1, 8000)
    copied(opened(source), tmp_path / "slow.avi")
    notes = with_notes(opened(tmp_path / "slow.avi"), tmp_path / "slow.mp4")
    assert "sound was re-encoded from mp3 to aac" in notes
    assert "sound was re-encoded" not in str(with_notes(opened(tmp_path / "slow.avi"), tmp_path / "slow.mkv"))


@pytest.mark.parametrize(("ending", "moved"), [("mp4", False), ("mov", False), ("webm", False), ("mkv", True)])
def test_times_that_sound_before_the_first_frame_moves_are_noted(tmp_path, ending, moved):
    with av.open(str(tmp_path / "in.mp4"), "w") as file:
        stream, sound = file.add_stream("libx264", rate=25), file.add_stream("aac", rate=48000, layout="mono")
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture((48, 64), index), format="rgb24")))
        file.mux(stream.encode(None))
        tone(file, sound, 0.2)
    notes = with_notes(opened(tmp_path / "in.mp4"), tmp_path / f"out.{ending}")
    assert any("holds no times below 0" in note for note in notes) == moved
    assert opened(tmp_path / f"out.{ending}").first_seconds == (Fraction(21, 1000) if moved else 0)
