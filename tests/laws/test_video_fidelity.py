"""What a file holds beside its pictures comes along: tracks, chapters, texts, colour tags; what cannot is named."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from video_files import copied, noise, picture, tone

from recast.editing.checks import treated
from recast.editing.request import Request
from recast.errors import MediaError, RequestError
from recast.video.encode import KINDS
from recast.video.read import Window, frames, opened
from recast.video.write import writing

SECONDS = 2
TEXTS = {
    "title": "A boat",
    "date": "2024-05-06",
    "artist": "Nobody",
    "copyright": "none",
    "location": "+47.1000+008.2000/",
}
PARTS = [(0, 500, "one"), (500, 1500, "two"), (1500, 2000, "three")]


def rich(path, subtitle):
    """A video of 2 s with two sound tracks, subtitles, three chapters and texts."""
    spoken = path.with_suffix(".srt")
    spoken.write_text("1\n00:00:00,500 --> 00:00:01,000\nfirst\n\n2\n00:00:01,500 --> 00:00:01,900\nsecond\n")
    with av.open(str(path), "w") as file, av.open(str(spoken)) as words:
        video = file.add_stream("libx264", rate=25, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sounds = [file.add_stream("aac", rate=48000) for _ in range(2)]
        for sound, language, title in zip(sounds, ("deu", "fra"), ("Ton", "Son"), strict=True):
            sound.layout = "mono"
            sound.metadata.update({"language": language, "title": title})
        texts = file.add_stream_from_template(words.streams.subtitles[0]) if subtitle else None
        if texts:
            texts.metadata["language"] = "eng"
        file.metadata.update(TEXTS | {"comment": "seen by a lake"})
        tick = Fraction(1, 1000)
        chapters = [(start, end, {"title": title}) for start, end, title in PARTS]
        file.set_chapters(
            [{"id": i, "start": a, "end": b, "time_base": tick, "metadata": m} for i, (a, b, m) in enumerate(chapters)]
        )
        for index in range(25 * SECONDS):
            file.mux(video.encode(av.VideoFrame.from_ndarray(picture((48, 64), index), format="rgb24")))
        file.mux(video.encode(None))
        for sound in sounds:
            tone(file, sound, SECONDS)
        for packet in words.demux() if texts else ():
            if packet.size:
                packet.stream = texts
                file.mux(packet)
    return path


def tracks(path, kind):
    with av.open(str(path)) as file:
        found = []
        for index in [stream.index for stream in file.streams if stream.type == kind]:
            with av.open(str(path)) as again:
                stream = again.streams[index]
                packets = [
                    (packet.pts * stream.time_base, bytes(packet)) for packet in again.demux(stream) if packet.size
                ]
                texts = {key.lower(): text for key, text in stream.metadata.items()}
                found.append((texts.get("language"), texts.get("title"), packets))
        return found


@pytest.mark.parametrize(
    ("name", "ending"), [("in.mkv", "mkv"), ("in.mp4", "mp4"), ("in.mp4", "mov"), ("in.mkv", "mp4")]
)
def test_tracks_chapters_and_texts_come_along(tmp_path, name, ending):
    source = opened(rich(tmp_path / name, subtitle=name.endswith("mkv")))
    target = tmp_path / f"out.{ending}"
    with_notes(source, target)
    before, after = tracks(tmp_path / name, "audio"), tracks(target, "audio")
    assert [track[0] for track in after] == ["ger" if ending == "mov" else "deu", "fra"]
    assert [[data for _, data in track[2]] for track in after] == [[data for _, data in track[2]] for track in before]
    for one, other in zip(before, after, strict=True):
        assert all(abs(a[0] - b[0]) <= Fraction(1, 1000) for a, b in zip(one[2], other[2], strict=True))
    if ending == "mkv":
        assert tracks(target, "subtitle") == tracks(tmp_path / name, "subtitle")
    with av.open(str(target)) as file:
        texts = {key.lower(): text for key, text in file.metadata.items()}
        chapters = file.chapters()
    assert TEXTS.items() <= texts.items()
    assert texts["description"] == "seen by a lake"
    assert [chapter["metadata"]["title"] for chapter in chapters] == ["one", "two", "three"]
    times = [(chapter["start"] * chapter["time_base"], chapter["end"] * chapter["time_base"]) for chapter in chapters]
    assert times == [(Fraction(start, 1000), Fraction(end, 1000)) for start, end, _ in PARTS]


def with_notes(source, target, window=None, **options):
    window = window or Window()
    with writing(target, source, window, record=None, **options) as writer:
        for frame in frames(source, window):
            writer.add(frame.pixels, frame)
    return writer.notes


def test_what_a_container_cannot_hold_is_named(tmp_path):
    source = opened(rich(tmp_path / "in.mkv", subtitle=True))
    assert "mp4 cannot hold the subtitles (subrip); they were left out" in with_notes(source, tmp_path / "out.mp4")
    notes = with_notes(source, tmp_path / "out.avi")
    assert "avi cannot hold chapters; they were left out" in notes
    assert any("avi cannot hold these texts; they were left out: " in note and "LOCATION" in note for note in notes)
    notes = with_notes(source, tmp_path / "out.gif")
    assert "gif cannot hold the sound (aac); it was left out" in notes


def test_chapters_of_a_window_begin_and_end_with_it(tmp_path):
    source = opened(rich(tmp_path / "in.mkv", subtitle=False))
    with_notes(source, tmp_path / "out.mkv", Window(start=0.4, end=1.2))
    with av.open(str(tmp_path / "out.mkv")) as file:
        chapters = [(float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"])) for c in file.chapters()]
    assert chapters == [(0, 0.1), (0.1, 0.8)]


PAIRS = sorted({(kind.container, ending, codec) for ending, kind in KINDS.items() for codec in kind.codecs})


@pytest.mark.parametrize(("container", "ending", "codec"), PAIRS)
def test_every_codec_of_every_container_gives_back_frames_and_times(tmp_path, container, ending, codec):
    source = opened(noise(tmp_path / "in.mp4", count=6, size=(72, 96)))
    targets = [tmp_path / f"{number}{ending}" for number in range(2)]
    for target in targets:
        with_notes(source, target, codec=codec)
    assert targets[0].read_bytes() == targets[1].read_bytes()
    back = opened(targets[0])
    assert (back.size, back.num_frames, back.fps) == (source.size, 6, source.fps), container
    assert back.codec == {"prores4444": "prores"}.get(codec, codec)
    pairs = list(zip(frames(source, Window()), frames(back, Window()), strict=True))
    differences = [float((a.pixels.float() - b.pixels.float()).abs().mean()) for a, b in pairs]
    # Noise is hard to store; each frame is itself, not its neighbour (mean 85).
    assert max(differences) <= {"ffv1": 0, "gif": 50}.get(codec, 40)


def test_a_codec_that_does_not_fit_is_refused(tmp_path):
    source = opened(noise(tmp_path / "in.mp4", count=2))
    for name, codec, message in (
        ("out.mp4", "ffv1", "mp4 files cannot hold ffv1 here; they hold h264, hevc, av1"),
        ("out.mp4", "theora", "there is no codec 'theora'"),
        ("shots", "ffv1", "pictures are PNG files"),
    ):
        with pytest.raises(RequestError, match=message):
            with_notes(source, tmp_path / name, codec=codec)


@pytest.mark.parametrize("codec", ["av1", "prores"])
def test_odd_sides_are_refused_where_the_encoder_takes_none(tmp_path, codec):
    with av.open(str(tmp_path / "in.mkv"), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 33, 20, "bgr0"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((20, 33, 3), np.uint8), format="rgb24")))
        file.mux(stream.encode(None))
    source = opened(tmp_path / "in.mkv")
    with pytest.raises(RequestError, match="takes even sides alone, and frames are 33x20"):
        with_notes(source, tmp_path / "out.mkv", codec=codec)


def test_ffv1_keeps_every_pixel(tmp_path):
    source = opened(noise(tmp_path / "in.mp4", count=3))
    kept = copied(source, tmp_path / "out.mkv", codec="ffv1")
    again = list(frames(opened(tmp_path / "out.mkv"), Window()))
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(kept, again, strict=True))


def tagged(path, codec="libx264", form="yuv420p", **tags):
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25, options={key: str(value) for key, value in tags.items()})
        stream.width, stream.height, stream.pix_fmt = 64, 48, form
        for index in range(3):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture((48, 64), index), format="rgb24")))
        file.mux(stream.encode(None))
    return opened(path)


def test_colour_tags_stay_the_sources_and_changes_are_named(tmp_path):
    source = tagged(
        tmp_path / "in.mp4", color_primaries=5, color_trc=6, colorspace=5, color_range=2, form="yuv444p10le"
    )
    assert "10-bit colours were brought to 8 bits" in source.notes
    notes = with_notes(source, tmp_path / "out.mp4")
    assert "full-range colours were brought to limited range, which players expect" in notes
    colour = opened(tmp_path / "out.mp4").colour
    assert (colour.primaries, colour.transfer, colour.matrix, colour.full_range) == (5, 6, 1, False)


def test_hdr_is_converted_or_refused_as_asked(tmp_path):
    source = tagged(tmp_path / "in.mp4", color_primaries=9, color_trc=16, colorspace=9, form="yuv420p10le")
    assert treated(source, Request.asked()) is source
    with pytest.raises(MediaError, match="the video is HDR, which was to be refused"):
        treated(source, Request.asked(hdr="refuse"))
    with_notes(source, tmp_path / "out.mp4")
    colour = opened(tmp_path / "out.mp4").colour
    assert (colour.primaries, colour.transfer) == (1, 1)


def of_two_fields(frame):
    graph = av.filter.Graph()
    buffer = graph.add_buffer(width=64, height=48, format="yuv420p", time_base=Fraction(1, 25))
    setfield, sink = graph.add("setfield", "tff"), graph.add("buffersink")
    buffer.link_to(setfield)
    setfield.link_to(sink)
    graph.configure()
    frame.time_base = Fraction(1, 25)
    graph.push(frame)
    return graph.pull()


def test_interlaced_frames_are_made_whole_kept_or_refused_as_asked(tmp_path):
    with av.open(str(tmp_path / "in.mpg"), "w") as file:
        stream = file.add_stream("mpeg2video", rate=25, options={"flags": "+ildct+ilme", "qscale": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(6):
            made = av.VideoFrame.from_ndarray(picture((48, 64), 9 * index), format="rgb24").reformat(format="yuv420p")
            file.mux(stream.encode(of_two_fields(made)))
        file.mux(stream.encode(None))
    source = opened(tmp_path / "in.mpg")
    assert source.interlaced
    with pytest.raises(MediaError, match="the video is interlaced, which was to be refused"):
        treated(source, Request.asked(interlaced="refuse"))
    kept = treated(source, Request.asked(interlaced="keep"))
    assert any("kept as they are" in note for note in kept.notes)
    assert not any("made whole" in note for note in kept.notes)
    whole, woven = (torch.stack([frame.pixels for frame in frames(each, Window())]) for each in (source, kept))
    assert whole.shape == woven.shape
    assert not torch.equal(whole, woven)
    assert not kept.damage


def test_a_first_time_above_zero_is_named(tmp_path):
    with av.open(str(tmp_path / "in.mkv"), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(5):
            made = av.VideoFrame.from_ndarray(picture((48, 64), index), format="rgb24")
            made.pts, made.time_base = index + 10, Fraction(1, 25)
            file.mux(stream.encode(made))
        file.mux(stream.encode(None))
    source = opened(tmp_path / "in.mkv")
    assert source.first_seconds == Fraction(2, 5)
    notes = with_notes(source, tmp_path / "out.mp4")
    assert f"times begin at 0, and in the source at {float(source.first_seconds):.3f} s" in notes
