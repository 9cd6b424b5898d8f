"""Weights that come block by block change no bit; weights of eight bits take less, and answers stay near."""

from functools import partial

import pytest
import torch
from torch.testing import assert_close

from animatediff_folder import write_gen1_zero
from backbone_folders import FOLDERS as EVERY
from cogvideox_folder import write_cogvideox
from ltx_folder import write_ltx
from modelscope_folder import write_modelscope
from pipelines import drawn, opened
from recast.backbones.memory import (
    moved,
    networks_of,
    store_in_eight_bits,
    streamed_bytes,
    streamed_weights,
    visiting,
)
from recast.backbones.tiny import write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.editing.loaded import Model
from recast.types import Condition, Kind, Structure
from wan_folder import write_wan
from xl_folder import write_xl

FOLDERS = {
    "gen1-zero": write_gen1_zero,
    "cogvideox": write_cogvideox,
    "ltx": write_ltx,
    "modelscope": write_modelscope,
    "sd": write_stable_diffusion,
    "vace": partial(write_wan, vace=True),
    "xl": write_xl,
}
WORDS = [ContentInput(Medium.WORDS, "a red ball")]


def answers(backbone):
    depth = Structure(Kind.DEPTH, torch.rand(3, 1, 32, 48, generator=torch.Generator().manual_seed(1)))
    planes = backbone.structure_channels(depth) if backbone.structure_kinds else None
    condition = Condition(backbone.encode_content(WORDS), backbone.null_tokens(), planes)
    count = 3 if planes is None else min(3, len(planes))
    branches = [Branch(condition.cond), Branch(condition.uncond, temporal=False)]
    with torch.no_grad():
        return backbone.denoise_branches(drawn(count, 4, 4, 6, seed=0), 1.0, condition, branches)


def held_bytes(backbone):
    return sum(w.numel() * w.element_size() for network in networks_of(backbone) for w in network.parameters())


@pytest.mark.parametrize("name", FOLDERS)
def test_weights_that_come_block_by_block_change_no_bit(name, tmp_path):
    backbone = opened(FOLDERS[name](tmp_path))
    expected, before = answers(backbone), held_bytes(backbone)
    whole, at_once = streamed_bytes(backbone)
    assert whole == before
    with streamed_weights(backbone, "cpu") as rest:
        assert held_bytes(backbone) == before - rest
        assert before / 6 < rest
        assert before - rest < at_once < before
        for _ in range(2):
            assert all(map(torch.equal, answers(backbone), expected))
        assert held_bytes(backbone) == before - rest
    assert held_bytes(backbone) == before
    assert all(map(torch.equal, answers(backbone), expected))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_visit_changes_no_bit_and_all_is_back_afterwards(name, tmp_path):
    backbone = opened(FOLDERS[name](tmp_path))
    expected, before = answers(backbone), held_bytes(backbone)
    for _ in range(2):
        with visiting(backbone, torch.device("cpu")) as there:
            assert held_bytes(there) < before
            assert all(map(torch.equal, answers(there), expected))
        assert held_bytes(backbone) == before
    assert all(map(torch.equal, answers(backbone), expected))


@pytest.mark.parametrize("family", EVERY)
def test_what_is_moved_is_on_the_device_whole(family, tmp_path):
    meta, backbone = torch.device("meta"), opened(EVERY[family](tmp_path))
    levels = backbone.sigmas(3)
    there = moved(backbone, meta)
    held = [each for network in networks_of(there) for each in (*network.parameters(), *network.buffers())]
    assert {each.device for each in held} == {meta}
    assert {each.device for each in vars(there).values() if hasattr(each, "device")} <= {meta}
    assert there.sigmas(3) == levels
    assert (there.media, there.structure_kinds, there.max_frames) == (
        backbone.media,
        backbone.structure_kinds,
        backbone.max_frames,
    )


@pytest.mark.gpu
@pytest.mark.parametrize("name", FOLDERS)
def test_a_visit_to_a_gpu_is_what_it_is_with_all_weights_there(name, tmp_path):
    path, cuda = FOLDERS[name](tmp_path), torch.device("cuda")
    whole = Model.loaded(str(path), device="cuda")
    resting = Model.loaded(str(path), device="cuda", vram=1e-6)
    assert (whole.rests, resting.rests) == (False, True)
    with resting.placed() as placed:
        made = answers(placed.backbone)
        assert {each.device.type for each in made} == {cuda.type}
    assert all(map(torch.equal, made, answers(whole.backbone)))
    assert {each.device.type for network in networks_of(resting.backbone) for each in network.parameters()} == {"cpu"}


def test_a_model_rests_where_its_weights_have_no_room(tmp_path):
    """As on an accelerator: opened on the processor, and asked of another device."""
    model = Model.loaded(str(write_stable_diffusion(tmp_path)))
    whole, _ = streamed_bytes(model.backbone)
    expected = answers(model.backbone)
    assert not model.within(whole).rests
    resting = model.within(whole - 1)
    assert (resting.rests, resting.streams) == (True, True)
    with resting.placed() as placed:
        assert held_bytes(placed.backbone) < whole
        assert all(map(torch.equal, answers(placed.backbone), expected))
    assert held_bytes(resting.backbone) == whole


@pytest.mark.parametrize("name", FOLDERS)
def test_weights_of_eight_bits_take_less_and_stay_near(name, tmp_path):
    backbone = opened(FOLDERS[name](tmp_path))
    expected, before = answers(backbone), held_bytes(backbone)
    store_in_eight_bits(backbone)
    assert held_bytes(backbone) < 0.95 * before
    made = answers(backbone)
    assert not torch.equal(made[0], expected[0])
    assert_close(made, expected, atol=0.25, rtol=0.25)


def test_eight_bits_may_come_block_by_block(tmp_path):
    backbone = opened(write_wan(tmp_path, vace=True))
    store_in_eight_bits(backbone)
    expected = answers(backbone)
    with streamed_weights(backbone, "cpu"):
        assert all(map(torch.equal, answers(backbone), expected))
