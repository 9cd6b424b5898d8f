"""What every family's folder keeps to, and what an image network does with frames."""

from itertools import product

import pytest
import torch
from torch.testing import assert_close

from backbone_folders import FOLDERS
from pipelines import opened
from recast.backbones.families import BACKBONES
from recast.backbones.tiny import write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.errors import WeightsError
from recast.types import Condition


def test_every_family_is_here():
    assert {name.split(",")[0] for name in FOLDERS} == BACKBONES.keys()


def test_an_image_network_answers_each_frame_apart(tmp_path):
    frames = torch.randint(0, 256, (3, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    backbone, content = opened(write_stable_diffusion(tmp_path)), [ContentInput(Medium.WORDS, "a red ball")]
    x, condition = backbone.encode(frames), Condition(backbone.encode_content(content), backbone.null_tokens())
    [whole] = backbone.denoise_branches(x, 2.0, condition, [Branch(condition.cond)])
    for frame, answer in zip(x.split(1), whole.split(1), strict=True):
        [alone] = backbone.denoise_branches(frame, 2.0, condition, [Branch(condition.cond, temporal=False)])
        assert_close(answer, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("family", "part"),
    [
        *product(["animatediff", "gen1", "modelscope", "stable_diffusion"], ["unet", "vae", "scheduler"]),
        ("gen1", "temporal"),
        *product(["image_variations"], ["unet", "vae", "scheduler", "image_encoder", "feature_extractor"]),
        ("stable_diffusion", "text_encoder"),
        *product(["svd"], ["unet", "vae", "scheduler", "image_encoder", "feature_extractor"]),
        *product(["cogvideox", "ltx", "wan"], ["transformer", "vae", "scheduler", "text_encoder", "tokenizer"]),
    ],
)
def test_a_missing_part_is_named(tmp_path, family, part):
    FOLDERS[family](tmp_path)
    (tmp_path / part).rename(tmp_path / "elsewhere")
    with pytest.raises(WeightsError, match=f"no {part}"):
        opened(tmp_path)
