"""Changes of single weights: what they can represent, what leaves a weight alone, and merged beside unmerged."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from recast.networks.weight_changes import CHANGES, LowRankChange, SpectralChange, changed_weights, merge


def weight(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def roughened(change, seed=1):
    """The change as if it had been trained."""
    with torch.no_grad():
        for number, part in enumerate(change.parts().values()):
            part.add_(0.3 * weight(*part.shape, seed=seed + number))
    return change


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(5 * 4, 7))


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 3, 3, 3)])
def test_a_new_change_and_one_of_scale_0_are_the_weight_bit_for_bit(kind, shape):
    base = weight(*shape)
    change = CHANGES[kind](base, rank=2)
    assert torch.equal(change(base), base)
    roughened(change)
    assert not torch.equal(change(base), base)
    change.scale = 0.0
    assert torch.equal(change(base), base)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 3, 3, 3)])
def test_lora_of_full_rank_can_be_any_difference(shape):
    base, difference = weight(*shape), weight(*shape, seed=3)
    change = LowRankChange(base, rank=1000)
    left, values, right = torch.linalg.svd(difference.flatten(1), full_matrices=False)
    with torch.no_grad():
        change.up.copy_(left * values)
        change.down.copy_(right)
    assert_close(change(base), base + difference, atol=1e-5, rtol=0)


def test_lora_has_the_rank_that_was_asked_for():
    base = weight(8, 9)
    change = roughened(LowRankChange(base, rank=3))
    assert torch.linalg.matrix_rank(change(base) - base, atol=1e-4) == 3


def test_a_spectral_change_shifts_singular_values_and_stops_at_zero():
    base = weight(6, 4)
    change, values = SpectralChange(base), torch.linalg.svdvals(base)
    with torch.no_grad():
        change.shift.copy_(torch.tensor([0.5, 0.1, -0.05, -100.0]))
    wanted = (values + change.shift.detach()).clamp(min=0)
    assert_close(torch.linalg.svdvals(change(base)).sort().values, wanted.sort().values, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["whole", "lora"])  # spectral's values stop at zero
def test_scales_are_linear(kind):
    base = weight(6, 4)
    change = roughened(CHANGES[kind](base, rank=2))
    whole = change(base) - base
    change.scale = -0.5
    assert_close(change(base) - base, -0.5 * whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", CHANGES)
def test_merged_equals_unmerged_and_the_block_leaves_no_trace(kind):
    network, x = small(), weight(2, 3, 4, 4, seed=5)
    changes = {name: CHANGES[kind](network.get_parameter(name), rank=2) for name in ("0.weight", "2.weight")}
    before, names, untouched = deepcopy(network.state_dict()), list(network.state_dict()), network(x)
    for change in changes.values():
        roughened(change)
    with changed_weights(network, changes):
        changed = network(x)
        changed.square().mean().backward()
        assert all(part.grad is not None for change in changes.values() for part in change.parameters())
    assert list(network.state_dict()) == names
    assert type(network[2]) is nn.Linear
    assert_close(network.state_dict(), before, atol=0, rtol=0)
    assert torch.equal(network(x), untouched)
    for name, change in changes.items():
        merge(network, name, [change])
    assert_close(network(x), changed, atol=1e-6, rtol=1e-6)
    assert not torch.equal(network(x), untouched)


def test_two_merged_changes_add_up():
    network = small()
    base = network.get_parameter("2.weight").detach().clone()
    one, other = (roughened(CHANGES["lora"](base, rank=2), seed) for seed in (1, 9))
    merge(network, "2.weight", [one, other])
    assert_close(network.get_parameter("2.weight").detach(), one(base) + other(base) - base, atol=1e-6, rtol=0)


def test_a_shift_costs_as_much_as_its_singular_value_is_large():
    """SAVE's regularizer is shift^T diag(S) shift, so at equal pull the larger values end nearer to where they were."""
    base = weight(6, 4)
    change = roughened(SpectralChange(base))
    shift, values = change.shift.detach(), torch.linalg.svdvals(base)
    assert_close(change.penalty().detach(), shift @ torch.diag(values) @ shift)
    [gradient] = torch.autograd.grad(change.penalty(), [change.shift])
    assert_close(gradient, 2 * values * shift)
