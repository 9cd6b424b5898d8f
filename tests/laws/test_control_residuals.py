"""Residuals of a control network, handed in a condition: the bits of the family's own ControlNet, frame by frame."""

from dataclasses import replace

import pytest
import torch
from einops import repeat
from torch.testing import assert_close

from animatediff_folder import write_animatediff
from recast.backbones.families import BACKBONES, family_of
from recast.backbones.tiny import tiny, write_stable_diffusion
from recast.control import ControlResiduals
from recast.denoising import Branch
from recast.diffusion.parameterization import clean_from, scale_input
from recast.errors import ShapeError
from recast.model.folder import ModelFolder, quiet
from recast.types import Condition, Kind, Structure

SIGMA, FRAMES = 2.0, 4


def opened(path):
    folder = ModelFolder.found(path)
    with quiet():
        return BACKBONES[family_of(folder)](folder)


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def animatediff(tmp_path_factory):
    return opened(write_animatediff(tmp_path_factory.mktemp("motion"), depth=True))


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return opened(write_stable_diffusion(tmp_path_factory.mktemp("image")))


@pytest.fixture(scope="module")
def condition(animatediff):
    maps = torch.rand(FRAMES, 1, 32, 48, generator=torch.Generator().manual_seed(1))
    channels = animatediff.structure_channels(Structure(Kind.DEPTH, maps))
    return Condition(drawn(77, 16), animatediff.null_tokens(), channels)


@pytest.fixture(scope="module")
def handed(animatediff, condition):
    """The condition without structure, and what the ControlNet makes of its structure in its place."""
    tokens = condition.cond.expand(FRAMES, -1, -1)
    timestep = torch.tensor(animatediff.schedule.sigma_to_timestep(SIGMA))
    x = scale_input(drawn(FRAMES, 4, 4, 6), SIGMA)
    down, mid = animatediff.controlnets[Kind.DEPTH](
        x, timestep, tokens, condition.structure_channels, return_dict=False
    )
    return replace(condition, structure_channels=None, residuals=ControlResiduals(tuple(down), mid))


def asked(backbone, condition, *, temporal=True, picks=slice(None)):
    branch = Branch(condition.cond, temporal=temporal)
    return backbone.denoise_branches(drawn(FRAMES, 4, 4, 6)[picks], SIGMA, condition, [branch])[0]


def test_a_controlnets_residuals_by_hand_give_the_bits_of_its_own_call(animatediff, condition, handed):
    plain = replace(animatediff, controlnets={})
    assert torch.equal(asked(plain, handed), asked(animatediff, condition))
    assert not torch.allclose(asked(plain, replace(handed, residuals=None)), asked(plain, handed), atol=1e-3)


def test_an_image_family_takes_the_same_residuals(animatediff, image, condition, handed):
    assert torch.equal(asked(image, handed), asked(animatediff, condition, temporal=False))


def test_residuals_are_added_to_those_of_the_familys_own_controlnet(animatediff, condition, handed):
    doubled = ControlResiduals(tuple(2 * each for each in handed.residuals.down), 2 * handed.residuals.mid)
    both = asked(animatediff, replace(condition, residuals=handed.residuals))
    assert torch.equal(asked(replace(animatediff, controlnets={}), replace(handed, residuals=doubled)), both)


def test_residuals_follow_their_frames(image, handed):
    picks = torch.tensor([2, 0])
    assert_close(asked(image, handed.at(picks), picks=picks), asked(image, handed)[picks], atol=1e-5, rtol=1e-5)


def test_gen1_adds_them_in_every_branch(handed):
    backbone, rng = tiny(), torch.Generator().manual_seed(1)
    planes = backbone.structure_channels(Structure(Kind.DEPTH, torch.rand(FRAMES, 1, 32, 48, generator=rng)))
    condition = replace(handed, cond=drawn(2, 16), uncond=drawn(2, 16), structure_channels=planes)
    x, unet = drawn(FRAMES, 4, 4, 6), backbone.net.unet
    branches = [Branch(condition.cond, temporal=False)] * 2
    timestep = torch.full((FRAMES,), backbone.schedule.sigma_to_timestep(SIGMA))
    answer = unet(
        torch.cat([scale_input(x, SIGMA), planes], dim=1),
        timestep,
        encoder_hidden_states=repeat(condition.cond, "n d -> t n d", t=FRAMES),
        down_block_additional_residuals=condition.residuals.down,
        mid_block_additional_residual=condition.residuals.mid,
    ).sample
    expected = clean_from(backbone.schedule.prediction, answer, x, SIGMA)
    for clean in backbone.denoise_branches(x, SIGMA, condition, branches):
        assert_close(clean, expected, atol=1e-5, rtol=1e-5)


def test_another_number_of_residuals_or_frames_is_refused(image, handed):
    fewer = replace(handed, residuals=replace(handed.residuals, down=handed.residuals.down[1:]))
    number = len(handed.residuals.down)
    with pytest.raises(ShapeError, match=f"takes {number} residuals of down blocks and was given {number - 1}"):
        asked(image, fewer)
    with pytest.raises(ShapeError, match="residuals are of 4 frames and the latents of 2"):
        asked(image, handed, picks=slice(2))
