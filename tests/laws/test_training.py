"""Training: what it resumes, what it skips, and what the losses are made of."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recast.denoise.levels import schedule
from recast.training import clip, depth, diffusion, pool, words
from recast.training.cache import Cache
from recast.training.loop import Recipe, Share, fit
from recast.training.pocket import SCHEDULER


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
