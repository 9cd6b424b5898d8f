"""`recast tune` and `recast.tune`, and edits with what they wrote: folders, records, and one line for what is wrong."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

import recast
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.cli.trust import named_by
from recast.cli.tune import TUNE_FLAGS
from recast.editing.loaded import Model
from recast.editing.record import digest
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.tune import OF_SOURCE, OF_TUNING, cached_clip
from recast.errors import Cancelled, RequestError
from recast.tuning.adapter import read_adapter
from recast.tuning.config import TuneConfig
from tiny_folder import clip_folder, written
from tuning_clips import moving

QUICK = {"steps": 2, "frames": 3, "precision": "fp32", "size": 16, "rate": 1e-2}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(written(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def adapter(model, tmp_path_factory):
    """Tuned from Python, by low-rank changes."""
    folder = tmp_path_factory.mktemp("tuned") / "run2"
    return recast.tune(moving(4), caption="red ball", output=folder, model=model, train="lora", **QUICK)


@pytest.fixture
def here(tmp_path, monkeypatch):
    clip_folder(tmp_path / "clip", frames=4, size=(16, 16 * 2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edited(model, **loaded):
    editor = recast.load(model, dtype="float32", **loaded)
    return editor(moving(), prompt="red ball", steps=2, size=16)


@pytest.mark.usefixtures("here")
def test_the_command_tunes_and_an_edit_names_what_it_used(model, capsys):
    short = ["--size", "16", "-q", "--json"]
    command = ["tune", "clip", "--caption", "red ball", "-m", model, "--steps", "2", "--frames", "3", "-o", "snow"]
    assert run([*command, "--precision", "fp32", *short]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == "snow"
    assert sorted(path.name for path in Path("snow").iterdir()) == ["adapter.json", "adapter.safetensors"]
    assert not Path("snow.run").exists()
    edit = ["edit", "clip", "-p", "red ball", "-m", model, "--steps", "2", "--adapter", "snow:1", "-o", "out/", *short]
    assert run(edit) == 0
    record = json.loads(capsys.readouterr().out)["record"]
    assert record["request"]["adapters"] == [["snow", 1.0]]
    assert record["inputs"]["snow"] == digest(Path("snow"))
    assert [each.setting for each in named_by(Request.from_dict(record["request"]), ())][-2:] == ["adapters", "model"]


def test_weights_change_the_edit_and_0_is_the_model_itself(model, adapter):
    plain, whole = edited(model), edited(model, adapter=adapter)
    assert not torch.equal(plain.frames, whole.frames)
    assert torch.equal(plain.frames, edited(model, adapter=f"{adapter}:0").frames)
    half = edited(model, adapter=[f"{adapter}:0.5"])
    assert not torch.equal(half.frames, plain.frames)
    assert asdict(half.record)["request"]["adapters"] == [[str(adapter), 0.5]]


@pytest.mark.parametrize("text", ["run2:0.5", "a:b:0.5", "run2", "-1"])
def test_a_weight_stands_behind_the_last_colon_also_behind_a_digit(text):
    [(path, weight)] = Request.asked(adapter=text).adapters
    assert (path, weight) == ((text[:-4], 0.5) if text.endswith(":0.5") else (text, 1.0))


def test_an_adapter_of_another_model_is_refused(adapter, tmp_path):
    other = write_stable_diffusion(tmp_path / "sd")
    with pytest.raises(RequestError, match=r"run2 was tuned on .* and .* is another model .*; say -m with the model"):
        Model.loaded(str(other), adapters=((str(adapter), 1.0),))


def test_an_edit_with_other_adapters_than_were_loaded_is_refused(model, adapter):
    editor = recast.load(model)
    with pytest.raises(RequestError, match="adapters is not set by the edit"):
        editor(moving(), prompt="red ball", adapter=str(adapter))


def test_frames_are_evenly_spaced_and_told_of_the_whole_clip(model):
    loaded, clip = Model.loaded(model, dtype="float32"), moving(10)
    resolved = resolve(Request.asked(prompt="red ball", model=model, size=16), loaded, clip)
    cached = cached_clip(resolved, loaded, TuneConfig(frames=4))
    assert cached.condition.frames.tolist() == [0, 3, 6, 9]
    assert torch.equal(cached.latents, loaded.backbone.encode(clip.frames[[0, 3, 6, 9]]))
    assert len(cached.condition.structure_channels) == 4
    assert cached.base == {"name": model, "digest": loaded.digest}


def test_stable_diffusion_with_depth_is_tuned_and_edited_in_windows_of_its_frames(tmp_path):
    base = write_stable_diffusion(tmp_path / "sd", depth=True)
    folder = recast.tune(moving(), caption="a dog", output=tmp_path / "a", model=str(base), **QUICK)
    assert read_adapter(folder).info.positions == 3
    editor = recast.load(base, adapter=folder)
    result = editor(moving(5), prompt="a cat", steps=2, size=16)
    assert result.record.worked["window"] == 3
    assert not torch.equal(result.frames, recast.load(base)(moving(5), prompt="a cat", steps=2, size=16).frames)


def test_progress_is_reported_and_stops_the_run_which_goes_on(model, tmp_path):
    seen, folder = [], tmp_path / "a"

    def watch(name, done, total):
        seen.append((name, done, total))
        if seen[-1] == ("tune", 1, 2):
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        recast.tune(moving(), caption="a", output=folder, model=model, train="lora", watch=watch, **QUICK)
    assert seen[-2:] == [("tune", 0, 2), ("tune", 1, 2)]
    assert not folder.exists()
    recast.tune(moving(), caption="a", output=folder, model=model, train="lora", **QUICK)
    assert folder.exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--caption", " "], "nothing says what the clip shows"),
        (["--caption", "x", "--train", "q*"], "no weight of the network is called q*; say train as one of one-shot"),
        (["--caption", "x", "--steps", "0"], "steps is '0'; it should be greater than or equal to 1"),
        (["--caption", "x", "--frames", "5"], "the clip has 4 frames and 5 are to be learned; say --frames 4"),
        (["--caption", "x", "--temporal", "third"], "there is no temporal loss 'third'"),
        (["--caption", "x", "--rank", "3"], "rank is 3, and only lora has one"),
        (["--caption", "x", "-o", "clip"], "clip is already there and no adapter"),
        (["--caption", "x", "-m", "nothing"], "'nothing' is neither a known model nor a folder"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(here, model, more, message, capsys):
    before = sorted(here.rglob("*"))
    base = [] if "-m" in more else ["-m", model]
    assert run(["tune", "clip", "-q", "--frames", "3", "--size", "16", *base, *more]) in (2, 3)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert sorted(here.rglob("*")) == before


def test_an_adapter_that_is_there_is_replaced_only_when_asked(adapter, model):
    with pytest.raises(RequestError, match="replace it with -y"):
        recast.tune(moving(), caption="a", output=adapter, model=model)


def test_every_setting_has_a_flag():
    assert set(TUNE_FLAGS) == {*OF_TUNING, *OF_SOURCE}
