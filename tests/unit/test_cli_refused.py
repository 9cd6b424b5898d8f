"""Bad input: one line that says what and what to do, the exit code of its class, and nothing left behind."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from recast.cli.app import run
from recast.methods import METHODS
from tiny_folder import clip_folder, written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return written(tmp_path_factory.mktemp("model"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    clip_folder(tmp_path / "clip", frames=2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(here, capsys):
    """Runs a command that must leave everything as it was; gives its exit code and its one line."""

    def line_of(*arguments):
        before = sorted(here.rglob("*"))
        capsys.readouterr()
        code = run(list(arguments))
        output = capsys.readouterr()
        lines = [line for line in output.err.splitlines() if line.startswith("error: ")]
        assert not output.out
        assert len(lines) == 1, output.err
        assert output.err.splitlines()[-1] == lines[0]
        assert "Traceback" not in output.err
        assert sorted(here.rglob("*")) == before
        return code, lines[0]

    return line_of


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "nothing says what the clip should look like"),
        (
            ("-p", "x", "--method", "gen2"),
            "there is no method 'gen2', did you mean gen1? known: auto, " + ", ".join(METHODS),
        ),
        (("-p", "x", "--scheduler", "euler"), "there is no scheduler 'euler'"),
        (("-p", "x", "--structure", "hed"), "hed is not seen in a clip here"),
        (("-p", "x", "--structure", "pose"), "cannot be conditioned on pose"),
        (("-p", "x", "--size", "100x70"), "size 100x70:"),
        (("-p", "x", "-ss", "100"), "no frame lies in the window from 100 s"),
        (("-p", "x", "-o", "out.xyz"), "recast does not write .xyz"),
        (("-p", "x", "-o", "\udcff.mp4"), "FFmpeg writes only to names that are Unicode text"),
        (("-p", "x", "--schedule", "cfg=2, 48: 6"), "the schedule of cfg is '2, 48: 6'; it should begin with a key"),
        (("-p", "x", "--mask", "alpha"), "the clip has no transparency, which --mask alpha asks for"),
        (("-p", "x", "-o", "no/out.mp4"), "there is no folder no to write out.mp4 to"),
        (("-p", "x", "-o", "clip", "-y"), "clip is the source itself"),
        (("-p", "x", "--mask", "no.png"), "there is no such file: no.png"),
        (("--image", "no.png:0.5"), "there is no such file: no.png"),
        (("-p", "x", "--set", "nonsense"), "'nonsense' is no setting; write KEY=VALUE"),
        (("-p", "x", "--bogus"), "No such option: --bogus"),
        (("-p", "x:-1"), "content weights are -1; each must be 0 or more"),
    ],
)
def test_requests_that_cannot_be(refused, model, more, message):
    code, line = refused("edit", "clip", "-m", str(model), "--steps", "1", *more)
    assert code == 2
    assert message in line


def test_a_result_that_is_already_there(refused, here, model):
    (here / "clip-recast.mp4").write_bytes(b"precious")
    code, line = refused("edit", "clip", "-p", "x", "-m", str(model))
    assert (code, (here / "clip-recast.mp4").read_bytes()) == (2, b"precious")
    assert "replace it with -y, or choose another name with -o" in line


def silent_sound(path):
    import av
    import numpy as np

    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        file.mux([*stream.encode(frame), *stream.encode()])


def cut_short(path):
    assert run(["edit", "clip", "-p", "snow", "-m", "model", "-o", str(path), "-q", "--steps", "1"]) == 0
    path.write_bytes(path.read_bytes()[:900])


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("none.mp4", None, "there is no such file: none.mp4"),
        ("text.mp4", lambda path: path.write_text("no video"), "is not a video"),
        ("empty.mp4", lambda path: path.touch(), "is not a video"),
        ("sound.mp4", silent_sound, "the file holds only sound"),
        ("cut.mp4", cut_short, ""),
        ("folder", lambda path: path.mkdir(), "the folder holds no pictures"),
        ("bad.png", lambda path: path.write_bytes(b"\x89PNG"), "the picture is damaged"),
    ],
)
def test_sources_that_are_no_videos(refused, model, name, make, message):
    shutil.copytree(model, "model")
    if make is not None:
        make(Path(name))
    code, line = refused("edit", name, "-p", "x", "-m", "model", "-o", "out.mp4")
    assert code == 2
    assert message in line


def drop(folder):
    shutil.rmtree(folder / "vae")


def unsafe(folder):
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({}, folder / "unet" / "diffusion_pytorch_model.bin")


def poison(folder):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    name = min(weights)
    save_file(weights | {name: torch.full_like(weights[name], torch.nan)}, path, metadata={"format": "pt"})


def truncate(folder):
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (drop, "the model has no vae"),
        (unsafe, "convert it to safetensors"),
        (poison, "NaN"),
        (truncate, "no whole safetensors file"),
        (lambda folder: (folder / "model_index.json").unlink(), "model_index.json"),
        (shutil.rmtree, "model"),
    ],
)
def test_models_that_cannot_be_used(refused, model, harm, message):
    shutil.copytree(model, "model")
    harm(Path("model"))
    code, line = refused("edit", "clip", "-p", "snow", "-m", "model", "--steps", "1")
    assert code == 3
    assert message in line


@pytest.mark.parametrize(
    ("size", "frames", "message"),
    [((40, 40), 2, "the mask is 40x40 and the clip 52x40"), ((52, 40), 1, "the mask has 1")],
)
def test_masks_that_do_not_fit(refused, model, size, frames, message):
    Path("mask").mkdir()
    for index in range(frames):
        Image.new("L", size, 255).save(Path("mask") / f"{index}.png")
    code, line = refused("edit", "clip", "-p", "snow", "-m", str(model), "--mask", "mask", "--steps", "1")
    assert code == 2
    assert message in line


@pytest.mark.parametrize("command", ["info", "rerun"])
def test_files_that_recast_did_not_make(refused, here, command):
    (here / "text.mp4").write_text("no video")
    assert refused(command, "text.mp4")[0] == 2


def test_rerun_of_a_plain_clip(refused):
    code, line = refused("rerun", "clip")
    assert (code, "clip carries no record" in line) == (2, True)


def test_previews_are_png(refused):
    code, line = refused("preview", "clip", "-p", "x", "-o", "sheet.jpg")
    assert code == 2
    assert "name it so, such as sheet.png" in line
    assert "sweeps nothing" in refused("preview", "clip", "-p", "x", "--sweep", "seed")[1]
    assert "model cannot be swept" in refused("preview", "clip", "-p", "x", "--sweep", "model=pocket,other")[1]


def test_help_is_quick_and_needs_no_torch():
    code = (
        "import sys; from recast.cli.app import run; code = run(['edit', '--help']); "
        "sys.exit(code or bool({'torch', 'av', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    began = time.monotonic()
    wide = os.environ | {"COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=wide)
    took = time.monotonic() - began
    assert done.returncode == 0
    assert "--temporal-guidance" in done.stdout
    assert "(default ddim)" in " ".join(done.stdout.replace("│", " ").split())
    assert took < 5, "half a second alone; a busy machine gets ten times that"


def test_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("recast ")
