"""The time code of a clip is copied, and that of a part is its first frame's."""

from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_files import NTSC, SourceSpec, copied, made

from recast.video.container import demuxing
from recast.video.read import Window, opened
from recast.video.timecode import later, timecode_of

frames = st.integers(0, 3_000_000)


@pytest.mark.parametrize(
    ("timecode", "count", "fps", "expected"),
    [
        ("01:00:00:00", 25, Fraction(25), "01:00:01:00"),
        ("23:59:59:24", 1, Fraction(25), "00:00:00:00"),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:00;00", 17982, NTSC, "00:10:00;00"),  # ten minutes have 9 times two numbers less
        ("00:00:59;59", 1, 2 * NTSC, "00:01:00;04"),
        ("00:00:00;00", 107892, NTSC, "01:00:00;00"),  # an hour on the clock, to 3.6 ms
    ],
)
def test_time_codes_are_counted_as_published(timecode, count, fps, expected):
    assert later(timecode, count, fps) == expected


@given(frames, frames)
def test_two_steps_are_one(one, other):
    start = "00:00:00;00"
    assert later(later(start, one, NTSC), other, NTSC) == later(start, one + other, NTSC)


@pytest.mark.parametrize("ending", ["mov", "mp4", "mkv"])
def test_a_copy_begins_at_the_time_code_of_its_first_frame(tmp_path, ending):
    plain = opened(made(tmp_path / "plain.mkv", SourceSpec()))
    with av.open(str(tmp_path / "in.mov"), "w") as container:
        stream = container.add_stream("libx264", rate=NTSC, options={"bf": "0"})
        stream.height, stream.width, stream.pix_fmt = *plain.size, "yuv420p"
        stream.metadata["timecode"] = "01:02:03;04"
        for index in range(12):
            frame = av.VideoFrame(plain.size[1], plain.size[0], "yuv420p")
            frame.pts, frame.time_base = index, 1 / NTSC
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source = opened(tmp_path / "in.mov")
    copied(source, tmp_path / f"whole.{ending}")
    copied(source, tmp_path / f"part.{ending}", Window(start=float(5 / NTSC)))
    for name, expected in (("whole", "01:02:03;04"), ("part", "01:02:03;09")):
        with demuxing(tmp_path / f"{name}.{ending}") as written:
            assert timecode_of(written) == expected
