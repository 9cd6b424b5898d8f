"""AnimateDiff with motion modules off is Stable Diffusion, and with them on diffusers' own UNetMotionModel."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from diffusers.models.unets.unet_motion_model import MotionAdapter, UNetMotionModel
from einops import rearrange
from torch.testing import assert_close

import recast
from animatediff_folder import tiny_adapter, write_animatediff
from recast.backbones.families import BACKBONES, family_of
from recast.backbones.tiny import write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.diffusion.parameterization import clean_from, scale_input
from recast.errors import ShapeError, WeightsError
from recast.model.folder import ModelFolder, quiet
from recast.networks.hooks import SiteKind
from recast.types import Clip, Condition, Kind, Structure

SIGMA, FRAMES = 2.0, 5


def opened(path):
    folder = ModelFolder.found(path)
    with quiet():
        return BACKBONES[family_of(folder)](folder)


def noisy(frames=FRAMES):
    return torch.randn(frames, 4, 4, 6, generator=torch.Generator().manual_seed(0))


def conditioned(backbone):
    maps = torch.rand(FRAMES, 1, 32, 48, generator=torch.Generator().manual_seed(1))
    planes = backbone.structure_channels(Structure(Kind.DEPTH, maps)) if backbone.structure_kinds else None
    words = backbone.encode_content([ContentInput(Medium.WORDS, "a red ball")])
    return Condition(words, backbone.null_tokens(), planes)


@pytest.fixture(scope="module", params=[{}, {"depth": True}, {"whole": True}], ids=str)
def path(request, tmp_path_factory):
    return write_animatediff(tmp_path_factory.mktemp("model"), **request.param)


@pytest.fixture(scope="module")
def backbone(path):
    return opened(path)


def asked(backbone, condition, *, temporal):
    return backbone.denoise_branches(noisy(), SIGMA, condition, [Branch(condition.cond, temporal=temporal)])[0]


def test_with_motion_off_it_is_stable_diffusion(backbone, tmp_path):
    image = opened(write_stable_diffusion(tmp_path))
    condition = replace(conditioned(backbone), structure_channels=None)
    plain = replace(backbone, controlnets={})
    assert torch.equal(asked(plain, condition, temporal=False), asked(image, condition, temporal=True))
    assert not torch.allclose(asked(plain, condition, temporal=True), asked(image, condition, temporal=True), atol=1e-2)


def test_with_motion_on_it_is_diffusers_own(backbone, path, tmp_path):
    with quiet():
        adapter = MotionAdapter.from_pretrained(path / "motion_adapter")
    image, condition = opened(write_stable_diffusion(tmp_path)), conditioned(backbone)
    net = UNetMotionModel.from_unet2d(image.unet, adapter).eval()
    x, tokens = scale_input(noisy(), SIGMA), condition.cond.expand(FRAMES, -1, -1)
    timestep, residuals = torch.tensor(backbone.schedule.sigma_to_timestep(SIGMA)), {}
    with torch.no_grad():
        if backbone.controlnets:
            down, mid = backbone.controlnets[Kind.DEPTH](
                x, timestep, tokens, condition.structure_channels, return_dict=False
            )
            residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}
        answer = net(rearrange(x, "t c y x -> 1 c t y x"), timestep, tokens, **residuals).sample
    expected = clean_from(backbone.schedule.prediction, rearrange(answer, "1 c t y x -> t c y x"), noisy(), SIGMA)
    assert_close(asked(backbone, condition, temporal=True), expected, atol=1e-5, rtol=1e-5)


def test_depth_matters_where_there_is_a_controlnet(tmp_path):
    backbone = opened(write_animatediff(tmp_path, depth=True))
    condition = conditioned(backbone)
    other = replace(condition, structure_channels=1 - condition.structure_channels)
    assert not torch.allclose(*(asked(backbone, each, temporal=True) for each in (condition, other)), atol=1e-3)


def test_hooks_see_temporal_attention_of_the_branches_that_have_it(backbone):
    condition, seen = conditioned(backbone), set()

    def hook(call, attend):
        seen.add((call.kind, call.branch))
        if call.kind is SiteKind.TEMPORAL:
            assert call.q.shape[:2] == (call.grid[0] * call.grid[1], FRAMES)
        return attend(call)

    branches = [Branch(condition.cond, temporal=False), Branch(condition.cond)]
    plain = backbone.denoise_branches(noisy(), SIGMA, condition, branches)
    with backbone.hooked(hook):
        assert_close(backbone.denoise_branches(noisy(), SIGMA, condition, branches), plain, atol=0, rtol=0)
    assert {branch for kind, branch in seen if kind is SiteKind.TEMPORAL} == {1}


def test_more_frames_than_positions_are_refused(backbone):
    condition = replace(conditioned(backbone), structure_channels=None)
    with pytest.raises(ShapeError, match="at most 16 frames at once and were given 17"):
        replace(backbone, controlnets={}).denoise_branches(noisy(17), SIGMA, condition, [Branch(condition.cond)])


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"block_out_channels": (16, 24)}, "made for 24 channels in a layer and the unet has 32"),
        ({"block_out_channels": (16, 32, 32)}, "made for 3 levels and the unet has 2"),
        ({"motion_layers_per_block": 2}, "made for 2 layers in a level and the unet has 1"),
        ({"conv_in_channels": 9}, "conv_in of its own"),
    ],
)
def test_an_adapter_of_another_network_is_refused(tmp_path, settings, wrong):
    path = write_animatediff(tmp_path)
    tiny_adapter(**settings).save_pretrained(path / "motion_adapter")
    with pytest.raises(WeightsError, match=wrong):
        opened(path)


def test_words_edit_a_clip(tmp_path):
    frames = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    editor = recast.load(write_animatediff(tmp_path, depth=True))
    one, other = (editor(Clip(frames, Fraction(8)), prompt=p, steps=3).frames for p in ("dog in snow", "a street"))
    assert one.shape == frames.shape
    assert not torch.equal(one, other)


def test_a_stable_diffusion_folder_may_say_animatediff(tmp_path):
    path = write_animatediff(tmp_path)
    (path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    (path / "recast.json").write_text(json.dumps({"family": "animatediff"}))
    assert family_of(ModelFolder.found(path)) == "animatediff"
