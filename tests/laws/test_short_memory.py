"""Where memory runs out an edit is tried with less at once, and what may change the picture is said."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recast.editing.edit import edit
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.editing.short_memory import APART, RAN_OUT, SHORTER, STREAMED, Attempt, made_with_less
from recast.errors import Cancelled, OutOfMemoryError, RecastWarning
from tiny_folder import clip_folder, written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model.loaded(str(written(tmp_path_factory.mktemp("model"))))


def test_each_attempt_holds_less_than_the_one_before(model, tmp_path):
    first = Attempt(Request.asked(target=tmp_path / "out.mp4", prompt="snow"), model)
    attempts = []

    def make(attempt):
        attempts.append(attempt)
        raise OutOfMemoryError("as a machine of any size may say")

    with pytest.warns(RecastWarning, match="memory ran out"), pytest.raises(OutOfMemoryError):
        made_with_less(first, make, lambda attempt: attempt.smaller(frames=100, least=8))
    assert [attempt.request.segment for attempt in attempts] == [256, 256, 50, 25, 12, 8]
    assert [attempt.model.backbone.together for attempt in attempts] == [True, *5 * [False]]
    notes = [f"{RAN_OUT}: {APART}", f"{RAN_OUT}: {SHORTER.format(new=50)}"]
    assert [list(attempt.notes) for attempt in attempts[:3]] == [[], notes[:1], notes]
    assert attempts[-1].notes == (notes[0], f"{RAN_OUT}: {SHORTER.format(new=8)}")
    assert made_with_less(first, lambda attempt: attempt, lambda _: None) is first
    shared = replace(model, backbone=replace(model.backbone, together=False))
    assert Attempt(first.request, shared).smaller(frames=8, least=8) is None


def test_weights_rest_before_the_picture_is_changed_and_only_beside_another_memory(model, tmp_path):
    request = Request.asked(target=tmp_path / "out.mp4", prompt="snow")
    apart = replace(model, backbone=replace(model.backbone, together=False))
    there = Attempt(request, replace(apart, device=torch.device("cuda")), why="asked").smaller(frames=100, least=8)
    assert there.model.streams
    assert there.notes == (f"asked: {STREAMED}",)
    following = there.smaller(frames=100, least=8)
    assert following.model.streams
    assert following.notes == (f"asked: {STREAMED}", f"asked: {SHORTER.format(new=50)}")
    assert not Attempt(request, apart).smaller(frames=100, least=8).model.streams


def test_an_edit_with_weights_that_rest_has_the_same_bytes(model, tmp_path):
    clip = clip_folder(tmp_path / "clip")
    made = []
    for name, streams in (("plain", False), ("streamed", True)):
        request = Request.asked(source=clip, target=tmp_path / f"{name}/", prompt="snow", steps=2)
        edit(request, replace(model, streams=streams))
        made.append([path.read_bytes() for path in sorted((tmp_path / name).glob("*.png"))])
    assert made[0] == made[1] != []


def test_an_edit_whose_segments_memory_shortened_goes_on_by_the_same_command(model, tmp_path):
    """And ends with the bytes of one that was not stopped."""
    clip = clip_folder(tmp_path / "clip", frames=12)
    apart = replace(model, backbone=replace(model.backbone, together=False))
    asked = {"source": clip, "prompt": "snow", "steps": 2, "window": 2, "segment": 8, "cuts": "none"}
    whole, stopped = (Request.asked(**asked, target=tmp_path / f"{name}/") for name in ("whole", "stopped"))
    shorter = Attempt(whole, apart).smaller(frames=12, least=4)
    assert (shorter.request.segment, shorter.asked) == (4, 8)
    made = edit(whole, apart, first=shorter)
    assert f"{RAN_OUT}: {SHORTER.format(new=4)}" in made.record.notes

    def interrupted(*_report):
        if len(list(tmp_path.glob("stopped.job/segment-*"))) == 2:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled):
        edit(stopped, apart, interrupted, first=Attempt(stopped, apart).smaller(frames=12, least=4))
    assert edit(stopped, apart).record.notes == made.record.notes
    one, other = (
        [path.read_bytes() for path in sorted((tmp_path / name).glob("*.png"))] for name in ("whole", "stopped")
    )
    assert one == other != []
    assert Attempt(whole, apart).gone_on().asked is None


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="limits address space")
def test_an_edit_under_a_real_limit(tmp_path):
    """24 frames of 384 px: enough, enough for one branch at a time, and too little for a window."""
    script = Path(__file__).with_name("limited_edit.py")
    asked = [sys.executable, str(script), str(tmp_path), "--size", "384", "--mib", "2000,160,120"]
    printed = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()
    enough, less, little = (json.loads(line) for line in printed if line.startswith("{"))
    assert enough["notes"] == []
    assert less["notes"] == [f"{RAN_OUT}: {APART}"]
    assert less["frames"] == enough["frames"] == 24
    assert "out of memory in stage denoise" in little["refused"]
