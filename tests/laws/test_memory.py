"""Weights that come block by block change no bit; weights of eight bits take less, and answers stay near."""

from functools import partial

import pytest
import torch
from torch.testing import assert_close

from animatediff_folder import write_gen1_zero
from ltx_folder import write_ltx
from modelscope_folder import write_modelscope
from pipelines import drawn, opened
from recast.backbones.memory import networks_of, store_in_eight_bits, streamed_bytes, streamed_weights
from recast.backbones.tiny import write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.types import Condition, Kind, Structure
from wan_folder import write_wan
from xl_folder import write_xl

FOLDERS = {
    "gen1-zero": write_gen1_zero,
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
