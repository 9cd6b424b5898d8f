"""`recast customize` and `recast.customize`: pictures in, an adapter out, edits that name the subject."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import recast
from recast.cli.app import run
from recast.cli.customize import CUSTOMIZE_FLAGS
from recast.editing.customize import OF_CUSTOMIZING, OF_PICTURES
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.editing.subject_pictures import PictureReader
from recast.errors import Cancelled, RecastWarning, RequestError
from recast.types import Condition
from tiny_folder import written
from tuning_clips import moving

QUICK = {"steps": 1, "prior": 2, "precision": "fp32", "size": 16, "structure_detail": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(written(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two pictures, a wide one and a high one."""
    folder = tmp_path_factory.mktemp("photos")
    rng = torch.Generator().manual_seed(0)
    for name, size in (("b.png", (32, 40, 3)), ("a.jpg", (40, 24, 3))):
        Image.fromarray(torch.randint(0, 256, size, generator=rng, dtype=torch.uint8).numpy()).save(folder / name)
    return folder


@pytest.fixture
def asked(model, photos):
    """A command, whose settings later ones take the place of."""
    return ["customize", str(photos), "--class", "red ball", "--token", "sks", "-m", model, "-q"]


def reader(model, details=(0.0, 3.0)):
    return PictureReader(Model.loaded(model, dtype="float32"), Request.asked(words="red ball", size=16), details)


def test_the_command_makes_prior_data_once_and_an_edit_may_name_the_token(model, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    short = ["-m", model, "--size", "16", "-q", "--json"]
    command = ["customize", str(photos), "--token", "sks", "--class", "red ball", "-o", "mine", "--steps", "1"]
    command += ["--prior", "2", "--precision", "fp32", "--structure-detail", "2", *short]
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["output"] == "mine"
    assert sorted(path.name for path in Path().iterdir()) == ["mine", "mine.prior", "mine.samples"]
    assert [path.name for path in Path("mine.samples").iterdir()] == ["step-000001.png"]
    assert (
        run(
            [
                "edit",
                str(photos / "b.png"),
                "-p",
                "sks in snow",
                "--adapter",
                "mine",
                "--steps",
                "1",
                "-o",
                "out/",
                *short,
            ]
        )
        == 0
    )
    printed = capsys.readouterr()
    assert "does not know" not in printed.err
    assert json.loads(printed.out)["record"]["request"]["adapters"] == [["mine", 1.0]]


def test_a_run_that_was_stopped_goes_on_with_the_same_pictures(model, photos, tmp_path):
    def watch(name, done, _total):
        if (name, done) == ("customize", 0):
            raise Cancelled("stopped")

    asked = {"token": "sks", "class_name": "red ball", "model": model, **QUICK}
    with pytest.raises(Cancelled):
        recast.customize([photos], output=tmp_path / "a", watch=watch, **asked)
    assert not (tmp_path / "a").exists()
    made = {path.name: path.read_bytes() for path in (tmp_path / "a.prior").iterdir()}
    assert sorted(made) == ["00000.png", "00001.png", "prior.json"]
    folder = recast.customize([photos], output=tmp_path / "a", **asked)
    assert {path.name: path.read_bytes() for path in (tmp_path / "a.prior").iterdir()} == made
    edit = {"prompt": "sks", "steps": 1, "size": 16}
    mine = recast.load(model, adapter=folder)(moving(1), **edit)
    with pytest.warns(RecastWarning, match="does not know: sks"):
        plain = recast.load(model)(moving(1), **edit)
    assert not torch.equal(mine.frames, plain.frames)
    with pytest.raises(RequestError, match="holds pictures of another class"):
        recast.customize([photos], output=tmp_path / "a", overwrite=True, **asked | {"class_name": "blue ball"})


def test_pictures_are_their_middle_squares_with_every_t_s(model, photos):
    read = reader(model)
    frames = read.frames([photos / "b.png", photos / "a.jpg"])
    assert frames.shape == (2, 3, 16, 16)
    middle = Image.open(photos / "b.png").crop((4, 0, 36, 32)).resize((16, 16), Image.Resampling.BOX)
    expected = torch.from_numpy(np.array(middle)).permute(2, 0, 1)
    assert (frames[0].int() - expected.int()).abs().max() <= 1
    cached = read.cached(frames[:1], "red ball")
    assert [isinstance(each, Condition) for each in cached.conditions] == [True, True]
    first, second = (each.structure_channels for each in cached.conditions)
    assert not torch.equal(first, second)
    backbone = read.model.backbone
    assert torch.equal(cached.conditions[0].cond, backbone.source_content(frames[:1]))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--token", "s k"], "it should be one word of letters"),
        (["--batch", "3"], "so it is even"),
        (["--train", "half"], "train is 'half'"),
        (["--size", "16x24"], "pictures are learned as squares"),
        (["-m", "nothing"], "'nothing' is neither a known model nor a folder"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(asked, more, message, tmp_path, capsys):
    assert run([*asked, "-o", str(tmp_path / "a"), *more]) in (2, 3)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert not list(tmp_path.iterdir())


def test_no_pictures_are_refused(model, tmp_path):
    with pytest.raises(RequestError, match="there are no pictures"):
        recast.customize([tmp_path], token="sks", class_name="ball", output=tmp_path / "a", model=model)


def test_every_setting_has_a_flag():
    assert set(CUSTOMIZE_FLAGS) == {*OF_CUSTOMIZING, *OF_PICTURES}
