"""A window holds the frames that its times say, wherever in the file it lies."""

import pytest
from video_files import noise

from recast.errors import RequestError
from recast.video.read import Window, frames, opened


def test_windows_hold_the_frames_that_their_times_say(tmp_path):
    source = opened(noise(tmp_path / "in.mp4", 40))
    for window, indices in (
        (Window(), range(40)),
        (Window(start=0.4), range(10, 40)),
        (Window(start=0.4, end=0.6), range(10, 15)),
        (Window(start=0.41, max_frames=3), range(11, 14)),
        (Window(end=0.04), range(1)),
    ):
        assert [frame.index for frame in frames(source, window)] == list(indices)
    with pytest.raises(RequestError, match=r"1\.60 s long"):
        next(frames(source, Window(start=5)))


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_late_window_is_the_same_as_the_tail_of_all(tmp_path, ending):
    source = opened(noise(tmp_path / f"in.{ending}", 500))
    tail = [frame for frame in frames(source, Window()) if frame.seconds >= 15]
    late = list(frames(source, Window(start=15)))
    assert [(frame.index, frame.pts) for frame in late] == [(frame.index, frame.pts) for frame in tail]
    assert all((a.pixels == b.pixels).all() for a, b in zip(late, tail, strict=True))


def test_senseless_windows_are_refused():
    for values in (
        {"start": -1.0},
        {"start": float("nan")},
        {"start": 2.0, "end": 2.0},
        {"max_frames": 0},
        {"size": (0, 5)},
    ):
        with pytest.raises(RequestError):
            Window(**values)
