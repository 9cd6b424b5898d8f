"""One-shot tuning: what is trained, what it is trained on, exact resume, and that it learns its clip."""

import signal
from copy import deepcopy

import pytest
import torch
from einops import repeat
from torch.testing import assert_close

from hooked_backbone import CallRecord
from recast.backbones.stable_diffusion import InflatedStableDiffusion
from recast.denoising import Branch
from recast.diffusion.parameterization import Prediction, clean_from, scale_input, target
from recast.engine.config import BatchShard
from recast.engine.rng import normal_noise, row_rng
from recast.errors import Cancelled, ClipError, Preempted, RequestError
from recast.networks.hooks import SiteKind
from recast.tuning.losses import TEMPORAL_LOSSES, Guess, prediction_error
from recast.tuning.tuned import attention_hooks, with_adapters
from recast.tuning.tuner import trained_parts, tune_adapter, tuning_loss
from tuning_clips import FRAMES, cached, denoised, opened, quick


def draw(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


CLEAN, NOISE, ANSWER = (draw(5, 4, 2, 3, seed=seed) for seed in (0, 1, 2))


@pytest.mark.parametrize("prediction", Prediction)
@pytest.mark.parametrize("sigma", [0.03, 1.0, 14.0])
def test_the_loss_is_that_of_the_networks_own_answer(prediction, sigma):
    denoised_ = clean_from(prediction, ANSWER, CLEAN + sigma * NOISE, sigma)
    missed = ANSWER - target(prediction, CLEAN, NOISE, sigma)
    assert_close(prediction_error(prediction, denoised_, CLEAN, sigma), missed, atol=1e-4, rtol=1e-4)


def test_the_predicted_noise_is_what_the_clean_latents_leave():
    sigma, guessed = 3.0, draw(5, 4, 2, 3, seed=4)
    predicted, true = Guess(guessed, CLEAN, NOISE, sigma).latents("noise")
    assert_close(predicted, (CLEAN + sigma * NOISE - guessed) / sigma, atol=1e-5, rtol=0)
    assert torch.equal(true, NOISE)
    assert Guess(guessed, CLEAN, NOISE, sigma).latents("clean") == (guessed, CLEAN)


def test_temporal_losses_of_closed_forms():
    """Of a motion x(t) = a t + b c(t), with c = 0 0 1 0 0: differences a, a + b, a - b, a; second ones b, -2b, b."""
    a, b = 0.7, 2.0
    steady = repeat(a * torch.arange(5.0), "t -> t c y x", c=4, y=2, x=3)
    jumping = steady + b * torch.tensor([0.0, 0, 1, 0, 0])[:, None, None, None]
    loss = {name: each.between for name, each in TEMPORAL_LOSSES.items()}
    assert_close(loss["difference"](steady, CLEAN).item(), a**2)
    assert_close(loss["difference"](jumping, CLEAN).item(), (2 * a**2 + (a + b) ** 2 + (a - b) ** 2) / 4)
    assert_close(loss["matched"](steady + CLEAN, CLEAN).item(), a**2, atol=1e-5, rtol=0)
    assert loss["matched"](CLEAN + 3, CLEAN).item() < 1e-10
    assert_close(loss["second"](jumping, CLEAN).item(), 4 * b / 3)
    assert_close(loss["second"](steady, CLEAN).item(), 0.0, atol=1e-6, rtol=0)


@pytest.mark.parametrize("family", ["gen1", "sd"])
def test_a_step_is_one_pass_of_the_cached_clip_and_its_loss_is_the_networks(family):
    backbone = opened(family)
    clip, config = cached(backbone), quick(temporal="none", attention="own", train="lora")
    loss = tuning_loss(backbone, clip, config)(backbone.unet, BatchShard(7))
    assert torch.equal(loss.mean, tuning_loss(backbone, clip, config)(backbone.unet, BatchShard(7)).mean)
    assert loss.mean != tuning_loss(backbone, clip, config)(backbone.unet, BatchShard(8)).mean
    # Written out: the noise follows the level in the step's own stream.
    rng = row_rng(config.seed, 7, 0)
    sigma = float(backbone.schedule.sigmas[int(rng.integers(1000))])
    noise = normal_noise(rng, clip.latents.shape)
    seen = torch.cat([scale_input(clip.latents + sigma * noise, sigma), clip.condition.structure_channels], dim=1)
    tokens, timestep = clip.condition.cond, torch.tensor([backbone.schedule.sigma_to_timestep(sigma)])
    if family == "gen1":
        answer = backbone.net(seen[None], timestep, tokens[None])[0]
    else:
        answer = backbone.unet(seen, timestep, tokens.expand(FRAMES, -1, -1)).sample
    missed = answer - target(backbone.schedule.prediction, clip.latents, noise, sigma)
    assert_close(loss.mean, missed.square().mean(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["gen1", "sd"])
@pytest.mark.parametrize("train", ["one-shot", "lora", "spectral", "save", "conv_in.*"])
def test_every_trained_tensor_moves_and_the_frozen_ones_keep_their_bits(family, train, tmp_path):
    backbone = opened(family)
    before, names = deepcopy(backbone.unet.state_dict()), list(backbone.unet.state_dict())
    first = trained_parts(opened(family), quick(train=train))
    adapter = tune_adapter(backbone, cached(backbone), quick(train=train), tmp_path / "adapter")
    initial = first.tensors()
    assert adapter.tensors.keys() == initial.keys()
    still = [name for name, tensor in adapter.tensors.items() if torch.equal(tensor, initial[name])]
    assert not still
    after = backbone.unet.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in names)
    assert not any(weight.requires_grad for weight in backbone.unet.parameters())
    assert set(adapter.info.changes) == {name.rpartition(":")[0] for name in adapter.tensors}


def test_a_family_with_layers_over_time_gets_no_others(tmp_path):
    backbone = opened("animatediff")
    initial = trained_parts(opened("animatediff"), quick()).tensors()
    adapter = tune_adapter(backbone, cached(backbone), quick(), tmp_path / "adapter")
    assert (adapter.info.positions, set(adapter.info.changes.values())) == (None, {"whole"})
    assert any(".temporal." in name for name in adapter.info.changes)
    assert not [name for name, tensor in adapter.tensors.items() if torch.equal(tensor, initial[name])]


def test_one_shot_trains_queries_and_layers_over_time_alone():
    parts = trained_parts(opened("gen1"), quick())
    assert all(
        ".temporal." in name or name.endswith(("attn1.to_q.weight", "attn2.to_q.weight")) for name in parts.changes
    )
    weights = dict(parts.backbone.unet.named_parameters())
    assert {name for name in weights if ".temporal." in name} <= parts.changes.keys()
    assert parts.positions is None


def test_an_image_model_gets_layers_over_time_that_change_nothing_at_first():
    backbone = opened("sd")
    clip = cached(backbone)
    image = denoised(backbone, clip)
    parts = trained_parts(backbone, quick())
    assert isinstance(parts.backbone, InflatedStableDiffusion)
    assert parts.positions == parts.backbone.max_frames == FRAMES
    assert all(".temporal." in name for name in parts.new)
    assert torch.equal(denoised(parts.backbone, clip), image)


@pytest.mark.parametrize("family", ["gen1", "sd"])
def test_keys_and_values_are_those_of_the_first_and_the_previous_frame(family):
    backbone = trained_parts(opened(family), quick()).backbone
    clip, own, seen = cached(backbone), CallRecord(SiteKind.SELF), CallRecord(SiteKind.SELF)
    denoised(backbone, clip, hooks=[own])
    denoised(backbone, clip, hooks=[*attention_hooks(backbone, "first-previous"), seen])
    plain, call = own.calls[0], seen.calls[0]  # the first layer, whose input both share
    for kept, given in ((plain.k, call.k), (plain.v, call.v)):
        for frame in range(FRAMES):
            assert torch.equal(given[frame], torch.cat([kept[0], kept[max(frame - 1, 0)]]))


@pytest.mark.parametrize("family", ["gen1", "sd"])
def test_frames_that_must_not_see_each_other_do_not(family):
    backbone = trained_parts(opened(family), quick()).backbone
    clip = cached(backbone)
    branches = [Branch(clip.condition.cond, temporal=False), Branch(clip.condition.cond)]
    plain = backbone.denoise_branches(clip.latents, 1.0, clip.condition, branches)
    with backbone.hooked(*attention_hooks(backbone, "first-previous")):
        hooked = backbone.denoise_branches(clip.latents, 1.0, clip.condition, branches)
    assert torch.equal(plain[0], hooked[0])
    assert not torch.allclose(plain[1], hooked[1], atol=1e-4)


@pytest.mark.parametrize("train", ["one-shot", "lora"])
def test_a_resumed_tuning_equals_an_uninterrupted_one_bit_for_bit(train, tmp_path):
    """3 steps, with a stop behind the second."""
    config = quick(train=train, temporal="none") if train == "lora" else quick(frames=2)

    def run(folder, monitor=lambda _seen: None):
        backbone = opened("gen1")
        return tune_adapter(backbone, cached(backbone, config.frames), config, tmp_path / folder, monitor=monitor)

    def stop(seen):
        if seen.step == 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Preempted):
        run("halves", stop)
    assert not (tmp_path / "halves").exists()
    steps = []
    resumed = run("halves", lambda seen: steps.append(seen.step))
    assert steps == [3]  # a step that has begun is finished first
    assert_close(resumed.tensors, run("whole").tensors, atol=0, rtol=0)
    assert {path.name for path in tmp_path.iterdir()} == {"halves", "whole"}


def test_a_stopped_tuning_is_not_gone_on_with_on_another_clip_or_otherwise(tmp_path):
    backbone, config = opened("gen1"), quick(train="lora", steps=1)

    def stop(_seen):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        tune_adapter(backbone, cached(backbone), config, tmp_path / "a", monitor=stop)
    other = cached(backbone)
    other.latents[0] += 1
    with pytest.raises(RequestError, match="is of another run"):
        tune_adapter(backbone, other, config, tmp_path / "a")
    with pytest.raises(RequestError, match="rank"):
        tune_adapter(backbone, cached(backbone), quick(train="lora", steps=1, rank=2), tmp_path / "a")


@pytest.mark.parametrize("family", ["gen1", "sd"])
def test_a_tuned_network_knows_its_clip_better(family, tmp_path):
    """The mean loss over 20 levels and noises that the tuning did not draw."""
    backbone = opened(family)
    clip, config = cached(backbone), quick(steps=50, temporal="none", rate=1e-2)
    tuned = tune_adapter(backbone, clip, config, tmp_path / "a")

    def mean(asked, hooks=()):
        loss = tuning_loss(asked, clip, config)
        with torch.no_grad(), asked.hooked(*hooks):
            return sum(loss(asked.unet, BatchShard(step)).mean.item() for step in range(1000, 1020)) / 20

    before = mean(backbone)
    changed = with_adapters(opened(family), [(tuned, 1.0)])
    assert mean(changed.backbone, changed.hooks) < 0.9 * before


def test_clips_of_another_length_and_patterns_of_nothing_are_refused(tmp_path):
    backbone = opened("gen1")
    with pytest.raises(ClipError, match="has 3 latents and 4 frames"):
        tune_adapter(backbone, cached(backbone), quick(frames=4), tmp_path / "a")
    with pytest.raises(RequestError, match="no weight of the network is called nothing"):
        tune_adapter(backbone, cached(backbone), quick(train="nothing"), tmp_path / "a")
    with pytest.raises(RequestError, match="at most 16 frames at once, not 17"):
        tune_adapter(backbone, cached(backbone, 17), quick(frames=17), tmp_path / "a")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 4}, "only lora has one"),
        ({"temporal": "none", "temporal_weight": 1.0}, "there is no temporal loss"),
        ({"temporal": "none", "latent": "noise"}, "there is no temporal loss"),
        ({"temporal": "second", "frames": 2}, "needs 3 frames and has 2"),
        ({"train": "lora", "shift_weight": 0.1}, "lora shifts no singular values"),
        ({"temporal": "third"}, "there is no temporal loss 'third'"),
        ({"precision": "fp8"}, "no precision is called"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(RequestError, match=message):
        quick(**settings)


def test_a_temporal_losss_weight_and_latent_are_its_own_unless_said():
    assert (quick().temporal_loss.weight, quick().temporal_loss.latent) == (0.05, "clean")
    assert (quick(temporal="second").temporal_loss.weight, quick(temporal="second").temporal_loss.latent) == (
        0.2,
        "noise",
    )
    settings = quick(temporal="second", temporal_weight=0.0, latent="clean").temporal_loss
    assert (settings.weight, settings.latent) == (0.0, "clean")
