"""ModelScope's network, taken apart into an image network and layers over time, is diffusers' own. arXiv:2308.06571."""

from fractions import Fraction

import pytest
import torch
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from diffusers.pipelines.deprecated.text_to_video_synthesis.pipeline_text_to_video_synth import TextToVideoSDPipeline
from einops import rearrange, repeat
from torch.testing import assert_close

import recast
from modelscope_folder import write_modelscope
from pipelines import SCALE, STEPS, assert_same_walk, drawn, opened, pipeline, walked
from recast.cli.app import run
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.diffusion.parameterization import clean_from, scale_input
from recast.errors import WeightsError
from recast.methods import METHODS
from recast.methods.needs import lacking
from recast.model.folder import quiet
from recast.networks.hooks import SiteKind
from recast.types import Clip, Condition

PROMPT, FRAMES, SIGMA = "a red ball in the snow", 5, 2.0
PARTLY = {name: {"strength": 0.8} for name in ("controlvideo", "deforum", "depth-frames", "text2video-zero")}
"""Settings of methods that keep nothing else of a source that the network reads no structure of."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_modelscope(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def backbone(path):
    return opened(path)


@pytest.fixture(scope="module")
def editor(path):
    return recast.load(path)


@pytest.fixture(scope="module")
def condition(backbone):
    return Condition(backbone.encode_content([ContentInput(Medium.WORDS, PROMPT)]), backbone.null_tokens())


def whole(path):
    with quiet():
        return UNet3DConditionModel.from_pretrained(path / "unet").eval()


def test_from_the_same_noise_it_is_text_to_video_sd_pipeline(path, backbone, condition):
    noise, kept = drawn(FRAMES, 4, 4, 6, seed=0), []
    pipe = pipeline(TextToVideoSDPipeline, path, unet=whole(path))
    with quiet():
        pipe(
            PROMPT,
            num_frames=FRAMES,
            height=32,
            width=48,
            num_inference_steps=STEPS,
            guidance_scale=SCALE,
            latents=rearrange(noise, "t c y x -> 1 c t y x"),
            output_type="latent",
            callback=lambda _step, _timestep, latents: kept.append(rearrange(latents, "1 c t y x -> t c y x")),
        )
    made = walked(backbone, noise, guided(backbone.denoise_branches, SCALE), condition)
    assert_same_walk(made, kept, 1e-4)


def test_images_are_clips_of_one_frame_beside_a_clip(path, backbone, condition):
    x = drawn(FRAMES, 4, 4, 6, seed=1)
    branches = [Branch(condition.cond, temporal=False), Branch(condition.cond)]
    image, video = backbone.denoise_branches(x, SIGMA, condition, branches)
    given, tokens = scale_input(x, SIGMA), repeat(condition.cond, "n d -> t n d", t=FRAMES)
    with torch.no_grad():
        timestep = torch.tensor(backbone.schedule.sigma_to_timestep(SIGMA))
        answer = whole(path)(given[:, :, None], timestep, tokens).sample[:, :, 0]
    assert_close(image, clean_from(backbone.schedule.prediction, answer, x, SIGMA), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(image, video, atol=1e-2)


def test_hooks_see_all_attention_over_time_of_clips_and_none_of_images(backbone, condition):
    x, seen = drawn(FRAMES, 4, 4, 6, seed=1), set()

    def hook(call, attend):
        seen.add((call.kind, call.branch, call.site.split(".")[0]))
        return attend(call)

    branches = [Branch(condition.cond, temporal=False), Branch(condition.cond)]
    plain = backbone.denoise_branches(x, SIGMA, condition, branches)
    with backbone.hooked(hook):
        assert_close(backbone.denoise_branches(x, SIGMA, condition, branches), plain, atol=0, rtol=0)
    over_time = {(branch, level) for kind, branch, level in seen if kind is SiteKind.TEMPORAL}
    assert over_time == {(1, level) for level in ("conv_in", "down_blocks", "mid_block", "up_blocks")}
    assert {branch for kind, branch, _ in seen if kind is SiteKind.SELF} == {0, 1}


def test_each_frame_may_have_words_of_its_own(backbone, condition):
    x, alike = drawn(FRAMES, 4, 4, 6, seed=1), repeat(condition.cond, "n d -> t n d", t=FRAMES)
    changing = torch.cat([alike[:1], condition.uncond.expand(FRAMES - 1, -1, -1)])
    expected, same, other = (
        backbone.denoise_branches(x, SIGMA, condition, [Branch(tokens)])[0]
        for tokens in (condition.cond, alike, changing)
    )
    assert_close(same, expected)
    assert not torch.allclose(other, expected, atol=1e-3)


def test_words_edit_a_clip_and_make_one(path, editor, tmp_path):
    frames = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    asked = {"steps": 2, "source_prompt": "a ball", "method": "flowedit"}
    one, other = (editor(Clip(frames, Fraction(8)), prompt=words, **asked).frames for words in ("dog", "a street"))
    assert one.shape == frames.shape
    assert not torch.equal(one, other)
    made = tmp_path / "made"
    given = ["generate", "-p", "a dog", "-m", str(path), "--steps", "1", "--frames", "3", "-q", "-o", f"{made}/"]
    assert run(given) == 0
    assert len(list(made.glob("*.png"))) == 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the walk back")  # two steps are few to invert by
@pytest.mark.parametrize("method", sorted(METHODS))
def test_it_hosts_every_editor_that_needs_no_picture(editor, method):
    if lacking(METHODS[method].needs, editor.model.backbone):
        assert method in {"anyv2v", "instruct-pix2pix", "instruct-vid2vid", "make-a-protagonist"}
        return
    frames = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    edited = editor(Clip(frames, Fraction(8)), prompt="dog in snow", method=method, steps=2, **PARTLY.get(method, {}))
    assert edited.frames.shape == frames.shape
    assert not torch.equal(edited.frames, frames)


def test_a_network_of_other_channels_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="reads 8 channels and gives 4; modelscope opens 4 to 4"):
        opened(write_modelscope(tmp_path, in_channels=8))
