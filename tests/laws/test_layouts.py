"""Boxes over time: an energy that is least where words are looked at in their box, and clips that go down it."""

import json
from fractions import Fraction
from math import hypot

import pytest
import torch
from torch.testing import assert_close

import recast
from animatediff_folder import write_animatediff
from modelscope_folder import write_modelscope
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.curves import Keys
from recast.denoising import Branch
from recast.diffusion.latent_guidance import LatentGuidance
from recast.diffusion.samplers import ddim
from recast.editing.motion_files import guides_of
from recast.editing.record import Record
from recast.errors import MediaError, RecastError, RequestError
from recast.layout import BoxTrack
from recast.methods.layout_guidance import box_gradient
from recast.networks.box_energy import OUTSIDE_WEIGHT, BoxedWords, box_energy, centres, covered
from recast.types import Condition
from recast.video.record import embedded
from tiny_folder import written
from xl_folder import write_xl

SIZE = (8, 16)
BOXES = torch.tensor([[0.0, 0.25, 0.5, 0.75], [0.25, 0.25, 0.75, 0.75], [0.5, 0.25, 1.0, 0.75]])
WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 3)
LAYOUT = """
[[object]]
words = "dog"
keys = [{ frame = 0, box = [0.0, 0.0, 0.5, 0.6] }, { seconds = 0.5, box = [0.5, 0.4, 1.0, 1.0] }]
"""
ASKED = {"prompt": "a dog in snow", "steps": 4, "cfg": 2.0, "size": (64, 64), "frames": 5, "seed": 3}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_stable_diffusion(tmp_path_factory.mktemp("model")))


@pytest.fixture
def layout(tmp_path):
    path = tmp_path / "layout.toml"
    path.write_text(LAYOUT)
    return path


def test_the_energy_is_least_where_all_is_in_the_box():
    inside = covered(BOXES, SIZE)
    assert_close(box_energy(inside, BOXES), torch.tensor(-3.0))  # -1 a frame, and centres on each other
    rng = torch.Generator().manual_seed(0)
    for _ in range(20):
        assert box_energy(torch.rand(3, *SIZE, generator=rng), BOXES) > -3
    assert box_energy(1 - inside, BOXES) > OUTSIDE_WEIGHT * 3


def test_the_energy_of_a_point_outside_is_as_computed_by_hand():
    maps = torch.zeros(2, *SIZE)
    maps[0, 0, 0], maps[1, 0, 4] = 1.0, 1.0
    boxes = BOXES[:2]
    outside = int(0.75 * (8 * 16 - 32))
    topk = 2 * OUTSIDE_WEIGHT / outside
    position = (0.5 / 16 - 0.25) ** 2 + (0.5 / 8 - 0.5) ** 2
    later = (4.5 / 16 - 0.5) ** 2 + (0.5 / 8 - 0.5) ** 2  # it moves as the box does: no velocity
    # At the box's left edge in the second frame, and above it.
    assert_close(box_energy(maps, boxes, centre_weight=2.0), torch.tensor(topk + 2 * (position + later)))
    maps[1, 0, 4], maps[1, 0, 0] = 0.0, 1.0
    still = 2 * position + (0.5 / 16 - 0.5) ** 2 - (0.5 / 16 - 0.25) ** 2 + 0.25**2
    assert_close(box_energy(maps, boxes), torch.tensor(topk + still))


def test_a_box_that_is_the_whole_frame_gives_no_force():
    maps = torch.rand(3, *SIZE, requires_grad=True)
    energy = box_energy(maps, WHOLE)
    assert energy == 0
    [force] = torch.autograd.grad(energy, maps)
    assert not force.any()
    mixed = torch.cat([WHOLE[:1], BOXES[1:]])
    [force] = torch.autograd.grad(box_energy(maps, mixed), maps)
    assert not force[0].any()
    assert force[1].any()


def test_places_belong_to_a_box_by_their_share_of_it():
    boxes = torch.tensor([[0.1, 0.2, 0.35, 0.9], [0.01, 0.01, 0.02, 0.03], [0.0, 0.0, 1.0, 1.0]])
    shares = covered(boxes, SIZE)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * SIZE[0] * SIZE[1]
    assert_close(shares.sum((-2, -1)), areas)
    assert_close(centres(shares)[2], torch.tensor([0.5, 0.5]))
    assert ((shares >= 0) & (shares <= 1)).all()
    assert (shares[1] > 0).sum() == 1  # a box in one place is not lost


def test_latents_go_down_a_quadratic_by_the_share_that_the_rule_says():
    wanted, x = torch.full((2, 1, 2, 2), 3.0), torch.zeros(2, 1, 2, 2)
    condition = Condition(torch.zeros(1, 1), torch.zeros(1, 1))

    def gradient(x, _sigma, _condition):
        return x - wanted

    guided = LatentGuidance(ddim, gradient, scale=0.1, iterations=3, within=(1.0, 2.0))
    assert_close(guided.moved(x, 2.0, condition), wanted * (1 - (1 - 0.1 * 2.0**2) ** 3))
    assert torch.equal(guided.moved(x, 1.0, condition), x)  # below where it acts
    unmoved = LatentGuidance(ddim, gradient, scale=0.0, iterations=1, within=(0.0, 9.0))
    sigmas = [2.0, 1.0, 0.0]

    def denoise(x, sigma, _condition):
        return x / hypot(1, sigma) ** 2

    start = torch.randn(2, 1, 2, 2)
    assert torch.equal(unmoved(denoise, start, sigmas, condition), ddim(denoise, start, sigmas, condition))


def _energy(backbone, x, sigma, condition, look):
    with torch.no_grad(), backbone.hooked(look):
        backbone.denoise_branches(x, sigma, condition, [Branch(condition.cond)])
    return look.energy


def test_a_small_step_lowers_the_energy_by_what_its_gradient_says(model):
    backbone = recast.load(model).model.backbone
    rng, sigma = torch.Generator().manual_seed(0), 5.0
    x = hypot(1, sigma) * torch.randn(3, 4, 8, 8, generator=rng)
    track = BoxTrack("dog", Keys((0, 2)), ((0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0)))
    condition = Condition(backbone.prompt("a dog in snow"), backbone.null_tokens(), frames=torch.arange(3))
    tokens, boxes = [(2,)], [dict(enumerate(track.at(range(3))))]
    force = box_gradient(backbone, [track], tokens, 1.0)(x, sigma, condition)
    small = 1e-2 / force.norm()
    before, after = (
        _energy(backbone, each, sigma, condition, BoxedWords(tokens, boxes)) for each in (x, x - small * force)
    )
    assert after < before
    assert_close(before - after, small * force.square().sum(), rtol=0.05, atol=1e-7)


def test_windows_of_an_image_network_are_moved_as_the_whole_clip_is(model, layout):
    editor, more = recast.load(model), {"layout": layout, "layout_scale": 400, "layout_centre": 0}
    whole = editor.generate(**ASKED, **more).frames
    parts = editor.generate(**ASKED, **more, window=2).frames
    assert_close(whole.float(), parts.float(), atol=1.0, rtol=0)
    assert not torch.equal(whole, editor.generate(**ASKED).frames)
    nothing = editor.generate(**ASKED, layout=layout, layout_scale=0).frames
    assert torch.equal(nothing, editor.generate(**ASKED).frames)


@pytest.mark.parametrize("write", [write_animatediff, write_modelscope, write_xl])
def test_other_families_of_words_are_moved_too(write, tmp_path, layout):
    editor = recast.load(write(tmp_path / "m"))
    asked = ASKED | {"steps": 1, "frames": 3}
    plain, moved = editor.generate(**asked).frames, editor.generate(**asked, layout=layout, layout_scale=400).frames
    assert not torch.equal(plain, moved)


def test_toml_and_json_say_the_same_and_boxes_go_evenly_between_keys(layout, tmp_path):
    other = tmp_path / "layout.json"
    keys = [{"frame": 0, "box": [0, 0, 0.5, 0.6]}, {"frame": 4, "box": [0.5, 0.4, 1, 1]}]
    other.write_text(json.dumps({"object": [{"words": "dog", "keys": keys}]}))
    [track], [same] = (guides_of(path, None, Fraction(8)).layout for path in (layout, other))
    assert track == same
    assert_close(track.at([0, 1, 4, 9])[:, 0], torch.tensor([0.0, 0.125, 0.5, 0.5]))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "object: Field required; write words, and keys"),
        ('[[object]]\nwords = "dog"\nkeys = [{ box = [0, 0, 1, 1] }]', "object 1, keys 1: a key says either frame"),
        ('[[object]]\nwords = "dog"\nkeys = [{ frame = 0, box = [0.5, 0, 0.4, 1] }]', "left < right"),
        ('[[object]]\nwords = "dog"\nkeys = [{ frame = 0, box = [0, 0, 1, 1.5] }]', "box 4: .* not 1.5"),
        ('[[object]]\nwords = "dog"\nlength = 1\nkeys = [{ frame = 0, box = [0, 0, 1, 1] }]', "object 1, length"),
        ('[[object]]\nwords = "cat"\nkeys = [{ frame = 0, box = [0, 0, 1, 1] }]', "no word 'cat'; it has a, dog"),
        (
            '[[object]]\nwords = "dog"\nkeys = [{ frame = 2, box = [0, 0, 1, 1] }, { frame = 1, box = [0, 0, 1, 1] }]',
            "ris",
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_line(model, tmp_path, text, wrong):
    path = tmp_path / "layout.toml"
    path.write_text(text)
    with pytest.raises(RequestError, match=wrong) as refusal:
        recast.load(model).generate(**ASKED, layout=path)
    assert "\n" not in str(refusal.value)


def test_a_network_that_reads_no_words_one_by_one_is_refused(layout, tmp_path, model):
    with pytest.raises(RequestError, match="no prompt is read word by word"):
        recast.load(written(tmp_path / "m")).generate(
            **ASKED | {"prompt": "a red ball"}, layout=layout, flat_structure=True
        )
    two = ASKED | {"prompt": ("a dog", "snow")}
    with pytest.raises(RequestError, match="no prompt is read word by word"):
        recast.load(model).generate(**two, layout=layout)
    with pytest.raises(MediaError, match="no such file"):
        recast.load(model).generate(**ASKED, layout=tmp_path / "none.toml")


def test_the_command_and_a_scene_are_held_to_boxes_and_rerun_says_so(layout, model, monkeypatch, capsys):
    monkeypatch.chdir(layout.parent)
    asked = ["-m", model, "--size", "64x64", "--steps", "2", "--frames", "3", "-q"]
    assert run(["generate", "-p", "a dog in snow", "--layout", "layout.toml", *asked, "-o", "clip.mp4"]) == 0
    assert "layout.toml" in Record.from_json(embedded(layout.parent / "clip.mp4")).inputs
    assert run(["rerun", "clip.mp4", "-o", "again.mp4", "--trust", "-q"]) == 0
    board = layout.with_name("board.toml")
    board.write_text('[[scene]]\nprompt = "a dog in snow"\nlayout = "layout.toml"\n')
    assert run(["generate", "--storyboard", "board.toml", *asked, "-o", "film.mp4"]) == 0
    clips = [(layout.parent / name).stat().st_size for name in ("clip.mp4", "film.mp4")]
    assert min(clips) > 0
    assert run(["rerun", "film.mp4", "-o", "second.mp4", "--trust", "-q"]) == 0
    layout.write_text(LAYOUT.replace("0.6", "0.7"))
    assert run(["rerun", "film.mp4", "-o", "third.mp4", "--trust", "-q"]) == 2
    assert "layout.toml has changed since" in capsys.readouterr().err
    assert (
        run(["generate", "-p", "a dog in snow", "--layout", "layout.toml", *asked, "-o", "p.mp4", "--plan", "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["evaluations"] == 2 * 2 + 5  # 5 moves at the first of the two steps


def test_a_layout_outside_of_the_folder_is_refused_in_a_storyboard(layout, model):
    board = layout.with_name("board.toml")
    board.write_text('[[scene]]\nprompt = "a dog"\nlayout = "../layout.toml"\n')
    with pytest.raises(RecastError, match="beside the storyboard"):
        recast.load(model).generate(storyboard=board)
