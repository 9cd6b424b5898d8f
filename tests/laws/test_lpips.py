"""LPIPS against what is known of it: sizes, equal pictures, symmetry, its formula; and as a measure of what stays."""

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import recast
from lpips_folder import write_lpips
from recast.conditions.perceptual import LEAST_PX, PerceptualDistance
from recast.errors import RequestError, WeightsError
from recast.evaluation.metrics.perceptual import kept_lpips
from recast.networks.lpips import DEVIATION, LPIPS, MEAN, TRUNKS
from recast.types import Clip

KNOWN = {"alex": 2469696 + 1152, "vgg": 14714688 + 1472, "squeeze": 722496 + 2240}
"""Weights of torchvision's features, and one for each channel that is compared."""


def pictures(count, rows, columns, seed):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, 3, rows, columns), generator=rng).to(torch.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_lpips(tmp_path_factory.mktemp("lpips") / "lpips-alex")


@pytest.fixture(scope="module")
def distance(folder):
    return PerceptualDistance.opened(str(folder), torch.device("cpu"))


@pytest.mark.parametrize("net", TRUNKS)
def test_networks_have_as_many_weights_as_are_known_and_take_the_smallest_pictures(net):
    with torch.device("meta"):
        assert sum(weight.numel() for weight in LPIPS(net).parameters()) == KNOWN[net]
        smallest = torch.zeros(1, 3, LEAST_PX, LEAST_PX)
        assert LPIPS(net)(smallest, smallest).shape == (1,)


def test_equal_pictures_have_no_distance_and_the_order_of_two_is_no_matter(distance):
    one, other = pictures(2, 40, 56, 1), pictures(2, 40, 56, 2)
    assert distance(one, one).tolist() == [0, 0]
    assert (distance(one, other) > 0).all()
    assert torch.equal(distance(one, other), distance(other, one))
    assert torch.equal(distance(one, other)[1:], distance(one[1:], other[1:]))


def test_it_is_the_formula_over_the_layers_of_alexnet(distance):
    one, other = pictures(1, 48, 48, 1), pictures(1, 48, 48, 2)
    held = distance.network.state_dict()
    shapes = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}  # stride and border of each convolution
    names = ("slice1.0", "slice2.3", "slice3.6", "slice4.8", "slice5.10")
    expected = 0.0
    x = torch.cat([one, other]).float() / 127.5 - 1
    x = (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
    for place, name in enumerate(names):
        stride, border = shapes[int(name.split(".")[1])]
        x = F.max_pool2d(x, 3, 2) if place in (1, 2) else x
        x = F.conv2d(x, held[f"net.{name}.weight"], held[f"net.{name}.bias"], stride, border).relu()
        apart = F.normalize(x, dim=1).diff(dim=0).square()
        expected += float((apart * held[f"lin{place}.model.1.weight"]).sum(dim=1).mean())
    assert float(distance(one, other)) == pytest.approx(expected, rel=1e-4)


def test_what_may_change_does_not_count_nor_do_frames_that_may_change_all(distance):
    source, edit = pictures(3, 40, 48, 1), pictures(3, 40, 48, 2)
    kept = torch.zeros(3, 40, 48, dtype=torch.bool)
    kept[:2, :, 24:] = True
    inside = torch.where(kept[:, None], source, edit)
    assert kept_lpips(distance, inside, source, kept) == 0
    masked = [clip[:2] * kept[:2, None] for clip in (edit, source)]
    assert kept_lpips(distance, edit, source, kept) == pytest.approx(float(distance(*masked).mean()))
    assert kept_lpips(distance, edit, source, torch.zeros_like(kept)) is None
    assert kept_lpips(distance, edit[..., :31], source[..., :31], kept[..., :31]) is None


def test_an_edit_is_measured_by_it_where_a_mask_says_what_was_to_stay(folder, distance, tmp_path):
    source, edit = (Clip(pictures(2, 40, 48, seed), Fraction(10)) for seed in (1, 2))
    black = tmp_path / "black.png"
    Image.new("L", (48, 40)).save(black)
    scores = recast.evaluate(source, edit, mask=black, lpips=str(folder))
    assert scores["kept_lpips"] == pytest.approx(float(distance(edit.frames, source.frames).mean()))
    assert scores.figures.by["kept_lpips"] == "lpips-alex"
    with pytest.raises(RequestError, match="LPIPS is of what was to stay; give --mask too"):
        recast.evaluate(source, edit, lpips=str(folder))


def test_weights_of_another_network_are_refused(folder, tmp_path):
    (tmp_path / "config.json").write_text('{"net": "vgg"}')
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(WeightsError):
        PerceptualDistance.opened(str(tmp_path), torch.device("cpu"))
    (tmp_path / "config.json").write_text('{"net": "resnet"}')
    with pytest.raises(RequestError, match="known: alex, vgg, squeeze"):
        PerceptualDistance.opened(str(tmp_path), torch.device("cpu"))
