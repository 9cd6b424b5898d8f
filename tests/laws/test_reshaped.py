"""A keyframe whose subject has another shape: all frames show that shape, and what was behind the old one."""

from fractions import Fraction
from functools import cache

import pytest
import torch
from PIL import Image

from recast.cli.app import run
from recast.errors import RequestError
from recast.substrates.carriers import SubstrateCarrier
from recast.substrates.found import fit_of
from recast.substrates.keys import EditedKey, keyed
from recast.substrates.reshaped import ShapeCarrier
from recast.types import Clip
from recast.video.read import Window, opened, read
from recast.video.write import save_clip
from substrate_clips import two_layer_clip

COUNT, KEY = 7, 2


@cache
def atlas():
    frames, discs = two_layer_clip(COUNT)
    return fit_of(frames, "atlas", discs, passes=4).run()


def errors(carrier, wide, tall):
    """Mean error of each frame, of 255, where another shape changes the clip; the keyframe is as it truly is then."""
    frames, _ = two_layer_clip(COUNT)
    true, _ = two_layer_clip(COUNT, wide, tall)
    keys = {KEY: EditedKey(frames[KEY], true[KEY])}
    found = []
    for number in range(COUNT):
        made = keyed(frames[number], number, keys, carrier)
        away = (made.float() - true[number].float()).abs().mean(0)
        changed = (true[number].float() - frames[number].float()).abs().amax(0) > 12
        found.append(float(away[changed].mean()))
    return found


@pytest.mark.parametrize(("wide", "tall"), [(1.5, 1.0), (1.0, 0.6), (1.4, 0.7)])
def test_a_shape_of_one_frame_moves_with_its_subject_and_uncovers_what_is_behind(wide, tall):
    with_shape = errors(ShapeCarrier(atlas()), wide, tall)
    _, shape = two_layer_clip(COUNT, wide, tall)
    given = errors(ShapeCarrier(atlas(), {KEY: shape[[KEY]]}), wide, tall)
    alike = errors(SubstrateCarrier(atlas()), wide, tall)
    assert max(with_shape) < 16
    assert max(given) < 16
    assert with_shape[KEY] == 0
    assert max(alike) > 2 * max(with_shape)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A clip, its mask, and a frame of it with a wider subject beside where that is."""
    frames, discs = two_layer_clip(4)
    true, shape = two_layer_clip(4, wide=1.5)
    save_clip(Clip(frames, Fraction(8)), tmp_path / "clip")
    save_clip(Clip((255 * discs).byte().expand(-1, 3, -1, -1), Fraction(8)), tmp_path / "mask")
    Image.fromarray(true[1].permute(1, 2, 0).numpy()).save(tmp_path / "wide.png")
    Image.fromarray((255 * shape[1, 0]).byte().numpy()).save(tmp_path / "shape.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


SHAPED = ["propagate", "clip", "--key", "1=wide.png", "--mask", "mask", "--passes", "1", "--size", "64", "-q"]


def test_the_command_reads_where_the_subject_is_and_rerun_makes_it_again(files):
    assert run([*SHAPED, "--by", "shape", "--shape", "1=shape.png", "-o", "out"]) == 0
    made, source, true = (read(opened(files / name), Window()).frames for name in ("out", "clip", "wide.png"))
    assert torch.equal(made[1], true[0])
    assert (made[3].float() - source[3].float()).abs().amax() > 60
    assert run(["rerun", "out", "-o", "again", "-q"]) == 0
    assert torch.equal(read(opened(files / "again"), Window()).frames, made)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (["--by", "atlas", "--shape", "1=shape.png"], "leave it out"),
        (["--by", "shape", "--shape", "2=shape.png"], "frame 2 has a shape and was not edited"),
        (["--by", "shape", "--shape", "shape.png"], "write FRAME=PICTURE"),
    ],
)
def test_shapes_that_say_nothing_here_are_refused(more, wrong, capsys):
    assert run([*SHAPED, *more, "-o", "out"]) == 2
    assert wrong in capsys.readouterr().err


def test_one_layer_has_no_subject_to_change():
    frames, _ = two_layer_clip(3)
    with pytest.raises(RequestError, match="over an atlas"):
        ShapeCarrier(fit_of(frames, "canonical", passes=0).run())
