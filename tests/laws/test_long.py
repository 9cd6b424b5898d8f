"""Clips that go through segment by segment: what is found of them, how segments join, and how a run goes on."""

import dataclasses
import hashlib
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from recast.editing.edit import edit
from recast.editing.job import FACTS, EditJob, job_beside
from recast.editing.loaded import Model
from recast.editing.prepared import extractors, prepare
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.segments import ClipReader, Segmentation
from recast.errors import Cancelled, RequestError
from recast.files import job_folder
from recast.video.cuts import SEEN_AFTER, SEEN_BEFORE
from recast.video.read import Window, opened, read
from tiny_folder import clip_folder, written

FRAMES, SEGMENT, SIZE = 19, 8, (40, 52)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model.loaded(str(written(tmp_path_factory.mktemp("model"))))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return clip_folder(tmp_path_factory.mktemp("clip") / "source", frames=FRAMES, size=SIZE)


@pytest.fixture
def request_(source, tmp_path):
    return Request.asked(
        source=source, target=tmp_path / "out.mp4", prompt="a red ball", steps=2, segment=SEGMENT, ensemble=1
    )


def resolved_of(request, model):
    return resolve(request, model, opened(request.source))


@given(some.integers(1, 40), some.integers(0, 40), some.integers(1, 400))
def test_every_frame_is_in_a_segment_and_neighbours_share_what_they_should(shared, more, total):
    cut = Segmentation(2 * shared + more, shared)
    spans = cut.spans(total)
    assert (spans[0].start, spans[-1].stop) == (0, total)
    assert all(span.stop - span.start <= cut.length for span in spans)
    for before, after in pairwise(spans):
        assert before.stop - after.start == shared
        assert after.stop > before.stop


def test_segments_are_at_least_two_overlaps():
    with pytest.raises(RequestError, match="say --segment 16"):
        Segmentation(15, 8)


def test_a_clip_that_is_read_in_spans_is_the_clip(request_, model):
    resolved = resolved_of(request_, model)
    whole = prepare(resolved, model).clip
    reader = ClipReader(resolved)
    for start, stop in [(0, 3), (2, 7), (6, 6), (9, 30), (17, 40)]:
        assert torch.equal(reader.span(start, stop), whole.frames[start:stop])
    later = ClipReader(resolved, 5)
    clip, part = later.clip(slice(7, 12), 2, shot=slice(0, FRAMES))
    assert (clip.first, part) == (5, slice(2, 7))
    assert torch.equal(clip.frames[part], whole.frames[7:12])
    clip, part = later.clip(slice(7, 12), 2, shot=slice(7, 13))
    assert (clip.first, len(clip), part) == (7, 6, slice(0, 5))


@pytest.mark.parametrize("structure", ["depth", "edges"])
def test_a_long_edit_has_the_sources_frames_size_and_rate(request_, model, structure, tmp_path):
    request = dataclasses.replace(request_, structure=(structure,))
    result = edit(request, model)
    before, after = opened(request.source), opened(request.target)
    assert (result.num_frames, after.num_frames, after.size, after.fps) == (FRAMES, FRAMES, SIZE, before.fps)
    assert result.record.worked["frames"] == FRAMES
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_nothing_changed_is_the_same_whole_and_in_segments(request_, model, tmp_path):
    still = request_.updated(strength=0.0)
    whole, parts = (dataclasses.replace(still, target=tmp_path / name) for name in ("whole", "parts"))
    edit(dataclasses.replace(whole, segment=FRAMES), model)
    edit(parts, model)
    one, other = (read(opened(each.target), Window()).frames for each in (whole, parts))
    assert torch.equal(one, other)


@pytest.mark.parametrize("method", ["gen1", "flowedit", "fatezero"])
@pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")
def test_a_segment_starts_with_the_latents_of_the_one_before_and_leaves_them(request_, model, method):
    kept = {}

    def watch(_stage, _done, _total):
        for number in range(job.segments_done()):
            kept.setdefault(number, job.latents(number))

    request = dataclasses.replace(request_, method=method)
    job = EditJob(request.target.with_name("out.mp4.job"))
    edit(request, model, watch)
    shared = Segmentation.of(resolved_of(request, model)).shared
    assert shared == 2
    assert len(kept) == 3
    for number in (1, 2):
        before = kept[number - 1][-shared:]
        assert torch.equal(kept[number][0], before[0])
        assert not torch.allclose(kept[number][1], before[1], atol=1e-3)


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_run_that_was_stopped_anywhere_goes_on_and_ends_with_the_same_bytes(request_, model, tmp_path):
    edit(request_, model)
    whole, calls = _digest(request_.target), []
    request = dataclasses.replace(request_, target=tmp_path / "again" / "out.mp4")
    request.target.parent.mkdir()
    edit(request, model, lambda *step: calls.append(step))
    assert _digest(request.target) == whole
    for stop in range(0, len(calls), 17):
        request = dataclasses.replace(request_, target=tmp_path / f"stopped-{stop}" / "out.mp4")
        request.target.parent.mkdir()
        seen = 0

        def interrupting(*_step):
            nonlocal seen
            seen += 1
            if seen > stop:  # noqa: B023 -- called in this round alone
                raise KeyboardInterrupt

        with pytest.raises((Cancelled, KeyboardInterrupt)):
            edit(request, model, interrupting)
        assert not request.target.exists()
        edit(request, model)
        assert _digest(request.target) == whole
        assert [path.name for path in request.target.parent.iterdir()] == ["out.mp4"]


def test_segments_that_are_done_are_not_done_again(request_, model):
    def stop_in_the_second(stage, done, total):
        if stage == "denoise" and done > total / 3:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled, match="the same command goes on"):
        edit(request_, model, stop_in_the_second)
    counts = []
    edit(request_, model, lambda stage, done, total: counts.append(done / total) if stage == "denoise" else None)
    assert min(counts[1:]) > 1 / 3


def test_an_unfinished_edit_with_other_settings_is_left_alone(request_, model):
    def stop(stage, done, _total):
        if stage == "denoise" and done:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled):
        edit(request_, model, stop)
    folder = request_.target.with_name("out.mp4.job")
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(RequestError, match=r"unfinished edit with other settings \(seed\)"):
        edit(dataclasses.replace(request_, seed=5), model)
    assert sorted(path.name for path in folder.iterdir()) == before
    edit(request_, model)
    assert not folder.exists()


def test_segments_that_a_killed_run_left_without_its_settings_are_not_used(request_, model, tmp_path):
    edit(request_, model)
    left = request_.updated(target=tmp_path / "again" / "out.mp4")
    left.target.parent.mkdir()
    with pytest.raises(Cancelled):
        edit(left.updated(prompt="snow"), model, lambda stage, *_: stop_at(stage, "write"))
    (job_folder(left.target) / FACTS).unlink()
    edit(left, model)
    assert _digest(left.target) == _digest(request_.target)


def stop_at(stage, name):
    if stage == name:
        raise KeyboardInterrupt


def test_two_runs_do_not_work_in_one_job(request_, model):
    for segment in (SEGMENT, 64):
        request = dataclasses.replace(request_, segment=segment)
        with job_beside(request_.target), pytest.raises(RequestError, match="another run is at work there"):
            edit(request, model)


def test_a_part_that_the_mask_leaves_alone_keeps_the_sources_pixels(request_, model, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in range(FRAMES):
        Image.new("L", SIZE[::-1], 255 if number >= SEGMENT else 0).save(masks / f"{number:03d}.png")
    request = dataclasses.replace(request_, mask=masks, target=tmp_path / "out", feather=0)
    edit(request, model)
    before, after = (read(opened(path), Window()).frames for path in (request.source, request.target))
    assert torch.equal(after[:SEGMENT], before[:SEGMENT])
    assert all(not torch.equal(one, other) for one, other in zip(after[SEGMENT:], before[SEGMENT:], strict=True))


def test_what_is_held_of_a_long_clip_does_not_grow(request_, model, monkeypatch):
    most = 0
    spans = ClipReader.span

    def measured(self, start, stop):
        nonlocal most
        frames = spans(self, start, stop)
        most = max(most, len(self._held))
        return frames

    monkeypatch.setattr(ClipReader, "span", measured)
    edit(request_, model)
    reach = max(extractor.reach for extractor in extractors(resolved_of(request_, model), model).values())
    assert SEGMENT <= most <= SEGMENT + 2 * reach + SEEN_BEFORE + SEEN_AFTER
