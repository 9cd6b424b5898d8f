"""Training: what it resumes, what it skips, and what the losses are made of."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recast.denoise.levels import schedule
from recast.errors import RecastError, RequestError
from recast.training import clip, depth, diffusion, pool, words
from recast.training.cache import Cache
from recast.training.loop import Recipe, Share, fit
from recast.training.pocket import SCHEDULER

RECIPE = Recipe(steps=12, rate=1e-2, warmup=3, keep_every=5)


def line() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def squares(network: nn.Module, share: Share) -> Tensor:
    rows = [torch.Generator().manual_seed(100 * share.step + row) for row in share.rows(8)]
    drawn = torch.stack([torch.randn(3, generator=rng) for rng in rows])
    return (network(drawn) - 1).float().square().mean()


def weights(network: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


class Stopped(Exception):  # noqa: N818
    pass


def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path: Path):
    whole = fit(line(), squares, RECIPE, tmp_path / "whole")

    def stopping(network: nn.Module, share: Share) -> Tensor:
        if share.step == 7:
            raise Stopped
        return squares(network, share)

    with pytest.raises(Stopped):
        fit(line(), stopping, RECIPE, tmp_path / "stopped")
    resumed = fit(line(), squares, RECIPE, tmp_path / "stopped")
    assert torch.equal(weights(whole), weights(resumed))


def test_a_finished_run_gives_its_weights_back_without_a_step(tmp_path: Path):
    first = fit(line(), squares, RECIPE, tmp_path)

    def never(network: nn.Module, share: Share) -> Tensor:  # noqa: ARG001
        raise AssertionError(share)

    assert torch.equal(weights(first), weights(fit(line(), never, RECIPE, tmp_path)))


def test_a_step_that_is_not_finite_changes_nothing(tmp_path: Path):
    def broken(network: nn.Module, share: Share) -> Tensor:
        return squares(network, share) * (float("nan") if share.step == 4 else 1)

    assert torch.isfinite(weights(fit(line(), broken, RECIPE, tmp_path / "a"))).all()
    with pytest.raises(RecastError, match="not finite in 21 steps"):
        fit(line(), lambda n, s: squares(n, s) * float("inf"), Recipe(steps=40), tmp_path / "b")


def test_a_batch_in_parts_is_the_same_batch(tmp_path: Path):
    drawn = [row for part in range(4) for row in Share(0, part, 4).rows(8)]
    assert sorted(drawn) == list(range(8))
    whole = fit(line(), squares, RECIPE, tmp_path / "whole")
    parted = fit(line(), squares, replace(RECIPE, accumulate=4), tmp_path / "parted")
    torch.testing.assert_close(weights(whole), weights(parted), rtol=0, atol=1e-3)  # products in bfloat16
    with pytest.raises(RequestError, match="a batch of 8 does not divide into 3 equal parts"):
        Share(0, 0, 3).rows(8)
    with pytest.raises(RequestError, match="cannot be split into 2 parts"):
        Share(0, 0, 2).undivided()


def test_the_rate_rises_to_its_peak_and_falls_to_a_fiftieth():
    recipe = Recipe(steps=100, rate=2.0, warmup=10)
    rates = [recipe.rate_at(step) for step in range(101)]
    assert rates[9] == rates[10] == 2.0 == max(rates)
    assert rates[100] == pytest.approx(0.04)
    assert all(b <= a for a, b in pairwise(rates[10:]))


def tiny_cache(frames: int = 4) -> Cache:
    rng = torch.Generator().manual_seed(1)
    latents = torch.randn(5, frames, 4, 8, 8, generator=rng)
    structure = torch.randn(5, 2, frames, 4, 8, 8, generator=rng)
    embeddings = nn.functional.normalize(torch.randn(5, frames, clip.WIDTH, generator=rng), dim=-1)
    return Cache(latents.half(), structure.half(), torch.arange(1, 6).half(), embeddings.half())


def test_every_tensor_of_the_generator_gets_a_gradient():
    network = diffusion.Generator()
    loss = diffusion.velocity([tiny_cache()], schedule(SCHEDULER), frames=4, batch=8, images=0.0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for step in range(2):  # the insides of the temporal transformers start behind a zero, for one step
        optimizer.zero_grad()
        loss(network, Share(step)).backward()
        optimizer.step()
    missing = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not missing


def test_the_same_step_draws_the_same_batch():
    network = diffusion.Generator()
    loss = diffusion.velocity([tiny_cache()], schedule(SCHEDULER), batch=4)
    assert torch.equal(loss(network, Share(3)), loss(network, Share(3)))
    assert not torch.equal(loss(network, Share(3)), loss(network, Share(4)))


class Knowing(diffusion.Generator):
    """Answers with the exact velocity of a world in which every latent is zero."""

    def forward(self, noisy: Tensor, timestep: Tensor, embedding: Tensor, told: Tensor, *, video: bool) -> Tensor:  # noqa: ARG002
        # With clean = 0 the noisy latents are sigma noise, and v is alpha noise.
        sigmas = schedule(SCHEDULER).sigmas[timestep.long()].float()[:, None, None, None, None]
        return noisy[:, :, :4] / sigmas


def test_velocity_is_zero_for_a_network_that_knows():
    cache = tiny_cache()
    nothing = Cache(torch.zeros_like(cache.latents), cache.structure, cache.detail, cache.embeddings)
    loss = diffusion.velocity([nothing], schedule(SCHEDULER), frames=4, batch=16)
    assert loss(Knowing(), Share(0)).item() < 1e-4
    assert diffusion.velocity([cache], schedule(SCHEDULER), batch=16)(Knowing(), Share(0)).item() > 0.1


@pytest.fixture(scope="module")
def small_pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    pool.render(folder, (pool.Plan("small", 4, 64, 96, first_seed=77, frames=2),), workers=1)
    return folder / "small"


def test_a_pool_is_what_the_world_renders(small_pool: Path):
    from recast.world import rendered, sampled

    made = pool.Pool.opened(small_pool)
    clip_ = rendered(sampled(79), 2, 64, 96)
    assert len(made) == 4
    np.testing.assert_array_equal(made.frames[2], clip_.frames)
    np.testing.assert_array_equal(made.masks[2], clip_.masks)
    assert made.captions[2][0] == clip_.caption
    assert made.scenes[2]["seed"] == 79


def test_the_depth_loss_falls_on_one_batch(small_pool: Path, tmp_path: Path):
    loss = depth.distance([pool.Pool.opened(small_pool)], batch=2)
    network = depth.DepthUNet(depth.DepthUNetConfig(widths=(8, 16, 16)))
    before = loss(network, Share(0)).item()
    trained = fit(network, lambda n, _: loss(n, Share(0)), Recipe(steps=30, rate=5e-3, warmup=5), tmp_path)
    after = loss(trained, Share(0)).item()
    assert after < 0.7 * before
    np.testing.assert_array_equal(depth.normalized(np.full((4, 4), 7.0)), np.zeros((4, 4)))


def test_the_tokenizer_reads_any_words(tmp_path: Path):
    reader = words.write_tokenizer(["a red dog in the snow", "a blue cat at night"] * 5, tmp_path)
    assert set(json.loads((tmp_path / "vocab.json").read_text())) >= {"a</w>", "z", "9</w>"}
    for text in ("a red dog", "zebra 42, fjord!"):
        assert reader.decode(reader(text)["input_ids"], skip_special_tokens=True).replace(" ", "") == text.replace(
            " ", ""
        )


def test_clip_pairs_get_gradients_in_both_towers(small_pool: Path, tmp_path: Path):
    made = pool.Pool.opened(small_pool)
    reader = words.write_tokenizer([c for row in made.captions for c in row], tmp_path)
    network = clip.Pair(reader)
    clip.contrastive([made], reader, batch=4)(network, Share(0)).backward()
    missing = [name for name, weight in network.named_parameters() if weight.grad is None]
    # The last layer's norm over patches is not read: only the class token is projected.
    assert not [name for name in missing if "post_layernorm" not in name]
