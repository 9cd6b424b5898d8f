"""Clips of several shots: each shot is edited as if it were alone, and nothing is joined or faded across a cut."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch
from einops import rearrange
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from recast.editing.api import Editor
from recast.editing.edit import edit
from recast.editing.loaded import Model
from recast.editing.prepared import prepare
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.segments import Segmentation
from recast.errors import Cancelled, RequestError
from recast.types import Clip
from recast.video.cuts import SEEN_AFTER, SEEN_BEFORE, cuts
from recast.video.read import Window, frames, opened, read
from tiny_folder import written

LENGTHS, SEGMENT, SIZE = (11, 3, 6), 6, (40, 52)
STARTS = (0, 11, 14)


def shot(number: int, length: int) -> list[np.ndarray]:
    """A ground of its own colour and pattern, and a square that moves over it."""
    rng = np.random.default_rng(number)
    ground = np.array([[200, 60, 30], [20, 90, 160], [120, 220, 60]][number]) + rng.integers(-20, 20, (*SIZE, 1))
    made = []
    for index in range(length):
        frame = ground.clip(0, 255).astype(np.uint8)
        frame[8 + number : 24, 4 + 2 * index : 18 + 2 * index] = (240, 240, 40)
        made.append(frame)
    return made


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model.loaded(str(written(tmp_path_factory.mktemp("model"))))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / "source"
    folder.mkdir()
    for index, frame in enumerate(each for number, length in enumerate(LENGTHS) for each in shot(number, length)):
        Image.fromarray(frame).save(folder / f"{index:03d}.png")
    return folder


def request_of(source, target, **settings):
    asked = {"prompt": "a red ball", "steps": 2, "ensemble": 1, "segment": SEGMENT} | settings
    return Request.asked(source=source, target=target, **asked)


def written_frames(path):
    return read(opened(path), Window()).frames


def test_cuts_are_where_they_are(source):
    assert tuple(cuts((frame.pixels for frame in frames(opened(source), Window())), "either")) == STARTS[1:]
    assert cuts((frame.pixels for frame in frames(opened(source), Window())), "none") == []


@given(some.data())
def test_a_part_of_a_clip_has_the_cuts_of_the_whole(data):
    grounds = data.draw(some.lists(some.integers(0, 3), min_size=1, max_size=24))
    colours = torch.tensor([[200, 60, 30], [20, 90, 160], [120, 220, 60], [190, 70, 50]], dtype=torch.uint8)
    clip = rearrange(colours[grounds], "t c -> t c 1 1").expand(-1, -1, 16, 16).contiguous()
    start = data.draw(some.integers(0, len(clip) - 1))
    stop = data.draw(some.integers(start + 1, len(clip)))
    known = range(start + SEEN_BEFORE if start else 0, stop - SEEN_AFTER if stop < len(clip) else stop)
    whole, part = cuts(clip, "either"), cuts(clip[start:stop], "either", start)
    assert [cut for cut in part if cut in known] == [cut for cut in whole if cut in known]


@given(some.lists(some.integers(1, 60), min_size=1, max_size=8), some.integers(1, 6), some.integers(0, 9))
def test_no_segment_reaches_across_a_cut_and_each_frame_is_given_once(lengths, shared, more):
    starts = [0, *np.cumsum(lengths).tolist()]
    segments = Segmentation(2 * shared + more, shared).segments(starts[:-1], starts[-1])
    assert {(each.shot.start, each.shot.stop) for each in segments} == set(pairwise(starts))
    assert all(each.shot.start <= each.span.start < each.span.stop <= each.shot.stop for each in segments)
    given_out = (range(each.span.start, each.span.stop - each.handed_on) for each in segments)
    assert [frame for each in given_out for frame in each] == list(range(starts[-1]))
    for before, after in pairwise(segments):
        assert before.handed_on == (0 if after.is_first else shared)


@pytest.mark.parametrize(
    "settings",
    [{"segment": 64}, {"segment": SEGMENT, "method": "flowedit", "structure": "edges"}],
    ids=["gen1", "flowedit"],
)
def test_shots_edited_as_one_clip_are_each_shot_edited_alone(source, model, tmp_path, settings):
    edit(request_of(source, tmp_path / "whole", **settings), model)
    whole = written_frames(tmp_path / "whole")
    for number, (start, length) in enumerate(zip(STARTS, LENGTHS, strict=True)):
        alone = request_of(source, tmp_path / f"{number}", start=start / 24, max_frames=length, **settings)
        edit(alone, model)
        assert torch.equal(written_frames(alone.target), whole[start : start + length])
    edit(request_of(source, tmp_path / "one", cuts="none", **settings), model)
    assert not torch.equal(written_frames(tmp_path / "one"), whole)


def test_shots_of_a_clip_in_memory_are_edited_alone(source, model):
    editor = Editor(model, request_of(source, None).updated(segment=64))
    clip = read(opened(source), Window())
    whole = editor(clip).frames
    parts = [Clip(clip.frames[i : i + n], clip.fps, i) for i, n in zip(STARTS, LENGTHS, strict=True)]
    assert torch.equal(torch.cat([editor(part).frames for part in parts]), whole)


def test_the_survey_of_a_stopped_run_finds_the_same_shots(source, model, tmp_path):
    request = request_of(source, tmp_path / "whole")
    edit(request, model)
    calls = 0

    def stop(stage, _done, _total):
        nonlocal calls
        calls += stage == "read"
        if stage == "read" and calls % 6 == 5:  # each attempt reads the first segment again
            raise KeyboardInterrupt

    again = dataclasses.replace(request, target=tmp_path / "again")
    stopped = 0
    for _ in range(30):
        try:
            edit(again, model, stop)
            break
        except Cancelled:
            stopped += 1
    assert stopped > 1
    assert torch.equal(written_frames(tmp_path / "again"), written_frames(tmp_path / "whole"))


def test_a_mask_may_leave_whole_shots_alone(source, model, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in range(sum(LENGTHS)):
        Image.new("L", SIZE[::-1], 255 if number >= STARTS[1] else 0).save(masks / f"{number:03d}.png")
    for segment in (SEGMENT, 64):
        request = request_of(source, tmp_path / f"out{segment}", mask=masks, feather=0, segment=segment)
        edit(request, model)
        before, after = written_frames(source), written_frames(request.target)
        assert torch.equal(after[: STARTS[1]], before[: STARTS[1]])
        assert not torch.equal(after[STARTS[1] :], before[STARTS[1] :])


def test_structures_of_a_shot_are_scaled_by_that_shot(source, model, tmp_path):
    resolved = resolve(request_of(source, tmp_path / "out"), model, opened(source))
    (whole,) = prepare(resolved, model).structures
    for start, length in zip(STARTS, LENGTHS, strict=True):
        maps = whole.maps[start : start + length]
        assert (float(maps.min()), float(maps.max())) == (0.0, 1.0)


def test_an_unknown_way_to_find_cuts_is_refused(source, tmp_path):
    with pytest.raises(RequestError, match="there is no way to find cuts 'magic'"):
        request_of(source, tmp_path / "out", cuts="magic")
