"""The prior: its walk against diffusers' own, its seed, and its choice among draws."""

import math
from pathlib import Path

import pytest
import torch
from content_model import CPU, WIDTH, content_model, write_prior
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_unclip import UnCLIPScheduler
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.testing import assert_close

from recast.conditions.prior import Prior, PriorSchedule, ddim, unclip
from recast.errors import WeightsError
from recast.model.folder import ModelFolder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return content_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def prior(folder: ModelFolder) -> Prior:
    return Prior.opened(folder, CPU)


@pytest.mark.parametrize("num_train", [1000, 400])
def test_levels_are_those_of_diffusers(num_train: int) -> None:
    alpha_bars = PriorSchedule(num_train).alpha_bars()
    assert_close(
        alpha_bars.float(), UnCLIPScheduler(num_train_timesteps=num_train).alphas_cumprod, atol=1e-6, rtol=1e-3
    )


@pytest.mark.parametrize(("steps", "clip"), [(25, math.inf), (25, 1.5), (5, math.inf), (100, 1.5)])
def test_ddim_equals_diffusers_at_every_step(steps: int, clip: float) -> None:
    clipping = {"clip_sample": clip < math.inf, "clip_sample_range": min(clip, 1e9)}
    scheduler = DDIMScheduler(
        beta_schedule="squaredcos_cap_v2", prediction_type="sample", timestep_spacing="trailing", **clipping
    )
    scheduler.set_timesteps(steps)
    theirs = iter(scheduler.timesteps.tolist())
    rng = torch.Generator().manual_seed(0)
    start, goal = torch.randn(4, 8, generator=rng), 2 * torch.randn(4, 8, generator=rng)
    expected = [start]

    def clean(x: Tensor, level: int) -> Tensor:
        assert level == next(theirs)
        assert_close(x, expected[-1], atol=1e-4, rtol=1e-4)
        guess = 0.7 * goal + 0.3 * torch.sin(x)
        expected.append(scheduler.step(guess, level, x, use_clipped_model_output=True).prev_sample)
        return guess

    assert_close(ddim(clean, start, PriorSchedule(clip=clip), steps), expected[-1], atol=1e-4, rtol=1e-4)
    assert len(expected) == steps + 1


@pytest.mark.parametrize(("steps", "clip"), [(25, 5.0), (2, 1.5), (100, 1.5)])
def test_karlos_walk_equals_diffusers_at_every_step(steps: int, clip: float) -> None:
    scheduler = UnCLIPScheduler(prediction_type="sample", clip_sample_range=clip)
    scheduler.alphas_cumprod = PriorSchedule().alpha_bars()  # in fp32 its last step is 5e-4 off
    scheduler.set_timesteps(steps)
    levels, theirs = [*scheduler.timesteps.tolist(), None], torch.Generator().manual_seed(1)
    rng = torch.Generator().manual_seed(0)
    start, goal = torch.randn(4, 8, generator=rng), 2 * torch.randn(4, 8, generator=rng)
    ours = torch.Generator().manual_seed(1)
    fresh = torch.stack([torch.randn(4, 8, generator=ours) for _ in range(steps - 1)])
    expected = [start]

    def clean(x: Tensor, level: int) -> Tensor:
        step = len(expected) - 1
        assert level == levels[step]
        assert_close(x, expected[-1], atol=1e-4, rtol=1e-4)
        guess = 0.7 * goal + 0.3 * torch.sin(x)
        expected.append(scheduler.step(guess, level, x, levels[step + 1], generator=theirs).prev_sample)
        return guess

    assert_close(unclip(clean, start, PriorSchedule(clip=clip), fresh), expected[-1], atol=1e-4, rtol=1e-4)
    assert len(expected) == steps + 1


def test_ddim_finds_what_the_guess_is_sure_of() -> None:
    goal = torch.tensor([[1.0, -2.0]])
    assert_close(ddim(lambda _x, _level: goal, torch.randn(1, 2), PriorSchedule(), 25), goal)


def test_same_seed_same_embedding(prior: Prior) -> None:
    assert torch.equal(prior("dog in snow", 1), prior("dog in snow", 1))
    assert not torch.allclose(prior("dog in snow", 1), prior("dog in snow", 2))
    assert prior("dog in snow", 1).shape == (WIDTH,)


def test_the_prior_is_diffusers_walk_with_guidance(prior: Prior) -> None:
    """The pipeline's own way: both branches in one batch, diffusers' scheduler, mean and deviation put back."""
    one = Prior(prior.network, prior.text, prior.schedule, 4.0, CPU, num_samples=1)
    texts = [prior.text(""), prior.text("dog")]
    pooled, hidden, mask = (
        torch.stack([getattr(each, part) for each in texts]) for part in ("pooled", "hidden", "mask")
    )
    scheduler = DDIMScheduler(
        beta_schedule="squaredcos_cap_v2", prediction_type="sample", timestep_spacing="trailing", clip_sample=False
    )
    scheduler.set_timesteps(25)
    x = torch.randn(WIDTH, generator=torch.Generator().manual_seed(3))[None]
    with torch.no_grad():
        for level in scheduler.timesteps:
            guess = prior.network(x.repeat(2, 1), level, pooled, hidden, mask).predicted_image_embedding
            x = scheduler.step(guess[:1] + 4 * (guess[1:] - guess[:1]), level, x).prev_sample
    assert_close(one("dog", 3), (2 * x + 0.5)[0], atol=1e-3, rtol=1e-3)


def test_guidance_of_one_never_reads_the_empty_words(prior: Prior) -> None:
    plain = Prior(prior.network, prior.text, prior.schedule, 1.0, CPU, num_samples=1)
    nearly = Prior(prior.network, prior.text, prior.schedule, 1 + 1e-6, CPU, num_samples=1)
    assert_close(plain("dog", 0), nearly("dog", 0), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_more_draws_are_never_further_from_the_words(prior: Prior, seed: int) -> None:
    words = prior.text("dog in snow").pooled
    kept = [
        Prior(prior.network, prior.text, prior.schedule, 4.0, CPU, num_samples=n)("dog in snow", seed)
        for n in (1, 4, 8)
    ]
    near = [float(cosine_similarity(each, words, dim=0)) for each in kept]
    assert near == sorted(near)


def test_the_priors_levels_come_from_its_folder(folder: ModelFolder) -> None:
    path = folder.path / "prior_scheduler"
    assert Prior.opened(folder, CPU).schedule == PriorSchedule(1000, math.inf)
    UnCLIPScheduler(num_train_timesteps=500, prediction_type="sample", clip_sample_range=5.0).save_pretrained(path)
    assert Prior.opened(folder, CPU).schedule == PriorSchedule(500, 5.0, ancestral=True)
    UnCLIPScheduler(prediction_type="epsilon").save_pretrained(path)
    with pytest.raises(WeightsError, match="it predicts epsilon; it must be squaredcos_cap_v2 and sample"):
        Prior.opened(folder, CPU)
    (path / "scheduler_config.json").unlink()
    path.rmdir()


def test_a_prior_of_another_text_encoder_is_refused(folder: ModelFolder, tmp_path: Path) -> None:
    for part in folder.path.iterdir():
        (tmp_path / part.name).symlink_to(part)
    (tmp_path / "prior").unlink()
    write_prior(tmp_path / "prior", num_embeddings=77)
    with pytest.raises(
        WeightsError, match=r"takes 77 tokens of 16 features, the text encoder gives 12 of 16: they are of"
    ):
        Prior.opened(ModelFolder.found(tmp_path), CPU)
