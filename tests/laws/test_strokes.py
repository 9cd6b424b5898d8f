"""Noise along strokes: it moves as they say, to fractions of a latent, and stays white noise of unit variance."""

import json
from fractions import Fraction

import pytest
import torch
from torch.testing import assert_close

import recast
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.conditions.flow import flow_between
from recast.conditions.warping import warped
from recast.curves import Keys
from recast.diffusion.noise import mixed_noise, shared_noise
from recast.diffusion.stroke_noise import dragged, dragged_noise
from recast.editing.motion_files import guides_of
from recast.editing.record import Record
from recast.errors import RequestError
from recast.layout import Stroke
from recast.video.record import embedded

SIDE = 16


def draw(frames, number):
    """Standard normal noise of 4 channels, another for each frame and number."""
    rngs = [torch.Generator().manual_seed(1000 * (number + 9) + frame) for frame in frames]
    return torch.stack([torch.randn(4, SIDE, SIDE, generator=rng) for rng in rngs])


def stroke(start, end, frames, radius):
    """From a point to another, in latents."""
    return Stroke(Keys((0, frames)), tuple((x / SIDE, y / SIDE) for x, y in (start, end)), radius)


def test_without_motion_it_is_shared_and_mixed_noise_bit_for_bit():
    still = [stroke((8, 8), (8, 8), 4, 0.5)]
    assert torch.equal(dragged_noise(draw, range(5), still, None), shared_noise(draw, range(5)))
    assert torch.equal(dragged_noise(draw, range(5), still, 1.5), mixed_noise(draw, range(5), 1.5))


def test_a_stroke_of_the_whole_frame_shifts_the_noise_and_lets_fresh_noise_in():
    made = dragged_noise(draw, range(4), [stroke((5, 8), (8, 8), 3, 1.0)], None)
    for number in range(1, 4):
        assert torch.equal(made[number][..., 1:], made[number - 1][..., :-1])
        assert not torch.isin(made[number][..., 0], made[number - 1]).any()


def test_a_single_stroke_moves_the_noise_within_its_radius_and_leaves_what_is_far():
    made = dragged_noise(draw, range(4), [stroke((5, 6), (8, 6), 3, 3 / SIDE)], None)
    columns, rows = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="xy")
    for number in range(1, 4):
        far = ((columns - 5 - number).square() + (rows - 6).square()).sqrt()
        near, beyond = far <= 3, ((columns - 5).square() + (rows - 6).square()).sqrt() > 9
        assert torch.equal(made[number][:, near], made[0].roll(number, dims=-1)[:, near])
        assert torch.equal(made[number][:, beyond], made[0][:, beyond])


def test_fractions_of_a_latent_add_up_and_are_not_rounded_away():
    made = dragged_noise(draw, range(9), [stroke((5, 8), (7, 8), 8, 1.0)], None)
    assert torch.equal(made[1], made[0])
    assert torch.equal(made[4][..., 1:], made[0][..., :-1])
    assert torch.equal(made[8][..., 2:], made[0][..., :-2])


def test_latents_of_several_frames_move_as_far_as_their_frames():
    one = dragged_noise(draw, range(4), [stroke((5, 8), (8, 8), 12, 1.0)], None, 4)
    assert torch.equal(one[3][..., 3:], one[0][..., :-3])


def test_each_frame_is_white_noise_of_unit_variance_without_duplicates():
    strokes = [stroke((3, 4), (12, 9), 20, 0.2), stroke((12, 12), (4, 6), 20, 0.25), stroke((8, 2), (8, 14), 20, 0.15)]
    made = dragged_noise(draw, range(21), strokes, None)
    for each in made:
        assert len(each.unique()) == each.numel()
    last = torch.cat(
        [
            dragged_noise(lambda f, n, k=k: draw([9 * k + i for i in f], n), range(21), strokes, None)[-1:]
            for k in range(20)
        ]
    )
    spread = 4 / last.numel() ** 0.5
    assert last.mean().abs() < spread
    assert abs(last.var() - 1) < spread * 2**0.5
    for lag, axis in ((1, -1), (1, -2), (2, -1)):
        assert (last * last.roll(lag, dims=axis)).mean().abs() < spread
    # The look-alike, warping by means of neighbours, is neither.
    half = torch.tensor([0.5, 0.5]).reshape(1, 2, 1, 1).expand(20, 2, SIDE, SIDE)
    assert warped(last, half).var() < 0.5


def test_strokes_that_reach_one_place_are_averaged_and_fade_out_beyond_their_radius():
    both = [stroke((8, 8), (10, 8), 1, 0.25), stroke((8, 8), (8, 12), 1, 0.25)]
    points = torch.tensor([[8.0, 8.0], [8.0, 14.0], [8.0, 16.0]])
    moved = dragged(points, both, 0, 1, (SIDE, SIDE))
    assert_close(moved[0], torch.tensor([1.0, 2.0]))
    assert_close(moved[1], torch.tensor([1.0, 2.0]) * (1 - 0.5**2))  # half of a stroke's weight at 1.5 radii, of two
    assert not moved[2].any()


def test_a_file_says_points_and_a_noise_that_cannot_move_is_refused(tmp_path):
    path = tmp_path / "strokes.toml"
    path.write_text(
        "[[stroke]]\nradius = 0.2\nkeys = [{ frame = 0, at = [0.2, 0.5] }, { seconds = 1, at = [0.8, 0.5] }]\n"
    )
    [found] = guides_of(None, path, Fraction(8)).strokes
    assert found.radius == 0.2
    assert_close(found.at([4]), torch.tensor([[0.5, 0.5]]))
    editor = recast.load(write_stable_diffusion(tmp_path / "m"))
    asked = {"prompt": "a dog in snow", "steps": 1, "size": (32, 32), "frames": 2, "strokes": path}
    with pytest.raises(RequestError, match="residual has none that moves"):
        editor.generate(**asked, noise="residual")
    path.write_text("[[stroke]]\nradius = 2\nkeys = [{ frame = 0, at = [0.2, 0.5] }]\n")
    with pytest.raises(RequestError, match="stroke 1, radius: it should be less than or equal to 1, not 2"):
        editor.generate(**asked)


def test_the_command_reads_strokes_and_rerun_makes_the_clip_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keys = [{"frame": 0, "at": [0.2, 0.5]}, {"frame": 2, "at": [0.8, 0.5]}]
    (tmp_path / "s.json").write_text(json.dumps({"stroke": [{"keys": keys}]}))
    model = str(write_stable_diffusion(tmp_path / "m"))
    asked = ["-p", "a dog in snow", "-m", model, "--size", "64x64", "--steps", "1", "--frames", "3", "-q"]
    assert run(["generate", "--strokes", "s.json", *asked, "-o", "clip.mp4"]) == 0
    assert "s.json" in Record.from_json(embedded(tmp_path / "clip.mp4")).inputs
    assert run(["rerun", "clip.mp4", "-o", "again.mp4", "--trust", "-q"]) == 0
    assert (tmp_path / "clip.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes()


def test_a_clip_of_pocket_words_moves_along_the_stroke_near_it_and_nowhere_else(tmp_path):
    path = tmp_path / "s.json"
    keys = [{"frame": 0, "at": [0.4, 0.5]}, {"frame": 2, "at": [0.4 + 2 * 8 / 256, 0.5]}]
    path.write_text(json.dumps({"stroke": [{"radius": 0.3, "keys": keys}]}))
    asked = {"prompt": "a red car on a meadow", "frames": 3, "size": (256, 144), "steps": 4, "seed": 1}
    made = recast.load("pocket-words").generate(**asked, flat_structure=True, strokes=path).frames
    flow = flow_between(made[:-1], made[1:])[:, 0]  # a latent, which is 8 pixels, to the right
    assert flow[:, 52:92, 90:130].median() == pytest.approx(8, abs=1.5)
    assert flow[:, :, 220:].median() == pytest.approx(0, abs=0.5)
