"""Chapters of a stretch are those of the source that lie in it, cut where it is cut."""

from fractions import Fraction

import av
import pytest
from video_files import picture

from recast.video.read import Window, frames, opened
from recast.video.write import writing

RATE = 25
PARTS = [(0, 500, "one"), (500, 1500, "two"), (1500, 2000, "three")]
"""Begin and end in milliseconds, and title."""


@pytest.fixture(scope="module")
def parted(tmp_path_factory):
    """A video of 2 s in three chapters."""
    path = tmp_path_factory.mktemp("chapters") / "in.mkv"
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=RATE, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        facts = {"time_base": Fraction(1, 1000)}
        file.set_chapters(
            [{"id": n, "start": a, "end": b, "metadata": {"title": t}} | facts for n, (a, b, t) in enumerate(PARTS)]
        )
        for index in range(2 * RATE):
            file.mux(video.encode(av.VideoFrame.from_ndarray(picture((48, 64), index), format="rgb24")))
        file.mux(video.encode(None))
    return opened(path)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(), PARTS),
        (Window(end=1), [(0, 500, "one"), (500, 1000, "two")]),
        (Window(start=1), [(0, 500, "two"), (500, 1000, "three")]),
        (Window(max_frames=25), [(0, 500, "one"), (500, 1000, "two")]),
        (Window(max_frames=5), [(0, 200, "one")]),
        (Window(start=1, max_frames=15), [(0, 500, "two"), (500, 600, "three")]),
        (Window(start=0.4, end=1.6, max_frames=5), [(0, 100, "one"), (100, 200, "two")]),
        (Window(max_frames=999), PARTS),
    ],
)
def test_chapters_are_cut_to_the_stretch(parted, tmp_path, window, expected):
    target = tmp_path / "out.mkv"
    with writing(target, parted, window, record=None) as writer:
        for frame in frames(parted, window):
            writer.add(frame.pixels, frame)
    with av.open(str(target)) as file:
        chapters, length = file.chapters(), Fraction(file.duration, av.time_base)
    found = [
        (*(round(1000 * each[side] * each["time_base"]) for side in ("start", "end")), each["metadata"]["title"])
        for each in chapters
    ]
    assert found == expected
    assert found[-1][1] <= 1000 * length
