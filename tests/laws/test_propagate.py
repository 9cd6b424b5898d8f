"""`recast propagate` and `recast substrate` on small files: what is kept of the source, the record, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from video_files import SourceSpec, made

import recast
from recast.cli.app import run
from recast.conditions.image import picture
from recast.editing.carried import CarriedRequest
from recast.editing.record import Record
from recast.editing.substrates import FittedClip, SubstrateRequest
from recast.errors import Cancelled, MediaError
from recast.substrates.stored import STATE
from recast.video.read import Window, opened, read
from recast.video.record import embedded

QUICK = ["--size", "48", "--passes", "1", "-q"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    path = made(folder / "clip.mp4", SourceSpec(times=tuple(range(0, 5005, 1001)), sound="aac"))
    image = read(opened(path), Window()).frames[1].permute(1, 2, 0).numpy().copy()
    Image.fromarray(image).save(folder / "same.png")
    image[4:14, 4:14] = (255, 0, 255)
    Image.fromarray(image).save(folder / "painted.png")
    Image.fromarray(image[:, :40]).save(folder / "narrow.png")
    return folder


def shown(path):
    return read(opened(path), Window()).frames


@pytest.mark.parametrize("by", ["flow", "canonical"])
def test_a_painted_frame_is_in_the_result_and_sound_rate_and_size_are_the_sources(clip, tmp_path, by):
    out = tmp_path / "out.mp4"
    arguments = ["propagate", str(clip / "clip.mp4"), "--key", f"1={clip / 'painted.png'}", "--by", by, "-o", str(out)]
    assert run([*arguments, *QUICK]) == 0
    source, result = opened(clip / "clip.mp4"), opened(out)
    assert (result.size, result.fps, result.num_frames) == (source.size, source.fps, source.num_frames)
    assert result.sound_codec == source.sound_codec
    painted = picture(str(clip / "painted.png")).float()
    assert (shown(out)[1].float() - painted).abs().mean() < 6
    assert (shown(out)[1].float() - shown(clip / "clip.mp4")[1].float()).abs().mean() > 6
    record = json.loads(embedded(out))
    assert record["request"]["command"] == "propagate"
    assert record["request"]["keys"] == {"1": str(clip / "painted.png")}
    assert len(record["inputs"]) == 2
    assert run(["rerun", str(out), "-q"]) == 2


def test_a_fit_is_kept_beside_the_clip_and_read_again(clip, tmp_path, capsys):
    arguments = ["substrate", "fit", str(clip / "clip.mp4"), "--cache", str(tmp_path / "fits"), *QUICK, "--json"]
    assert run(arguments) == 0
    first = json.loads(capsys.readouterr().out)
    (layers,) = (tmp_path / "fits").rglob("layers.safetensors")
    made_at = layers.stat().st_mtime_ns
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert layers.stat().st_mtime_ns == made_at
    layers.write_bytes(b"damaged")
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out) == first


def test_untouched_and_painted_canonical_images_come_back_as_the_clip_and_with_the_paint(clip, tmp_path, capsys):
    fits = ["--cache", str(tmp_path / "fits"), *QUICK]
    assert run(["substrate", "fit", str(clip / "clip.mp4"), *fits, "--json"]) == 0
    (canonical,) = json.loads(capsys.readouterr().out)["pictures"]
    out, source = tmp_path / "out.mp4", str(clip / "clip.mp4")
    lossless = tmp_path / "frames"
    edited = ["--edited", f"canonical={canonical}"]
    assert run(["substrate", "render", source, *edited, "-o", str(lossless), *fits]) == 0
    assert torch.equal(shown(lossless), shown(clip / "clip.mp4"))
    rows, columns = picture(canonical).shape[-2:]
    Image.new("RGB", (2 * columns, 2 * rows), (0, 255, 0)).save(tmp_path / "green.png")
    edited = ["--edited", f"canonical={tmp_path / 'green.png'}"]
    assert run(["substrate", "render", source, *edited, "-o", str(out), *fits]) == 0
    green = torch.tensor([0.0, 255, 0]).reshape(1, 3, 1, 1)
    assert (shown(out).float() - green).abs().mean() < 8


def test_a_fit_that_is_stopped_leaves_its_state_and_goes_on(clip, tmp_path):
    request = SubstrateRequest(clip / "clip.mp4", short_side=48, passes=2, cache=tmp_path)

    def halted(stage, done, _total):
        if stage == "fit" and done == 4:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        FittedClip(request, halted).substrate("canonical")
    assert [path.name for path in tmp_path.rglob("*.safetensors")] == [STATE]
    rounds = []
    again = FittedClip(request, lambda _stage, done, _total: rounds.append(done)).substrate("canonical")
    assert min(rounds) == 4
    whole = FittedClip(SubstrateRequest(clip / "clip.mp4", short_side=48, passes=2, cache=tmp_path / "anew"))
    assert torch.equal(again.layers[0].picture, whole.substrate("canonical").layers[0].picture)
    assert not [path for path in tmp_path.rglob("*") if path.name == STATE]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (["--key", "9=same.png"], "there is no frame 9: the clip has 5"),
        (["--key", "1=narrow.png"], "keep its aspect"),
        (["--key", "1=none.png"], "no picture at"),
        (["--key", "same.png"], "write FRAME=PICTURE"),
        (["--key", "1=same.png", "--by", "magic"], "known: flow, patches, atlas, canonical, shape"),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(clip, tmp_path, capsys, changed, says):
    changed = [each.replace("=", f"={clip}/") if ".png" in each and "=" in each else each for each in changed]
    assert run(["propagate", str(clip / "clip.mp4"), *changed, "-o", str(tmp_path / "out.mp4"), *QUICK]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out.mp4").exists()


def test_a_target_that_is_there_or_of_no_kind_is_refused_before_anything_is_fitted(clip, tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"mine")
    usual = [str(clip / "clip.mp4"), "--by", "canonical", "--cache", str(tmp_path / "fits"), *QUICK]
    for name in ("out.mp4", "out.xyz"):
        out = ["-o", str(tmp_path / name)]
        assert run(["propagate", *usual, *out, "--key", f"1={clip / 'same.png'}"]) == 2
        assert run(["substrate", "render", *usual, *out, "--edited", f"canonical={clip / 'same.png'}"]) == 2
    assert not (tmp_path / "fits").exists()
    assert (tmp_path / "out.mp4").read_bytes() == b"mine"


def test_python_carries_as_the_command_does(clip, tmp_path):
    assert (
        run(
            [
                "propagate",
                str(clip / "clip.mp4"),
                "--key",
                f"1={clip / 'painted.png'}",
                "-o",
                str(tmp_path / "a.mp4"),
                "-q",
            ]
        )
        == 0
    )
    notes = recast.propagate(str(clip / "clip.mp4"), {1: str(clip / "painted.png")}, str(tmp_path / "b.mp4"))
    assert notes == ()
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_what_was_carried_is_made_again_from_its_record(clip, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("clip.mp4", "painted.png"):
        (tmp_path / name).write_bytes((clip / name).read_bytes())
    assert run(["propagate", "clip.mp4", "--key", "1=painted.png", "-o", "out.mp4", *QUICK]) == 0
    edited = ["--edited", "canonical=clip.mp4.substrates/canonical.png"]
    assert run(["substrate", "fit", "clip.mp4", *QUICK]) == 0
    own = next((tmp_path / "clip.mp4.substrates").glob("*/canonical.png"))
    (own.parents[1] / "canonical.png").write_bytes(own.read_bytes())
    assert run(["substrate", "render", "clip.mp4", *edited, "-o", "rendered.mp4", *QUICK]) == 0
    for result in ("out.mp4", "rendered.mp4"):
        assert run(["rerun", result, "-o", "again.mp4", "-y", "-q"]) == 0
        assert (tmp_path / "again.mp4").read_bytes() == (tmp_path / result).read_bytes()
    assert run(["rerun", "out.mp4", "--set", "steps=3"]) == 2
    assert "has no --set" in capsys.readouterr().err
    (tmp_path / "painted.png").write_bytes((clip / "same.png").read_bytes())
    assert run(["rerun", "out.mp4", "-o", "third.mp4"]) == 2
    assert "has changed since" in capsys.readouterr().err
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "out.mp4").write_bytes((tmp_path / "out.mp4").read_bytes())
    assert run(["rerun", "out.mp4", "-o", "third.mp4"]) == 2
    assert "is not here" in capsys.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [{"keys": {"-1": "a.png"}}, {"by": 3}, {"command": "rm"}, {"extra": 1}, {"source": None}],
)
def test_a_damaged_record_of_it_is_one_line(damage):
    request = {"command": "propagate", "by": "flow", "keys": {"1": "a.png"}, "source": "c.mp4", "mask": None}
    worked = {"short_side": 48, "passes": 1}
    whole = Record("1", request, {}, {}, worked)
    assert CarriedRequest.of(whole).files == {"source": Path("c.mp4"), "keyframe 1": Path("a.png")}
    assert CarriedRequest.of(replace(whole, request={"source": "c.mp4"})) is None
    with pytest.raises(MediaError, match="the file's record is damaged"):
        CarriedRequest.of(replace(whole, request=request | damage))
    with pytest.raises(MediaError, match="passes: Input should be less than"):
        CarriedRequest.of(replace(whole, worked=worked | {"passes": 10**9}))
