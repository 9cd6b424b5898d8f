"""Folders that diffusers' modular pipelines saved open as those of the pipelines with the same parts."""

import json
import shutil

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.modular_pipelines.stable_diffusion_xl.modular_pipeline import StableDiffusionXLModularPipeline
from diffusers.modular_pipelines.wan.modular_pipeline import Wan22ModularPipeline
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from torch.testing import assert_close
from transformers import (
    AutoTokenizer,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    UMT5EncoderModel,
)

from pipelines import drawn, opened
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.errors import WeightsError
from recast.model.folder import ModelFolder, quiet
from recast.model.index import MODULAR
from recast.types import Condition
from wan_folder import write_wan
from xl_folder import write_xl

XL = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
    "tokenizer": CLIPTokenizer,
    "tokenizer_2": CLIPTokenizer,
    "scheduler": DDIMScheduler,
}
WAN = {
    "transformer": WanTransformer3DModel,
    "transformer_2": WanTransformer3DModel,
    "vae": AutoencoderKLWan,
    "text_encoder": UMT5EncoderModel,
    "tokenizer": AutoTokenizer,
    "scheduler": UniPCMultistepScheduler,
}


def saved(pipeline, kinds, folder, target):
    """The folder's parts as the modular pipeline saves them."""
    with quiet():
        pipe = pipeline()
        pipe.update_components(**{name: kind.from_pretrained(folder / name) for name, kind in kinds.items()})
        pipe.save_pretrained(str(target), overwrite_modular_index=True)
    if (folder / "recast.json").exists():
        shutil.copy(folder / "recast.json", target)
    assert not (target / "model_index.json").exists()
    return target


@pytest.mark.parametrize(
    ("write", "pipeline", "kinds"),
    [
        (write_xl, StableDiffusionXLModularPipeline, XL),
        (lambda path: write_wan(path, two=True), Wan22ModularPipeline, WAN),
    ],
    ids=["xl", "wan2.2"],
)
def test_its_answers_are_those_of_the_other_folder(tmp_path, write, pipeline, kinds):
    folder = write(tmp_path / "plain")
    ours, theirs = opened(saved(pipeline, kinds, folder, tmp_path / "modular")), opened(folder)
    words = ours.encode_content([ContentInput(Medium.WORDS, "a red ball")])
    assert_close(words, theirs.encode_content([ContentInput(Medium.WORDS, "a red ball")]))
    x = ours.encode(torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8))
    noisy, condition = x + drawn(*x.shape, seed=0), Condition(words, ours.null_tokens())
    for sigma in (20.0, 0.5):  # of Wan 2.2 each network has one of these levels
        [one], [other] = (each.denoise_branches(noisy, sigma, condition, [Branch(words)]) for each in (ours, theirs))
        assert_close(one, other)


def test_a_modular_pipeline_of_another_kind_is_refused_by_its_name(tmp_path):
    folder = write_wan(tmp_path / "model")
    (folder / "model_index.json").unlink()
    with pytest.raises(WeightsError, match=r"has no model_index\.json"):
        ModelFolder.found(folder)
    (folder / "modular_model_index.json").write_text(json.dumps({"_class_name": "FluxModularPipeline"}))
    with pytest.raises(WeightsError, match="'FluxModularPipeline', which is not known"):
        opened(folder)
    assert "FluxModularPipeline" not in MODULAR
