"""recast from Python: what the public names give, and that they come quickly."""

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from PIL import Image

import recast
from recast.errors import MediaError, RequestError, WeightsError
from recast.video.read import Window, opened, read
from recast.video.record import embedded
from tiny_folder import clip_folder, written


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    return recast.load(written(tmp_path_factory.mktemp("model")), device="cpu", dtype="float32")


@pytest.fixture
def source(tmp_path):
    return clip_folder(tmp_path / "source")


def test_a_file_is_edited_and_saved_at_its_own_size(editor, source, tmp_path):
    result = editor(source, prompt="a red ball", structure_detail=2, temporal_guidance=1.2, steps=2, seed=7)
    target = result.save(tmp_path / "out.mp4")
    assert opened(target).size == opened(source).size
    assert result.record == recast.Record.from_json(embedded(target))
    assert result.record.request["knobs"] == {"temporal_guidance": 1.2}
    assert result.frames.shape == result.clip.frames.shape == (5, 3, 32, 40)


def test_a_clip_from_memory_is_saved_at_its_own_size_and_rate(editor, source, tmp_path):
    clip = replace(recast.open_clip(source), fps=Fraction(30000, 1001))
    target = editor(clip, prompt="snow", steps=2).save(tmp_path / "out.mp4")
    saved = opened(target)
    assert (saved.size, saved.fps, saved.num_frames) == (clip.size, clip.fps, len(clip))


@pytest.mark.filterwarnings("ignore:the walk back")  # one step is too few to invert by
def test_a_models_ensemble_is_for_methods_that_average_and_a_given_one_is_refused_by_others(tmp_path):
    folder = written(tmp_path / "model")
    facts = json.loads((folder / "recast.json").read_text()) | {"ensemble": 3, "method": "flowedit"}
    (folder / "recast.json").write_text(json.dumps(facts))
    editor = recast.load(folder, device="cpu", dtype="float32")
    clip = recast.open_clip(clip_folder(tmp_path / "source", frames=2))
    for method in ("flowedit", "tokenflow"):
        usual, one = (editor(clip, prompt="snow", method=method, steps=1, **more) for more in ({}, {"ensemble": 1}))
        assert torch.equal(usual.frames, one.frames)
    for method in ("auto", "flowedit", "tokenflow"):
        with pytest.raises(RequestError, match="averages no answers"):
            editor(clip, prompt="snow", method=method, steps=1, ensemble=3)


def test_file_and_clip_give_the_same_frames(editor, source, tmp_path):
    by_file, by_clip = (editor(clip, prompt="snow", steps=2) for clip in (source, recast.open_clip(source)))
    assert torch.equal(by_file.frames, by_clip.frames)
    first, second = by_file.save(tmp_path / "a"), by_clip.save(tmp_path / "b")
    assert torch.equal(read(opened(first), Window()).frames, read(opened(second), Window()).frames)


@pytest.mark.parametrize(
    ("stretch", "kept"),
    [
        ({"start": 1 / 24, "end": 3 / 24}, [1, 2]),
        ({"start": 0.042, "max_frames": 3}, [1, 2, 3]),
        ({"duration": 0.1}, [0, 1, 2]),
        ({"start": 0.05, "end": 9}, [2, 3, 4]),
    ],
)
def test_a_stretch_of_a_clip_from_memory_is_that_of_its_file(editor, source, tmp_path, stretch, kept):
    whole = recast.open_clip(source)
    by_file, by_clip = (editor(each, prompt="snow", steps=1, **stretch) for each in (source, whole))
    assert torch.equal(by_file.frames, by_clip.frames)
    assert by_clip.clip.first == by_file.clip.first == kept[0]
    assert len(by_clip.frames) == len(kept)
    first, second = by_file.save(tmp_path / "a"), by_clip.save(tmp_path / "b")
    assert torch.equal(recast.open_clip(first).frames, recast.open_clip(second).frames)


def test_a_stretch_after_the_end_of_a_clip_from_memory_is_refused(editor, source):
    with pytest.raises(RequestError, match=r"no frame lies in the window from 3 s of a clip of 0\.21 s"):
        editor(recast.open_clip(source), prompt="snow", start=3)


def test_stretches_of_a_clip_share_their_noise(editor, source):
    settings = {"prompt": "snow", "steps": 2, "structure": "edges", "temporal_guidance": 1}
    whole = editor(source, **settings)
    stretch = editor(source, start=1 / 24, max_frames=1, **settings)
    assert stretch.edited.prepared.clip.first == 1
    assert torch.equal(whole.edited.prepared.clip.frames[1:2], stretch.edited.prepared.clip.frames)


def test_a_clip_from_memory_takes_a_mask_of_its_own_size(editor, source, tmp_path):
    mask = Image.new("L", (52, 40))
    mask.paste(255, (0, 0, 26, 40))
    mask.save(tmp_path / "mask.png")
    clip = recast.open_clip(source)
    saved = editor(clip, prompt="snow", steps=2, mask=tmp_path / "mask.png", feather=0).save(tmp_path / "out")
    after = recast.open_clip(saved)
    assert torch.equal(after.frames[..., 26:], clip.frames[..., 26:])
    assert not torch.equal(after.frames[..., :26], clip.frames[..., :26])


def test_what_a_call_cannot_set_is_refused(editor, source):
    with pytest.raises(RequestError, match="model is not set by the edit"):
        editor(source, prompt="snow", model="pocket")
    with pytest.raises(RequestError, match="no setting 'promt', did you mean prompt"):
        editor(source, promt="snow")
    with pytest.raises(RequestError, match="nothing says what the clip should look like"):
        editor(source)
    with pytest.raises(MediaError, match="no such file"):
        editor(source, image=str(source / "none.png"))


def test_nothing_is_replaced_unasked(editor, source, tmp_path):
    result = editor(source, prompt="snow", steps=2)
    result.save(tmp_path / "out.mp4")
    with pytest.raises(RequestError, match="is already there"):
        result.save(tmp_path / "out.mp4")
    assert result.save(tmp_path / "out.mp4", overwrite=True).exists()


def test_a_model_that_is_not_there():
    with pytest.raises(WeightsError, match="nosuch"):
        recast.load("nosuch")


def test_every_public_name_is_there_and_no_other():
    assert {name for name in recast.__all__ if getattr(recast, name) is not None} == set(recast.__all__)
    assert set(recast.__all__) <= set(dir(recast))
    with pytest.raises(AttributeError, match="has no attribute 'clip'"):
        _ = recast.clip


def test_importing_recast_imports_nothing_heavy():
    code = "import sys, recast; sys.exit(bool({'torch', 'numpy', 'pydantic', 'av'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
