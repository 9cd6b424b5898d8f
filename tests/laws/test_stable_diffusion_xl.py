"""Stable Diffusion XL over its published layout is diffusers' own pipeline, frame by frame: arXiv:2307.01952."""

from fractions import Fraction

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from safetensors.torch import save_file
from torch.testing import assert_close
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

import recast
from pipelines import SCALE, asked, assert_same_walk, drawn, opened, pipeline, walked
from recast.conditions.content import ContentInput, Medium
from recast.diffusion.guidance import guided
from recast.errors import BackboneError, WeightsError
from recast.model.folder import quiet
from recast.networks.hooks import SiteKind
from recast.types import Clip, Condition
from xl_folder import write_xl

PROMPT, FRAMES = "a red ball", 3
CLIP = Clip(torch.randint(0, 256, (3, 3, 32, 48), dtype=torch.uint8), Fraction(8))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_xl(tmp_path_factory.mktemp("xl"))


@pytest.mark.parametrize("zeros", [True, False])
def test_it_is_diffusers_own_frame_by_frame(tmp_path, zeros):
    path = write_xl(tmp_path, force_zeros_for_empty_prompt=zeros)
    backbone, noise = opened(path), drawn(FRAMES, 4, 4, 6, seed=0)
    with quiet():
        second = CLIPTextModelWithProjection.from_pretrained(path / "text_encoder_2")
        tokenizer = CLIPTokenizer.from_pretrained(path / "tokenizer_2")
    more = {"text_encoder_2": second, "tokenizer_2": tokenizer, "force_zeros_for_empty_prompt": zeros}
    pipe = pipeline(StableDiffusionXLPipeline, path, add_watermarker=False, **more)
    theirs = asked(pipe, noise, prompt=[PROMPT] * FRAMES, height=32, width=48)
    words = backbone.encode_content([ContentInput(Medium.WORDS, PROMPT)])
    condition = Condition(words, backbone.null_tokens())
    assert_same_walk(walked(backbone, noise, guided(backbone.denoise_branches, SCALE), condition), theirs, 1e-5)


@pytest.mark.filterwarnings("ignore:the walk back")  # two steps are few to invert by
@pytest.mark.parametrize("method", ["tokenflow", "fatezero", "flowedit", "pnp"])
def test_editors_of_single_frames_work_on_it(path, method):
    editor = recast.load(path)
    one, other = (
        editor(CLIP, prompt=words, source_prompt="a dog", method=method, steps=2).frames
        for words in ("a cat", "a bird")
    )
    assert one.shape == CLIP.frames.shape
    assert not torch.equal(one, other)


def test_maps_of_words_are_those_of_the_words_and_not_of_the_whole_prompt(path):
    """The whole prompt rides behind the words, and attention never sees it."""
    backbone, seen = opened(path), []
    words = backbone.encode_content([ContentInput(Medium.WORDS, PROMPT)])

    def hook(call, attend):
        seen.extend([call.k.shape[1]] if call.kind is SiteKind.CROSS else [])
        return attend(call)

    with backbone.hooked(hook):
        guided(backbone.denoise_branches, 2.0)(drawn(2, 4, 4, 6, seed=0), 1.0, Condition(words, words))
    places = backbone.prompt_tokens([ContentInput(Medium.WORDS, PROMPT)]).places
    assert set(seen) == {places}
    assert len(words) == places + 1


def test_what_it_cannot_is_refused(path, tmp_path):
    save_file({"emb_params": torch.zeros(1, 16)}, tmp_path / "word.safetensors")
    with pytest.raises(BackboneError, match="is no LoRA, and learned embeddings are for Stable Diffusion 1 and 2 only"):
        recast.load(path, adapter=str(tmp_path / "word.safetensors"))
    refiner = write_xl(tmp_path / "refiner")
    (refiner / "text_encoder").rename(tmp_path / "elsewhere")
    with pytest.raises(WeightsError, match="the base network of XL, with two text encoders"):
        opened(refiner)


def test_weights_are_those_of_the_folder(path):
    with quiet():
        theirs = UNet2DConditionModel.from_pretrained(path / "unet")
    assert_close(opened(path).unet.state_dict(), theirs.state_dict(), atol=0, rtol=0)
