"""MotionDirector: a debiased loss that the look costs little, and motion and look learned apart and used apart."""

import pytest
import torch
from torch.testing import assert_close

from recast.engine.config import BatchShard
from recast.errors import BackboneError, Cancelled, RequestError
from recast.networks.temporal import is_over_time
from recast.tuning.adapter import SPATIAL, read_adapter
from recast.tuning.losses import debiased
from recast.tuning.tuned import with_adapters
from recast.tuning.tuner import trained_parts, tune_adapter, tuning_loss
from tuning_clips import FRAMES, cached, denoised, opened, quick

PREDICTED, TRUE = (torch.randn(5, 4, 2, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))


ONE_PLACE = "mid_block.attentions.0.transformer_blocks.0.attn1"
"""Of clips so small the one place of a frame attends to itself, so that queries and keys learn nothing."""


def director(**settings):
    return quick(train="motion-director", **settings)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_the_debiased_loss_is_the_mean_over_anchors_of_what_phi_misses(beta):
    def phi(x, anchor):
        return (beta**2 + 1) ** 0.5 * x - beta * x[anchor]

    each = [(phi(PREDICTED, a) - phi(TRUE, a)).square().mean() for a in range(5)]
    assert_close(debiased(PREDICTED, TRUE, beta), torch.stack(each).mean())
    assert debiased(TRUE, TRUE, beta) == 0


def test_what_all_frames_miss_alike_costs_little_and_nothing_where_beta_is_large():
    """An offset c of all frames costs (sqrt(beta^2 + 1) - beta)^2 c^2; the rest is the variance over frames."""
    for beta, share in ((1.0, (2**0.5 - 1) ** 2), (0.0, 1.0)):
        assert_close(debiased(TRUE + 3, TRUE, beta).item(), 9 * share, rtol=1e-4, atol=0)
    large = 100.0
    for offset in (0, 3):
        variance = (PREDICTED - TRUE).var(0, correction=0).mean()
        assert_close(debiased(PREDICTED + offset, TRUE, large) / (2 * large**2), variance, rtol=2e-3, atol=0)


@pytest.mark.parametrize("family", ["gen1", "animatediff"])
def test_pictures_teach_the_look_and_the_clip_motion_alone(family):
    backbone = opened(family)
    config, clip = director(), cached(backbone)
    parts, loss, reached = trained_parts(backbone, config), tuning_loss(backbone, clip, config), set()
    with torch.no_grad():  # a new product of two matrices has no gradient in one of them
        for change in parts.changes.values():
            change.up.normal_(std=0.1)
    with parts.trained("own") as network:
        weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        assert {is_over_time(name) for name in weights} == {True, False}
        for step in range(6):
            mean = loss(network, BatchShard(step)).mean
            given = torch.autograd.grad(mean, list(weights.values()), allow_unused=True)
            learned = {name for name, gradient in zip(weights, given, strict=True) if gradient is not None}
            reached.add(frozenset(learned))
            still = [name for name in learned if not given[list(weights).index(name)].any() and ONE_PLACE not in name]
            assert not still
    motion = frozenset(name for name in weights if is_over_time(name))
    assert reached == {motion, frozenset(weights.keys() - motion)}


def test_the_look_is_in_force_where_motion_is_learned():
    backbone = opened("gen1")
    config, clip = director(), cached(backbone)
    parts, loss = trained_parts(backbone, config), tuning_loss(backbone, clip, config)
    seen = ((step, loss(backbone.unet, BatchShard(step))) for step in range(9))
    on_clip = next(step for step, found in seen if found.mean != found.rows)  # pictures have no temporal loss
    with parts.trained("own") as network:
        before = loss(network, BatchShard(on_clip)).mean.item()
        with torch.no_grad():
            for name, change in parts.changes.items():
                if not is_over_time(name):
                    change.up.normal_(std=0.1)
        assert loss(network, BatchShard(on_clip)).mean.item() != before


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("adapters") / "dance"
    tune_adapter(opened("gen1"), cached(opened("gen1")), director(steps=12), target)
    return target


def test_the_folder_holds_motion_and_its_subfolder_the_look_and_every_tensor_was_trained(folder):
    motion, look = read_adapter(folder), read_adapter(folder / SPATIAL)
    initial = trained_parts(opened("gen1"), director()).tensors()
    assert (motion.tensors | look.tensors).keys() == initial.keys()
    for adapter, over_time in ((motion, True), (look, False)):
        assert {is_over_time(name) for name in adapter.info.changes} == {over_time}
        same = [name for name, tensor in adapter.tensors.items() if torch.equal(tensor, initial[name])]
        assert not [name for name in same if ONE_PLACE not in name]
        assert adapter.info.scales
        assert all(any(part in name for name in adapter.info.changes) for part in (".attn1.", ".attn2.", ".ff."))


def test_motion_leaves_pictures_as_they_are_and_both_are_the_network_that_was_trained(folder):
    motion, look = read_adapter(folder), read_adapter(folder / SPATIAL)
    moved = with_adapters(opened("gen1"), [(motion, 1.0)]).backbone
    clip, one = cached(moved), cached(moved, 1)
    assert torch.equal(denoised(moved, one), denoised(opened("gen1"), one))
    assert not torch.allclose(denoised(moved, clip), denoised(opened("gen1"), clip), atol=1e-3)
    parts = trained_parts(opened("gen1"), director())
    for key, tensor in (motion.tensors | look.tensors).items():
        name, _, part = key.rpartition(":")
        getattr(parts.changes[name], part).data.copy_(tensor)
    both = with_adapters(opened("gen1"), [(motion, 1.0), (look, 1.0)]).backbone
    with parts.trained("own"):
        assert_close(denoised(both, clip), denoised(parts.backbone, clip), atol=2e-5, rtol=1e-5)


def test_a_stopped_run_ends_with_the_same_adapters(tmp_path):
    config = director(steps=51, frames=2, rank=2)

    def run(name, monitor=lambda _seen: None):
        tune_adapter(opened("gen1"), cached(opened("gen1"), 2), config, tmp_path / name, monitor=monitor)
        return [read_adapter(tmp_path / name / inner).tensors for inner in ("", SPATIAL)]

    def stop(seen):
        if seen.step == 50:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        run("halves", stop)
    assert_close(run("halves"), run("whole"), atol=0, rtol=0)


def test_models_and_settings_that_have_nothing_to_learn_motion_or_the_look_from_are_refused():
    with pytest.raises(BackboneError, match="this model has none"):
        trained_parts(opened("sd"), director())
    for settings in ({"images": 0.0}, {"frames": 1, "temporal": "none"}):
        with pytest.raises(RequestError, match="learns the look from pictures"):
            director(**settings)
    assert director().frames == FRAMES
