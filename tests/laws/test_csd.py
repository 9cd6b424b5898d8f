"""CSD: what Stein's variational gradient over frames must come to."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from linear_backbone import Linear, clip_inputs, pushed
from recast.backbones.tiny import tiny
from recast.methods.csd import CSD, rbf_kernel, stein_direction


def drawn(count, seed=0):
    return torch.randn(count, 4, 2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_equal_conditions_leave_only_the_repulsion():
    backbone = tiny(0)
    inputs = clip_inputs(backbone)
    inputs, source = replace(inputs, source=inputs.condition), backbone.encode(inputs.clip.frames)
    assert torch.equal(CSD(repulsion=0.0)(inputs, backbone), source)
    assert not torch.equal(CSD()(inputs, backbone), source)


@pytest.mark.parametrize(("gain", "rate"), [(-0.5, 0.3), (0.7, 1.0)])
def test_a_linear_denoiser_moves_all_frames_alike_by_a_closed_form(gain, rate):
    """Frames that ask for the same move by it, whatever the kernel: delta = (1 - rate (1 - gain)) delta + rate push."""
    backbone = Linear(gain)
    inputs = clip_inputs(backbone)
    factor = (1 - rate * (1 - gain)) ** (2 * round(0.6 * 5))
    expected = backbone.encode(inputs.clip.frames) + pushed(inputs) / (1 - gain) * (1 - factor)
    edited = CSD(strength=0.6, rate=rate, repeats=2, repulsion=0.0)(inputs, backbone)
    assert_close(edited, expected, atol=2e-3, rtol=1e-4)


def test_the_direction_is_svgds_with_the_kernels_gradient_by_autograd():
    particles, scores, repulsion = drawn(4), drawn(4, 1), 0.7
    kernel, bandwidth = rbf_kernel(particles)
    assert torch.equal(kernel, kernel.T)
    for i, particle in enumerate(particles):
        others = particles.clone().requires_grad_()
        weights = (-(others - particle).square().sum((1, 2, 3)) / bandwidth).exp()
        (apart,) = torch.autograd.grad(weights.sum(), [others])
        weights = weights.detach()
        expected = (weights[:, None, None, None] * scores + repulsion * apart).sum(0) / weights.sum()
        assert_close(stein_direction(particles, scores, repulsion)[i], expected)


def test_at_the_median_distance_the_kernel_is_one_over_the_number_of_particles():
    corners = torch.zeros(3, 1, 1, 2, dtype=torch.float64)
    corners[1, ..., 0], corners[2, ..., 0], corners[2, ..., 1] = 1.0, 0.5, 0.75**0.5
    kernel, _ = rbf_kernel(corners)
    assert_close(kernel, torch.full((3, 3), 1 / 3, dtype=torch.float64).fill_diagonal_(1.0))


def test_one_particle_and_equal_ones_move_by_their_mean_score():
    scores = drawn(3)
    assert_close(stein_direction(drawn(1), scores[:1], 5.0), scores[:1])
    equal = drawn(1).expand(3, -1, -1, -1)
    assert_close(stein_direction(equal, scores, 5.0), scores.mean(0, keepdim=True).expand_as(scores))
