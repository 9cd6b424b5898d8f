"""Painting a layer by words: what paint comes to, what it leaves alone, and that words are found in the clip by it."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from recast.cli.app import run
from recast.conditions.clip_pair import ClipPair, WordDirection
from recast.conditions.image import picture
from recast.substrates.found import fit_of
from recast.substrates.paint import GREEN, Objective, PaintedLayer, Painter, PaintSettings, laid, painted
from recast.types import Clip
from recast.video.write import save_clip
from substrate_clips import SIZE, two_layer_clip
from tiny_folder import written

QUICK = PaintSettings(steps=12, rate=0.02)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def pair(folder):
    return ClipPair.opened(str(folder), torch.device("cpu"))


@pytest.fixture(scope="module")
def layer():
    frames, masks = two_layer_clip(4)
    return PaintedLayer(fit_of(frames, "atlas", masks, passes=1).run(), 1)


@pytest.fixture(scope="module")
def objective(layer, pair):
    return Objective(layer, pair, WordDirection.of(pair, "snow", "grass"), QUICK)


def full(layer, alpha):
    return torch.cat([torch.full_like(layer.picture, 0.7), torch.full_like(layer.picture[:1], alpha)])


def found(objective, canvas):
    seen = [objective.pair.pictures.seen(objective.layer.frame(canvas, number))[0] for number in range(4)]
    return (torch.cat(seen) @ objective.words.wanted).mean()


def test_a_layer_as_it_is_gives_the_substrates_frames(layer):
    frames = torch.cat([layer.frame(layer.picture, number) for number in range(4)])
    assert_close(frames, layer.substrate.rendered())


def test_paint_of_no_alpha_leaves_the_clip_and_costs_what_the_clip_does(objective):
    layer, words = objective.layer, objective.words
    clear = full(layer, 0.0)
    assert torch.equal(laid(clear, layer.picture), layer.picture)
    green = torch.tensor(GREEN).reshape(1, 3, 1, 1).expand(1, 3, *SIZE)
    assert_close(layer.alone(clear, 2), green)
    alone = replace(objective, words=replace(words, own=None), settings=replace(QUICK, screen=0.0))
    torch.manual_seed(5)
    loss = alone.loss(clear, [0, 1])
    # The same random view, of frames that nothing was painted on: no patch differs, and no alpha counts.
    views = replace(alone, settings=replace(QUICK, screen=0.0, structure=0.0, sparsity=0.0))
    torch.manual_seed(5)
    assert_close(loss, views.loss(clear, [0, 1]), atol=1e-6, rtol=0)


def test_more_paint_costs_more_by_its_mean_and_by_its_places(objective):
    only = replace(objective, settings=replace(QUICK, screen=0.0, structure=0.0, sparsity=1.0))
    none = replace(objective, settings=replace(QUICK, screen=0.0, structure=0.0, sparsity=0.0))
    for alpha in (0.2, 1.0):
        sums = []
        for each in (only, none):
            torch.manual_seed(1)
            sums.append(each.loss(full(objective.layer, alpha), [0]))
        expected = 2 * alpha + np.tanh(5 * alpha / 2)
        assert_close((sums[0] - sums[1]).item(), expected, atol=1e-5, rtol=1e-5)


def test_pictures_of_the_networks_size_are_embedded_as_files_are(pair):
    side = pair.pictures.network.config.image_size
    frames = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    seen, patches = pair.pictures.seen(frames / 255)
    assert_close(seen.detach(), F.normalize(pair.embeddings(frames), dim=-1), atol=1e-5, rtol=1e-5)
    assert_close(patches.detach(), pair.places(frames), atol=1e-4, rtol=1e-4)


def test_words_are_found_by_paint_and_a_seed_repeats_it(objective):
    stream = torch.get_rng_state()
    canvas = painted(objective)
    assert found(objective, canvas) > found(objective, objective.layer.picture)
    assert torch.equal(painted(objective), canvas)
    assert not torch.equal(painted(replace(objective, settings=replace(QUICK, seed=1))), canvas)
    assert torch.equal(torch.get_rng_state(), stream)


def test_every_weight_of_the_painter_learns(objective):
    painter = Painter()
    objective.loss(painter(objective.layer.picture), [0, 3]).backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in painter.parameters())


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames, masks = two_layer_clip(4)
    save_clip(Clip(frames, Fraction(8)), tmp_path / "clip.mkv")
    save_clip(Clip((255 * masks).byte().expand(-1, 3, -1, -1), Fraction(8)), tmp_path / "mask.mkv")
    return tmp_path


@pytest.mark.filterwarnings("ignore:CLIP pair of model")
def test_the_command_paints_a_layer_that_render_takes(here, folder, capsys):
    named = ["--mask", "mask.mkv", "--size", "64", "--passes", "1"]
    asked = ["substrate", "paint", "clip.mkv", "-p", "snow", "-m", str(folder), "--steps", "3", *named, "-q"]
    assert run([*asked, "-o", "paint.png", "--json"]) == 0
    assert '"before"' in capsys.readouterr().out
    own = next(here.glob("clip.mkv.substrates/*/foreground.png"))
    assert picture("paint.png").shape == picture(str(own)).shape
    rendered = ["substrate", "render", "clip.mkv", "--by", "atlas", "--edited", "foreground=paint.png", *named, "-q"]
    assert run([*rendered, "-o", "out.mkv"]) == 0
    for more, message in (
        (["-o", "paint.png"], "exists already"),
        (["-o", "paint.jpg"], "is written as a PNG"),
        (["-o", "b.png", "--layer", "foregrond"], "did you mean foreground?"),
        (["-o", "b.png", "-p", " "], "there are no words"),
    ):
        assert run([*asked, *more]) == 2
        assert message in capsys.readouterr().err
    assert not (here / "b.png").exists()
