"""Sound, subtitles and texts are read, and sound is decoded, where pictures are: in no process that writes."""

import ast
import os
import signal
import time
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from test_isolated import child_of
from test_video_fidelity import rich, tracks
from video_files import copied, picture

import recast
from recast.errors import MediaError
from recast.video import children, isolated
from recast.video.encode import KINDS
from recast.video.mould import CODEC_DELAY, SEEK_PRE_ROLL, mould, number_in
from recast.video.read import Window, frames, opened
from recast.video.source import OnDamage
from recast.video.tracks import Decoded, Packed, Wanted, frame_of, part_from_bytes, part_to_bytes
from recast.video.write import writing

SOURCE = Path(recast.__file__).parent
APART = {"video/forked.py", "video/shown.py", "video/isolated.py", "video/container.py"}
"""Those that run in a process of their own; the third in this one, on systems that have no fork."""
SUBTITLES = set().union(*(kind.subtitles for kind in KINDS.values()))
PAIRS = sorted({(kind.container, codec) for kind in KINDS.values() for codec in kind.sounds | kind.subtitles})


def calls(word):
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if word in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) == word:
                yield path.relative_to(SOURCE).as_posix(), node


def test_only_what_runs_apart_opens_files_to_read_them():
    opening = list(calls("av.open"))
    reading = [name for name, call in opening if [ast.unparse(each) for each in call.args[1:]] != ["'w'"]]
    # One of the two is read from memory: a header made of a few numbers.
    assert sorted(reading) == ["video/container.py", "video/mould.py"]
    assert len(opening) > len(reading)
    assert {name for name, _ in calls("demuxing")} <= APART
    assert {name for name, _ in calls("packet.decode")} == {"video/tracks.py", "video/waveform.py"}


def test_only_what_runs_apart_opens_pictures():
    # The other two read what recast itself put into shards, and what it packed a moment before.
    opening = {name for name, _ in calls("Image.open")}
    assert opening == {"video/pictures.py", "data/shards.py", "world/filming.py"}
    assert {name for name, _ in calls("picture_in")} == {"video/forked.py", "video/isolated_pictures.py"}


@pytest.mark.parametrize("ending", ["mkv", "webm", "mov"])
def test_a_copy_is_written_without_a_file_opened_here_to_be_read(tmp_path, monkeypatch, ending):
    source = opened(rich(tmp_path / "in.mkv", subtitle=True))
    truly, read = av.open, []

    def counted(file, mode="r", *args, **kwargs):
        read.extend([] if mode == "w" or isinstance(file, BytesIO) else [file])
        return truly(file, mode, *args, **kwargs)

    monkeypatch.setattr(av, "open", counted)
    copied(source, tmp_path / f"out.{ending}")
    assert not read
    monkeypatch.undo()
    assert len(tracks(tmp_path / f"out.{ending}", "audio")) == 2


def sounding(path, data=None):
    """A video of 10 s whose sound, 2 MB, does not fit into a pipe; or whose one packet of AAC is `data`."""
    with av.open(str(path), "w") as file:
        video = file.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = file.add_stream("aac" if data else "pcm_s16le", rate=48000)
        sound.layout = "stereo"
        for index in range(250):
            file.mux(video.encode(av.VideoFrame.from_ndarray(picture((48, 64), index), format="rgb24")))
        file.mux(video.encode(None))
        for start in range(0, 480_000, 4800) if not data else ():
            samples = np.full((1, 9600), start % 1000, np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            frame.pts, frame.rate, frame.time_base = start, 48000, Fraction(1, 48000)
            file.mux(sound.encode(frame))
        for number in range(20 if data else 0):
            packet = av.Packet(data)
            packet.pts = packet.dts = 1024 * number
            packet.stream, packet.time_base = sound, Fraction(1, 48000)
            file.mux(packet)
    return path


def written_with_a_signal(source, target, sent):
    kept, before = list(frames(source, Window())), child_of(isolated._server)
    with writing(target, source, Window(), record=None) as writer:
        writer.add(kept[0].pixels, kept[0])
        (child,) = child_of(isolated._server) - before
        os.kill(child, sent)
        for frame in kept[1:]:
            writer.add(frame.pixels, frame)


@pytest.mark.parametrize(
    ("sent", "says"), [(signal.SIGSEGV, "decoding broke off"), (signal.SIGSTOP, "nothing came for 0.5 seconds")]
)
@pytest.mark.parametrize("ending", ["mkv", "webm"])
def test_a_reader_of_sound_that_dies_or_hangs_is_an_error_and_the_next_file_is_written(
    tmp_path, monkeypatch, sent, says, ending
):
    source = opened(sounding(tmp_path / "in.mkv"))
    before = child_of(isolated._server)
    monkeypatch.setattr(children, "STALL_SECONDS", 0.5)
    with pytest.raises(MediaError, match=says):
        written_with_a_signal(source, tmp_path / f"out.{ending}", sent)
    assert not (tmp_path / f"out.{ending}").exists()
    monkeypatch.undo()
    for _ in range(100):
        if not child_of(isolated._server) - before:
            break
        time.sleep(0.05)
    assert not child_of(isolated._server) - before
    copied(source, tmp_path / f"out.{ending}", Window(end=0.2))
    assert len(tracks(tmp_path / f"out.{ending}", "audio")) == 1


def test_sound_that_cannot_be_decoded_is_an_error_that_says_so(tmp_path):
    spoilt = bytes(np.random.default_rng(0).integers(0, 256, 300, np.uint8))
    source = opened(sounding(tmp_path / "in.mkv", spoilt), OnDamage.WARN)
    with pytest.raises(MediaError, match="has a damaged track of sound or subtitles; leave it out"):
        copied(source, tmp_path / "out.webm", Window(end=0.4))


@pytest.mark.parametrize(("container", "codec"), PAIRS)
def test_a_track_is_set_up_from_numbers_alone(container, codec):
    rate, channels = (0, 0) if codec in SUBTITLES else (48000, 2)
    with mould(codec, rate, channels, delay=6_500_000, preroll=80_000_000, depth=16) as like:
        assert like.codec_context.codec.canonical_name == codec
        with av.open(BytesIO(), "w", format=container) as target:
            made = target.add_stream_from_template(like)
            assert made.codec_context.codec.canonical_name == codec
        if codec in SUBTITLES or codec == "vorbis":  # which has no header before its decoder's texts are known
            return
        header = BytesIO()
        with av.open(header, "w", format="matroska") as target:
            target.add_stream_from_template(like)
            target.start_encoding()
        assert abs(number_in(header.getvalue(), CODEC_DELAY) - 6_500_000) < 30_000  # a sample
        assert number_in(header.getvalue(), SEEK_PRE_ROLL) == (80_000_000 if codec == "opus" else 0)


@pytest.mark.parametrize(
    "part",
    [
        (Packed(-5, None, 1024, True, (("skip_samples", "00ff"),)), b"\x01\x02"),
        (Decoded(7, 1920, Fraction(1, 48000), 48000, "fltp", "stereo", (2, 3)), bytes(24)),
    ],
)
def test_what_is_sent_of_a_track_comes_as_it_was(part):
    assert part_from_bytes(part_to_bytes(part)) == part


@pytest.mark.parametrize(
    "sent", [b"", b"\xff\xff\xff\xff", b"\x02\0\0\0{}abc", part_to_bytes((Packed(2**63, 0, 0, True), b""))]
)
def test_what_is_sent_of_a_track_is_data_and_may_be_wrong(tmp_path, monkeypatch, sent):
    (tmp_path / "a").touch()
    monkeypatch.setattr(
        isolated, "_checked", lambda *_: iter([(isolated.messages.PART, np.frombuffer(sent, np.uint8))])
    )
    with pytest.raises(MediaError, match="what recast does not understand"):
        list(isolated.track(tmp_path / "a", Wanted(0, None, decoded=False)))


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("first", [None, 20_000])
def test_a_track_is_as_it_is_read_in_this_process(tmp_path, monkeypatch, decoded, first):
    source = opened(rich(tmp_path / "in.mp4", subtitle=False))
    facts = isolated.about_file(source.path)
    wanted = Wanted(facts.tracks[1].number, first, decoded=decoded)
    apart = list(isolated.track(source.path, wanted))
    monkeypatch.setattr(isolated, "AVAILABLE", False)
    assert isolated.about_file(source.path) == facts
    assert list(isolated.track(source.path, wanted)) == apart
    assert len(apart) > 50
    assert min(head.pts for head, _ in apart) >= (first or -1024)


def test_samples_of_another_size_than_announced_are_refused():
    with pytest.raises(ValueError, match="reshape"):
        frame_of(Decoded(0, 0, Fraction(1, 48000), 48000, "s16", "mono", (1, 100)), bytes(10))
