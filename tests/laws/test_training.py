"""What the loss of the generator is made of, and what each of its rows draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from recast.data.datasets import DataMix, Joined
from recast.diffusion.schedule import schedule
from recast.engine.loop import BatchShard
from recast.engine.rng import row_rng, step_rng
from recast.errors import RequestError
from recast.networks.generator import Generator
from recast.recipes.pocket.presets import POCKET_LEVELS
from recast.training.objectives.batches import Batches, Row
from recast.training.objectives.diffusion import velocity
from recast.training.stages import Inputs
from small_presets import cached, small

LEVELS = schedule(POCKET_LEVELS)
SIGMAS = LEVELS.sigmas.numpy()


def generator() -> Generator:
    stage, _ = small("pocket-video")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return stage.network(Inputs()).eval()


class Knowing(Generator):
    """Answers with the exact velocity of a world in which every latent is zero."""

    def forward(self, noisy: Tensor, timestep: Tensor, embedding: Tensor, text: Tensor, *, video: bool) -> Tensor:  # noqa: ARG002
        # With clean = 0 the noisy latents are sigma noise, and v is alpha noise.
        sigmas = LEVELS.sigmas[timestep.long()].float()[:, None, None, None, None]
        return noisy[:, :, :4] / sigmas


def knowing() -> Knowing:
    known = generator()
    return Knowing(known.net, known.projection)


def test_velocity_is_zero_for_a_network_that_knows():
    batches = Batches(images=16, clips=16, frames=4)
    cache = cached(frames=4)
    nothing = replace(cache, latents=torch.zeros_like(cache.latents))
    assert velocity([nothing], LEVELS, batches)(knowing(), BatchShard(0)).mean.item() < 1e-4
    assert velocity([cache], LEVELS, batches)(knowing(), BatchShard(0)).mean.item() > 0.1


def test_every_row_is_the_same_however_the_batch_is_divided():
    network, loss = generator(), velocity([cached(frames=2)], LEVELS, Batches(images=8, clips=8, frames=2))
    with torch.no_grad():
        for step in (0, 3):
            whole = loss(network, BatchShard(step))
            for parts in (2, 8):
                output = [loss(network, BatchShard(step, part, parts)) for part in range(parts)]
                rows = torch.stack([each.rows for each in output], dim=1).flatten()
                levels = torch.stack([each.levels for each in output], dim=1).flatten()
                assert torch.equal(levels, whole.levels)
                torch.testing.assert_close(rows, whole.rows, rtol=1e-4, atol=1e-5)
    assert not torch.equal(loss(network, BatchShard(0)).levels, loss(network, BatchShard(1)).levels)


def test_rows_are_drawn_in_full_precision_under_autocast():
    network, loss = generator(), velocity([cached(frames=1)], LEVELS, Batches(images=8))
    with torch.no_grad():
        plain = loss(network, BatchShard(0))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            halved = loss(network, BatchShard(0))
    torch.testing.assert_close(halved.rows, plain.rows, rtol=0.05, atol=0.02)


def test_streams_of_chance_are_apart():
    keys = [
        step_rng(0, 1),
        row_rng(0, 1, 0),
        row_rng(0, 1, 1),
        row_rng(0, 0, 1),
        row_rng(1, 0, 0),
    ]
    assert len({rng.integers(2**62) for rng in keys}) == len(keys)


def test_shares_are_as_often_as_they_are_said():
    example = cached(frames=4).example(2)
    batches = Batches(structure_blur_prob=0.6, cond_drop_prob=0.1, image_steps=0.125, clips=1, frames=2)
    rows = [Row.drawn(row_rng(0, 0, i), example, batches, SIGMAS, video=True) for i in range(2000)]
    level_zero = [bool(row.structure[0, 6, 0, 0] == 1) for row in rows]  # cos(0)
    assert np.mean(level_zero) == pytest.approx(0.4, abs=0.04)
    assert np.mean([row.conditioned for row in rows]) == pytest.approx(0.9, abs=0.03)
    assert np.mean([row.level for row in rows]) == pytest.approx(500, abs=25)
    assert np.mean([batches.is_video(step_rng(0, step)) for step in range(2000)]) == pytest.approx(0.875, abs=0.03)


def test_structure_is_dropped_as_often_as_is_said_and_nothing_else_is_drawn_otherwise():
    example = cached(frames=4).example(2)
    never, often = (Batches(frames=2, structure_drop_prob=share) for share in (0.0, 0.3))
    for number in range(20):
        one, other = (Row.drawn(row_rng(0, 0, number), example, each, SIGMAS, video=True) for each in (never, often))
        assert torch.equal(one.noise, other.noise)
        assert (one.level, one.conditioned, one.structured) == (other.level, other.conditioned, True)
        assert torch.equal(other.structure, one.structure if other.structured else torch.zeros_like(one.structure))
    rows = [Row.drawn(row_rng(0, 0, i), example, often, SIGMAS, video=True) for i in range(2000)]
    assert np.mean([row.structured for row in rows]) == pytest.approx(0.7, abs=0.04)


def test_centred_levels_lie_log_normally_about_the_middle_of_the_details():
    example = cached(frames=4).example(2)
    batches = Batches(frames=1, lognormal_prob=1.0)
    rows = [Row.drawn(row_rng(0, 0, i), example, batches, SIGMAS, video=True) for i in range(2000)]
    logs = np.log(SIGMAS[[row.level for row in rows]])
    assert np.median(logs) == pytest.approx(np.log(0.6), abs=0.1)
    low, high = np.quantile(logs, (0.1587, 0.8413))
    assert (high - low) / 2 == pytest.approx(1.2, abs=0.08)
    mixed = [
        Row.drawn(row_rng(0, 0, i), example, Batches(frames=1, lognormal_prob=0.5), SIGMAS, video=True).level
        for i in range(2000)
    ]
    below = np.mean([SIGMAS[level] < 0.6 for level in mixed])
    assert below == pytest.approx((0.5 + np.mean(SIGMAS < 0.6)) / 2, abs=0.03)


def test_a_row_is_part_of_its_example():
    example = cached(frames=4).example(1)
    clean = example.latents()
    for number in range(20):
        row = Row.drawn(row_rng(0, 0, number), example, Batches(frames=3), SIGMAS[:10], video=True)
        assert any(torch.allclose(row.clean, clean[first : first + 3], atol=1e-4) for first in range(2))
        assert any(torch.equal(row.content, each.float()) for each in example.embeddings)


def test_min_snr_weighs_as_in_closed_form():
    source, batches = [cached(frames=1)], Batches(images=32)
    plain, weighed = (velocity(source, LEVELS, batches, min_snr=most)(knowing(), BatchShard(0)) for most in (None, 5.0))
    snr = 1 / LEVELS.sigmas[(plain.levels * 1000).round().long()].square()
    weight = (snr.clamp(max=5) / (snr + 1)).float()
    torch.testing.assert_close(weighed.mean, (plain.rows * weight).mean())
    assert torch.equal(weighed.rows, plain.rows)


class Erring(Knowing):
    """Knows, but for an error of a half that stays, or of a half and minus a half by turns."""

    turns = False

    def forward(self, noisy: Tensor, *others: Tensor, video: bool) -> Tensor:
        signs = torch.tensor([1.0, -1.0 if self.turns else 1.0]).repeat(noisy.shape[1] // 2)
        return super().forward(noisy, *others, video=video) + 0.5 * signs[:, None, None, None]


def test_an_error_that_flickers_costs_more_than_one_that_stays():
    cache, batches = cached(frames=4), Batches(images=8, clips=8, frames=4, image_steps=0.0)
    source = [replace(cache, latents=torch.zeros_like(cache.latents))]
    network = Erring(generator().net, generator().projection)
    losses = []
    for network.turns in (False, True):
        output = velocity(source, LEVELS, batches, temporal_weight=0.7)(network, BatchShard(0))
        torch.testing.assert_close(output.rows, torch.full((8,), 0.25), atol=1e-3, rtol=0)
        losses.append(output.mean.item())
    assert losses == pytest.approx([0.25, 0.25 + 0.7 * 1.0], abs=1e-3)
    images = Batches(images=8)
    plain, weighed = (
        velocity([cached(frames=1)], LEVELS, images, temporal_weight=s)(knowing(), BatchShard(0)) for s in (0.0, 0.7)
    )
    assert torch.equal(plain.mean, weighed.mean)


def test_pictures_and_clips_are_told_apart():
    pictures, clips, wide = cached(frames=1), cached(frames=4), cached(frames=4, side=16)
    mix = DataMix.of([clips, pictures, clips, wide], frames=4)
    assert [len(bucket) for bucket in mix.pictures] == [5]
    assert [len(bucket) for bucket in mix.clips] == [10, 5]
    assert [len(bucket) for bucket in DataMix.of([clips], frames=1).pictures] == [5]
    assert torch.equal(Joined([pictures, clips]).example(7).moments, clips.example(2).moments)
    with pytest.raises(RequestError, match="clips of 9 frames and the longest in the data has 4"):
        DataMix.of([clips], frames=9)
    with pytest.raises(RequestError, match="nothing to train on"):
        DataMix.of([], frames=1)
