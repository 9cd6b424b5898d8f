"""FID's Inception against what is known of it: sizes, poolings, how pictures are brought to it, and its classes."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from recast.conditions.inception import InceptionNetwork, is_inception
from recast.errors import WeightsError
from recast.evaluation.metrics.frechet import frechet_distance
from recast.evaluation.metrics.inception_score import inception_score
from recast.evaluation.sets import set_scores
from recast.networks.inception import EPSILON, SIDE, FIDInception, Mixed, max_pooled, mean_pooled
from recast.video.read import Window, opened, read
from study_films import film


def pictures(count, rows, columns):
    return torch.randint(256, (count, 3, rows, columns), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Random weights under the published names, in half precision to be small."""
    made = tmp_path_factory.mktemp("inception") / "inception-2015"
    made.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = FIDInception().half().state_dict()
    save_file(weights, made / "model.safetensors")
    (made / "config.json").write_text('{"_class_name": "FIDInception"}')
    return made


@pytest.fixture(scope="module")
def network(folder):
    return InceptionNetwork.opened(str(folder), torch.device("cpu"))


def test_it_has_as_many_weights_as_inception_v3_with_1008_classes_and_no_second_head():
    # Of torchvision's 27161264 with 1000 classes, 3326696 are the second head's; each class has 2048 and a bias.
    with torch.device("meta"):
        counted = sum(weight.numel() for weight in FIDInception().parameters())
    assert counted == 27161264 - 3326696 + 8 * 2049


def test_means_do_not_count_what_is_outside_and_the_last_block_takes_the_largest():
    assert torch.equal(mean_pooled(torch.ones(1, 2, 5, 6)), torch.ones(1, 2, 5, 6))
    corner = torch.zeros(1, 1, 5, 5)
    corner[..., 0, 0] = 8
    assert mean_pooled(corner)[0, 0, 0, :3].tolist() == [2, pytest.approx(8 / 6), 0]
    assert max_pooled(corner)[0, 0, 0, :3].tolist() == [8, 8, 0]
    with torch.device("meta"):
        blocks = {name: part.pool for name, part in FIDInception().named_children() if isinstance(part, Mixed)}
    means = {f"Mixed_{each}" for each in ("5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b")}
    assert {name for name, pool in blocks.items() if pool is mean_pooled} == means
    assert blocks["Mixed_7c"] is max_pooled


def test_a_block_joins_its_branches_and_its_pooling_in_the_order_of_the_weights():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = FIDInception().eval().Mixed_5b
    x = torch.randn(1, 192, 7, 7, generator=torch.Generator().manual_seed(2))

    def convolved(name, read, border):
        part = getattr(block, name)
        return (F.conv2d(read, part.conv.weight, padding=border) / (1 + EPSILON) ** 0.5).relu()

    with torch.no_grad():
        triple = convolved("branch3x3dbl_2", convolved("branch3x3dbl_1", x, 0), 1)
        parts = [
            convolved("branch1x1", x, 0),
            convolved("branch5x5_2", convolved("branch5x5_1", x, 0), 2),
            convolved("branch3x3dbl_3", triple, 1),
            convolved("branch_pool", F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), 0),
        ]
        assert [part.shape[1] for part in parts] == [64, 64, 96, 32]
        assert torch.allclose(block(x), torch.cat(parts, dim=1), atol=1e-5)


def test_pictures_of_twice_the_size_are_means_of_four_pixels(network):
    large = pictures(1, 2 * SIDE, 2 * SIDE)
    small = F.avg_pool2d(large.float(), 2) / 127.5 - 1  # bilinear, half a pixel off, without antialiasing
    with torch.no_grad():
        assert torch.allclose(network.features(large), network.network(small), atol=1e-5)


def test_sets_are_measured_by_its_features_and_its_classes_without_a_bias(folder, network, tmp_path):
    for number in range(2):
        film(tmp_path / "sources" / f"{number}.mp4", number)
        film(tmp_path / "edits" / f"{number}.mp4", 10 + number)
    paths = [sorted((tmp_path / name).iterdir()) for name in ("sources", "edits")]
    found = set_scores(*paths, str(folder), "cpu", lambda *_: None)
    sources, edits = (
        torch.cat([network.features(read(opened(path), Window()).frames) for path in files]) for files in paths
    )
    assert (found.by, found.vectors, edits.shape[1]) == ("inception-2015", (6, 6), 2048)
    assert found.figures["frechet"] == pytest.approx(frechet_distance(edits, sources), rel=1e-6)
    classes = (edits @ network.network.fc.weight.detach().T).softmax(dim=1)
    assert found.figures["inception"] == pytest.approx(inception_score(classes), rel=1e-6)
    firsts = set_scores(*paths, str(folder), "cpu", lambda *_: None, max_frames=1)
    assert firsts.vectors == (2, 2)
    assert firsts.figures["frechet"] == pytest.approx(frechet_distance(edits[::3], sources[::3]), rel=1e-6)


def test_a_folder_of_other_weights_is_refused_and_one_that_says_nothing_is_no_inception(folder, tmp_path):
    assert is_inception(str(folder))
    assert not is_inception(str(tmp_path))
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    del weights["Mixed_7c.branch_pool.conv.weight"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"lacks 1 weights of its network, such as Mixed_7c\.branch_pool"):
        InceptionNetwork.opened(str(tmp_path), torch.device("cpu"))
