"""VideoCrafter of its own checkpoints: ModelScope's network told the rate, and its walk. arXiv:2310.19512."""

from dataclasses import replace

import pytest
import torch
from diffusers.models.embeddings import get_timestep_embedding
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from first_release import checkpoint
from modelscope_folder import write_modelscope
from pipelines import drawn, opened
from recast.backbones.tiny import write_stable_diffusion
from recast.backbones.videocrafter import VideoCrafterBackbone
from recast.backbones.videocrafter.levels import falling
from recast.cli.app import run
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.diffusion.samplers import ddim
from recast.diffusion.schedule import finish
from recast.types import Condition
from videocrafter_folder import SHARES, videocrafter_checkpoint, write_videocrafter

SHAPE, STEPS = (5, 4, 4, 6), 5


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_videocrafter(tmp_path_factory.mktemp("videocrafter") / "model")


@pytest.fixture(scope="module")
def backbone(path):
    return opened(path)


@pytest.fixture(scope="module")
def like(path):
    return opened(path.with_name("model-like"))


def conditioned(backbone):
    return Condition(backbone.encode_content([ContentInput(Medium.WORDS, "a red ball")]), backbone.null_tokens())


def answered(backbone, sigma, *, temporal=True):
    condition = conditioned(backbone)
    branch = Branch(condition.cond, temporal=temporal)
    with torch.no_grad():
        return backbone.denoise_branches(drawn(*SHAPE, seed=0), sigma, condition, [branch])[0]


@pytest.mark.parametrize("temporal", [False, True])
def test_without_a_rate_and_shares_it_is_modelscope_bit_for_bit(tmp_path, temporal):
    plain = opened(write_videocrafter(tmp_path / "plain", scaled=False, rated=False))
    assert type(plain) is VideoCrafterBackbone
    other = opened(tmp_path / "plain-like")
    for sigma in (0.1, 3.0, 12.0):
        assert torch.equal(answered(plain, sigma, temporal=temporal), answered(other, sigma, temporal=temporal))


def test_the_rates_embedding_is_added_to_that_of_the_timestep(tmp_path):
    """So the network is ModelScope's with that sum in a bias: at 28 frames a second, and at another rate."""
    rated = opened(write_videocrafter(tmp_path / "rated", scaled=False))
    tensors = load_file(tmp_path / "rated.safetensors")
    first, second = (
        [tensors[f"model.diffusion_model.fps_embedding.{place}.{kind}"] for kind in ("weight", "bias")]
        for place in (0, 2)
    )
    for fps in (28.0, 8.0):
        waves = get_timestep_embedding(torch.tensor([fps]), 16, flip_sin_to_cos=True, downscale_freq_shift=0)
        hidden = torch.nn.functional.silu(torch.nn.functional.linear(waves, *first))
        other = opened(tmp_path / "rated-like")
        with torch.no_grad():
            other.unet.time_embedding.linear_2.bias.add_(torch.nn.functional.linear(hidden, *second)[0])
        own = replace(rated, metadata=replace(rated.metadata, fps=fps))
        assert_close(answered(own, 3.0), answered(other, 3.0), atol=1e-5, rtol=1e-5)


def test_a_walk_is_ddim_with_the_shares_of_the_published_code(backbone, like):
    """Each step divides the clean latents by the share at hand and multiplies them by the next one."""
    condition, noise = conditioned(backbone), drawn(*SHAPE, seed=0)
    timesteps = list(range(1, 1000, 1000 // STEPS))
    bars = 1 / (1 + like.schedule.sigmas**2)
    shares = SHARES[:1000].double()
    assert_close(backbone.schedule.shares, shares, atol=1e-6, rtol=0)
    x, previous = noise, [0, *timesteps[:-1]]
    denoise = guided(backbone.denoise_branches, 3.0)
    for now, then in zip(timesteps[::-1], previous[::-1], strict=True):
        sigma = float(((1 - bars[now]) / bars[now]).sqrt() / shares[now])
        # The network's own answer: noise, of the mixture as it is.
        added = (x / (bars[now].sqrt() * shares[now])).float()
        with torch.no_grad():
            predicted = (added - denoise(added, sigma, condition)) / sigma
        clean = (x - (1 - bars[now]).sqrt() * predicted) / bars[now].sqrt() / shares[now]
        x = (bars[then].sqrt() * shares[then] * clean + (1 - bars[then]).sqrt() * predicted).float()
    sigmas = backbone.schedule.timestep_sigmas(STEPS)
    start = noise / (bars[timesteps[-1]].sqrt() * shares[timesteps[-1]]).float()
    made = finish(ddim(denoise, start, sigmas, condition), sigmas[-1])
    assert_close(made / x.abs().max(), x / x.abs().max(), atol=1e-4, rtol=0)


def test_the_network_sees_the_mixture_it_was_trained_on(backbone):
    """Of clean latents of unit variance: the share's, which is less than one, and not one."""
    levels = backbone.schedule
    for timestep in (0, 100, 399, 700, 999):
        share, sigma = float(levels.shares[timestep]), float(levels.sigmas[timestep])
        bar = 1 / (1 + (share * sigma) ** 2)
        variance = bar * share**2 + 1 - bar
        assert levels.seen(sigma) ** 2 == pytest.approx(variance, rel=1e-6)
    assert_close(falling(0.7, 400, 1000), SHARES[:1000].double(), atol=1e-6, rtol=0)


def test_a_checkpoint_becomes_a_folder_that_generates(tmp_path, capsys):
    like = write_modelscope(tmp_path / "like")
    made, file = tmp_path / "made", tmp_path / "videocrafter2.safetensors"
    weights = {name: weight.contiguous() for name, weight in videocrafter_checkpoint(like).items()}
    save_file(weights, file)
    assert run(["models", "import", str(file), "--like", str(like), "-o", str(made)]) == 0
    asked = ["generate", "-p", "a red ball", "-m", str(made), "--steps", "2", "--frames", "3", "--size", "48x32"]
    assert run([*asked, "-q", "-o", str(tmp_path / "clip.mp4")]) == 0
    refused = ["models", "import", str(file), "-o", str(tmp_path / "none"), "--like"]
    assert run([*refused, str(write_stable_diffusion(tmp_path / "sd"))]) == 3
    assert "say --like modelscope" in capsys.readouterr().err
    crooked = weights | {"scale_arr": SHARES**2}
    save_file(crooked, file)
    assert run([*refused, str(like)]) == 3
    assert "falls in no straight line" in capsys.readouterr().err
    lacking = {name: weight for name, weight in weights.items() if "temopral_conv.conv2" not in name}
    save_file(lacking, file)
    assert run([*refused, str(like)]) == 3
    assert "lacks" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    save_file({name: weight.contiguous() for name, weight in checkpoint(tmp_path / "sd").items()}, file)
    assert run([*refused, str(like)]) == 3
    assert "take a folder with an image UNet" in capsys.readouterr().err
