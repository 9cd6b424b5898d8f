"""Tune-A-Video and Dreamix, out of the same tuner: what they train, by which loss, on which frames; and the edit."""

from dataclasses import replace
from math import hypot

import pytest
import torch
from torch.testing import assert_close

from recast.backbones.branches import temporal_layout
from recast.denoising import Branch, DenoiseInputs
from recast.diffusion.inversion import ddim_inversion
from recast.diffusion.samplers import SAMPLERS, ddim
from recast.diffusion.schedule import finish
from recast.engine.config import BatchShard
from recast.methods.tune_a_video import TuneAVideo
from recast.tuning.tuner import trained_parts, tune_adapter, tuning_loss
from tuning_clips import cached, moving, opened, quick


def test_tune_a_video_is_one_shots_weights_by_the_networks_own_loss_at_a_constant_rate():
    own, one_shot = quick(train="tune-a-video"), quick()
    assert trained_parts(opened("gen1"), own).changes.keys() == trained_parts(opened("gen1"), one_shot).changes.keys()
    assert (own.temporal_loss, one_shot.temporal_loss.weight, own.over_frames) == (None, 0.05, "first-previous")
    assert {own.train_config().rate_at(step) for step in range(3)} == {3e-3}
    backbone = opened("sd")
    clip = cached(backbone)
    plain = tuning_loss(backbone, clip, quick(temporal="none"))(backbone.unet, BatchShard(3))
    assert torch.equal(tuning_loss(backbone, clip, own)(backbone.unet, BatchShard(3)).mean, plain.mean)
    assert quick(train="tune-a-video", temporal="matched").temporal_loss is not None


def test_save_trains_singular_values_of_tune_a_videos_matrices_and_their_shifts_cost():
    save, whole = quick(train="save"), quick(train="tune-a-video")
    parts, others = (trained_parts(opened("gen1"), config) for config in (save, whole))
    vectors = {name for name in others.changes if parts.backbone.unet.get_parameter(name).ndim == 1}
    assert parts.changes.keys() == others.changes.keys() - vectors
    shapes = {name: tuple(change.shift.shape) for name, change in parts.changes.items()}
    assert all(
        shape == (min(parts.backbone.unet.get_parameter(name).flatten(1).shape),) for name, shape in shapes.items()
    )
    clip, free = cached(parts.backbone), quick(train="save", shift_weight=0.0)
    with torch.no_grad():
        for change in parts.changes.values():
            change.shift.normal_(std=0.1)
    with parts.trained(save.over_frames) as network:
        held, loose = (tuning_loss(parts.backbone, clip, each)(network, BatchShard(1)) for each in (save, free))
    penalty = sum(change.penalty() for change in parts.changes.values())
    assert_close(held.mean - loose.mean, 1e-3 * penalty, atol=1e-5, rtol=1e-4)
    assert torch.equal(held.rows, loose.rows)


def test_a_held_shift_ends_nearer_to_the_model(tmp_path):
    def size(weight):
        config = quick(train="save", steps=8, shift_weight=weight)
        adapter = tune_adapter(opened("gen1"), cached(opened("gen1")), config, tmp_path / str(weight))
        return sum(shift.square().sum().item() for shift in adapter.tensors.values())

    assert size(10.0) < 0.5 * size(0.0)


@pytest.mark.parametrize(("images", "counts"), [(0.0, {3}), (0.5, {1, 3})])
def test_a_share_of_the_steps_sees_one_frame_with_layers_over_time_off(images, counts):
    """Which latents have a gradient of the loss: one frame's in steps with a picture, all of them in the others."""
    backbone = opened("gen1")
    clip, config = cached(backbone), quick(train="dreamix", images=images)
    clip.latents.requires_grad_(True)
    loss, seen = tuning_loss(backbone, clip, config), set()
    for step in range(20):
        [gradient] = torch.autograd.grad(loss(backbone.unet, BatchShard(step)).mean, clip.latents)
        seen.add(int(gradient.flatten(1).any(dim=1).sum()))
    assert seen == counts


def test_dreamix_trains_every_weight(tmp_path):
    backbone = opened("gen1")
    adapter = tune_adapter(backbone, cached(backbone), quick(train="dreamix", images=0.3, steps=4), tmp_path / "a")
    assert set(adapter.info.changes) == set(dict(backbone.unet.named_parameters()))
    assert not [name for name, tensor in adapter.tensors.items() if not tensor.any()]
    assert adapter.info.settings["images"] == 0.3
    assert adapter.info.scales


def test_clips_among_images_keep_their_places():
    layout = temporal_layout(2, (False, True, True), 4, torch.device("cpu"))
    assert layout.videos.tolist() == [1, 2]
    assert temporal_layout(2, (True, True), 4, torch.device("cpu")).videos is None
    assert temporal_layout(2, (False,), 4, torch.device("cpu")) is None


@pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")
def test_its_edit_is_the_inversion_without_content_and_the_guided_walk_back():
    backbone, clip = opened("sd"), moving()
    condition = replace(cached(backbone).condition, uncond=backbone.null_tokens())
    inputs = DenoiseInputs(clip, condition, SAMPLERS["ddim"], steps=3, cfg_scale=2.5)
    sigmas = backbone.sigmas(3)

    def look(x, sigma, condition):
        return backbone.denoise_branches(x, sigma, condition, [Branch(condition.cond)])[0]

    def guide(x, sigma, condition):
        asked = [Branch(condition.uncond), Branch(condition.cond)]
        blank, wanted = backbone.denoise_branches(x, sigma, condition, asked)
        return blank + 2.5 * (wanted - blank)

    start = backbone.encode(clip.frames) * hypot(1, sigmas[-1])
    inversion = ddim_inversion(look, start, sigmas, replace(condition, cond=condition.uncond))
    expected = finish(ddim(guide, inversion.trajectory[0], sigmas, condition), sigmas[-1])
    assert_close(TuneAVideo(refinements=0)(inputs, backbone), expected, atol=1e-4, rtol=1e-4)
    assert_close(TuneAVideo(refinements=0, strength=0.0)(inputs, backbone), backbone.encode(clip.frames))
