"""Pictures as content by an IP-Adapter: what diffusers' own loader and pipelines make of the same file."""

import json

import numpy as np
import pytest
import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_motion_model import MotionAdapter
from diffusers.pipelines.animatediff.pipeline_animatediff_controlnet import AnimateDiffControlNetPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from einops import rearrange
from PIL import Image
from safetensors.torch import save_file
from torch.testing import assert_close
from transformers import CLIPVisionModelWithProjection
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from animatediff_folder import write_gen1_zero
from ip_adapter_folder import add_ip_adapter, ip_adapter
from pipelines import SCALE, UNCHECKED, asked, assert_same_walk, drawn, opened, pipeline, walked
from recast.backbones.tiny import write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.errors import BackboneError, WeightsError
from recast.model.folder import quiet
from recast.networks.hooks import SiteKind
from recast.types import Condition, Kind, Structure

PROMPT, STRENGTH = "a red ball in the snow", 0.6


def picture(path, seed=0):
    rng = torch.Generator().manual_seed(seed)
    shown = torch.randint(0, 256, (24, 24, 3), generator=rng, dtype=torch.uint8)
    made = Image.fromarray(shown.numpy())
    made.save(path)
    return made


def contents(*shown, words=PROMPT):
    texts = [ContentInput(Medium.WORDS, words)] if words else []
    return texts + [ContentInput(Medium.PICTURE, str(each)) for each in shown]


def weighed(path):
    """The folder's pictures act by STRENGTH."""
    (path / "recast.json").write_text(json.dumps({"image_scale": STRENGTH}))
    return path


def with_adapter(pipe, *, plus):
    """The same adapter by diffusers' loader."""
    parts = {}
    for name, weight in ip_adapter(plus=plus).items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = weight
    with quiet():
        pipe.load_ip_adapter(parts, subfolder="", weight_name="")
    pipe.set_ip_adapter_scale(STRENGTH)
    return pipe


def encoder(path):
    with quiet():
        return {
            "image_encoder": CLIPVisionModelWithProjection.from_pretrained(path / "image_encoder"),
            "feature_extractor": CLIPImageProcessorPil.from_pretrained(path / "feature_extractor"),
        }


@pytest.mark.parametrize("plus", [False, True])
def test_latents_are_those_of_the_pipeline(tmp_path, plus):
    path = weighed(add_ip_adapter(write_stable_diffusion(tmp_path / "model"), plus=plus))
    backbone, noise = opened(path), drawn(2, 4, 4, 6, seed=0)
    pipe = with_adapter(pipeline(StableDiffusionPipeline, path, **UNCHECKED | encoder(path)), plus=plus)
    shown = picture(tmp_path / "a.png")
    expected = asked(pipe, noise, prompt=[PROMPT] * 2, ip_adapter_image=shown)
    condition = Condition(backbone.encode_content(contents(tmp_path / "a.png")), backbone.null_tokens())
    assert_same_walk(walked(backbone, noise, guided(backbone.denoise_branches, SCALE), condition), expected, 1e-5)


def test_latents_are_those_of_animatediff_with_a_controlnet(tmp_path):
    path = weighed(add_ip_adapter(write_gen1_zero(tmp_path / "model")))
    backbone, noise, depth = opened(path), drawn(3, 4, 4, 6, seed=0), drawn(3, 1, 32, 48, seed=1).sigmoid()
    with quiet():
        nets = {
            "controlnet": ControlNetModel.from_pretrained(path / "controlnet"),
            "motion_adapter": MotionAdapter.from_pretrained(path / "motion_adapter"),
        }
    pipe = with_adapter(pipeline(AnimateDiffControlNetPipeline, path, **nets | encoder(path)), plus=False)
    frames = {"num_frames": 3, "conditioning_frames": list(depth.expand(-1, 3, -1, -1)), "height": 32, "width": 48}
    shown = picture(tmp_path / "a.png")
    whole = rearrange(noise, "t c y x -> 1 c t y x")
    theirs = asked(pipe, whole, prompt=PROMPT, ip_adapter_image=shown, **frames)
    condition = Condition(
        backbone.encode_content(contents(tmp_path / "a.png")),
        backbone.null_tokens(),
        backbone.structure_channels(Structure(Kind.DEPTH, depth)),
    )
    made = walked(backbone, noise, guided(backbone.denoise_branches, SCALE), condition)
    assert_same_walk(made, [rearrange(each, "1 c t y x -> t c y x") for each in theirs], 1e-4)


@pytest.fixture(scope="module", params=[False, True], ids=["linear", "plus"])
def backbone(request, tmp_path_factory):
    return opened(add_ip_adapter(write_stable_diffusion(tmp_path_factory.mktemp("model")), plus=request.param))


def test_tokens_of_pictures_stand_behind_those_of_words(backbone, tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png", seed=1)
    count, texts = backbone.image_prompt.count, backbone.prompt(PROMPT)
    one, both, none = (
        backbone.encode_content(contents(*(tmp_path / name for name in names)))
        for names in (["a.png"], ["a.png", "b.png"], [])
    )
    assert torch.equal(one[:-count], texts)
    assert torch.equal(none[-count:], backbone.null_tokens()[-count:])
    assert not torch.allclose(one[-count:], both[-count:], atol=1e-3)
    bare = backbone.encode_content(contents(tmp_path / "a.png", words=""))
    assert torch.equal(bare, torch.cat([backbone.prompt(""), one[-count:]]))


def test_what_a_still_clip_shows_is_its_picture(backbone, tmp_path):
    shown = torch.from_numpy(np.asarray(picture(tmp_path / "a.png")).copy())
    frames = rearrange(shown, "h w c -> 1 c h w").repeat(3, 1, 1, 1)
    expected = backbone.encode_content(contents(tmp_path / "a.png", words=""))
    assert_close(backbone.source_content(frames), expected, atol=1e-5, rtol=1e-5)


def test_hooks_see_the_words_and_leave_the_picture_as_it_is(backbone, tmp_path):
    picture(tmp_path / "a.png")
    tokens, seen = backbone.encode_content(contents(tmp_path / "a.png")), set()
    condition, x = Condition(tokens, backbone.null_tokens()), drawn(2, 4, 4, 6, seed=0)
    branches = [Branch(tokens), Branch(condition.uncond)]
    plain = backbone.denoise_branches(x, 2.0, condition, branches)

    def hook(call, attend):
        seen.add((call.kind, call.k.shape[1]))
        return attend(call)

    with backbone.hooked(hook):
        assert_close(backbone.denoise_branches(x, 2.0, condition, branches), plain, atol=1e-5, rtol=1e-5)
    assert (SiteKind.CROSS, 77) in seen


def test_scale_0_is_the_model_without_it(tmp_path):
    plain = opened(write_stable_diffusion(tmp_path / "plain"))
    path = add_ip_adapter(write_stable_diffusion(tmp_path / "model"))
    (path / "recast.json").write_text(json.dumps({"image_scale": 0}))
    with_picture, x = opened(path), drawn(2, 4, 4, 6, seed=0)
    words, tokens = plain.null_tokens(), with_picture.null_tokens()
    [expected] = plain.denoise_branches(x, 2.0, Condition(words, words), [Branch(words)])
    [answer] = with_picture.denoise_branches(x, 2.0, Condition(tokens, tokens), [Branch(tokens)])
    assert_close(answer, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda weights: weights.pop("ip_adapter.3.to_k_ip.weight"), r"lacks 1 weights, such as 3\.to_k_ip"),
        (lambda weights: weights.update({"ip_adapter.9.to_k_ip.weight": torch.zeros(16, 16)}), "unknown 1 weights"),
        (lambda weights: weights.update({"ip_adapter.1.to_k_ip.weight": torch.zeros(8, 16)}), r"is \(8, 16\) where"),
        (lambda weights: weights.pop("image_proj.proj.weight"), "adapters of faces are not opened"),
        (lambda weights: weights.pop("image_proj.norm.bias"), "image_proj cannot be read"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(tmp_path, change, wrong):
    path, weights = add_ip_adapter(write_stable_diffusion(tmp_path)), ip_adapter()
    change(weights)
    save_file(weights, path / "ip_adapter" / "model.safetensors")
    with pytest.raises(WeightsError, match=wrong):
        opened(path)


def test_pictures_need_an_adapter(tmp_path):
    picture(tmp_path / "a.png")
    backbone = opened(write_stable_diffusion(tmp_path / "model"))
    with pytest.raises(BackboneError, match="reads words only"):
        backbone.encode_content(contents(tmp_path / "a.png"))
