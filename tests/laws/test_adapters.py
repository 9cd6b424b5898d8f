"""Adapter folders: back from the disk, weight 0 and 1 and between, and what is refused."""

import json
from copy import deepcopy

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from recast.errors import RequestError, WeightsError
from recast.tuning.adapter import FACTS, TENSORS, read_adapter
from recast.tuning.tuned import with_adapters
from recast.tuning.tuner import trained_parts, tune_adapter
from tuning_clips import cached, denoised, opened, quick


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    """A folder for each family and selector, tuned for a few steps."""
    root, found = tmp_path_factory.mktemp("adapters"), {}
    for family in ("gen1", "sd"):
        for train in ("one-shot", "lora", "spectral"):
            backbone = opened(family)
            folder = root / f"{family}-{train}"
            tune_adapter(backbone, cached(backbone), quick(train=train, rate=1e-2), folder)
            found[family, train] = folder
    return found


@pytest.mark.parametrize("family", ["gen1", "sd"])
@pytest.mark.parametrize("train", ["one-shot", "lora", "spectral"])
def test_a_merged_adapter_is_the_network_as_it_was_trained(adapters, family, train):
    adapter = read_adapter(adapters[family, train])
    merged = with_adapters(opened(family), [(adapter, 1.0)])
    # The parts as the tuner has them, with the stored tensors.
    parts = trained_parts(opened(family), quick(train=train))
    for key, tensor in adapter.tensors.items():
        name, _, part = key.rpartition(":")
        held = parts.new[name] if part == "new" else getattr(parts.changes[name], part)
        held.data.copy_(tensor)
    clip = cached(merged.backbone)
    with parts.trained(adapter.info.attention):
        unmerged = denoised(parts.backbone, clip)
    assert_close(denoised(merged.backbone, clip, merged.hooks), unmerged, atol=2e-5, rtol=1e-5)
    plain = opened(family)
    assert not torch.allclose(unmerged, denoised(plain, clip), atol=1e-3)


@pytest.mark.parametrize("family", ["gen1", "sd"])
@pytest.mark.parametrize("train", ["one-shot", "lora", "spectral"])
def test_a_weight_of_0_gives_the_bases_bits(adapters, family, train):
    backbone = opened(family)
    before = deepcopy(backbone.unet.state_dict())
    left_out = with_adapters(backbone, [(read_adapter(adapters[family, train]), 0.0)])
    assert left_out.backbone is backbone
    assert not left_out.hooks
    assert_close(backbone.unet.state_dict(), before, atol=0, rtol=0)


def test_a_weight_scales_what_can_be_scaled_and_is_refused_elsewhere(adapters):
    weights, lora = [], read_adapter(adapters["gen1", "lora"])
    for weight in (0.0, 0.5, 1.0):
        network = with_adapters(opened("gen1"), [(lora, weight)]).backbone.unet
        weights.append(torch.cat([network.get_parameter(name).flatten() for name in lora.info.changes]))
    assert_close(weights[1], (weights[0] + weights[2]) / 2, atol=1e-6, rtol=0)
    with pytest.raises(RequestError, match=r"weight is 0\.5; it was trained by 'one-shot'"):
        with_adapters(opened("gen1"), [(read_adapter(adapters["gen1", "one-shot"]), 0.5)])


def test_two_adapters_add_up_and_two_that_add_layers_are_refused(adapters):
    lora, one_shot = (read_adapter(adapters["sd", train]) for train in ("lora", "one-shot"))
    both = with_adapters(opened("sd"), [(lora, 0.5), (lora, 0.5)]).backbone
    once = with_adapters(opened("sd"), [(lora, 1.0)]).backbone
    clip = cached(once)
    assert_close(denoised(both, clip), denoised(once, clip), atol=1e-5, rtol=1e-5)
    joined = with_adapters(opened("sd"), [(lora, 0.5), (one_shot, 1.0)])
    assert joined.backbone.max_frames == one_shot.info.positions
    with pytest.raises(RequestError, match="two adapters both add layers"):
        with_adapters(opened("sd"), [(one_shot, 1.0), (one_shot, 1.0)])


def test_the_folder_holds_only_what_changed_and_says_so(adapters):
    folder = adapters["sd", "one-shot"]
    assert sorted(path.name for path in folder.iterdir()) == [FACTS, TENSORS]
    facts = json.loads((folder / FACTS).read_text())
    assert facts["schema_version"] == 1
    assert (facts["method"], facts["caption"], facts["steps"]) == ("one-shot", "a dog", 3)
    assert set(facts["changes"].values()) == {"whole", "new"}
    assert facts["positions"] == 3
    lora = load_file(adapters["gen1", "lora"] / TENSORS)
    assert all(name.rpartition(":")[2] in ("up", "down") for name in lora)


def spoil(folder, **changes):
    facts = json.loads((folder / FACTS).read_text())
    (folder / FACTS).write_text(json.dumps(facts | changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / FACTS).unlink(), "is no adapter"),
        (lambda folder: (folder / FACTS).write_text("{"), "adapter.json is damaged"),
        (lambda folder: spoil(folder, schema_version=2), "version 2 and this recast reads version 1"),
        (lambda folder: spoil(folder, changes={}), "do not fit each other"),
        (lambda folder: spoil(folder, attention="all"), "attention"),
        (lambda folder: (folder / TENSORS).write_bytes(b"x" * 20), "cannot be read"),
        (lambda folder: (folder / TENSORS).unlink(), "cannot be read"),
        (
            lambda folder: save_file(
                {name: tensor * torch.nan for name, tensor in load_file(folder / TENSORS).items()}, folder / TENSORS
            ),
            "holds NaN or Inf",
        ),
    ],
)
def test_damaged_folders_are_refused_in_one_line(adapters, tmp_path, damage, message):
    folder = tmp_path / "adapter"
    folder.mkdir()
    for name in (FACTS, TENSORS):
        (folder / name).write_bytes((adapters["gen1", "lora"] / name).read_bytes())
    read_adapter(folder)
    damage(folder)
    with pytest.raises(WeightsError, match=message):
        read_adapter(folder)


def test_a_network_that_it_does_not_fit_is_refused(adapters):
    with pytest.raises(WeightsError, match="does not have"):
        with_adapters(opened("sd"), [(read_adapter(adapters["gen1", "one-shot"]), 1.0)])
    with pytest.raises(WeightsError, match="cannot take them"):
        with_adapters(opened("gen1"), [(read_adapter(adapters["sd", "one-shot"]), 1.0)])
