"""Deep features that are kept: the same pass again is the same, fewer products, and nothing is left behind."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hooked_backbone import branches, conditioned, noisy
from ltx_folder import write_ltx
from method_inputs import inputs_of
from pipelines import opened
from recast.backbones.deep_cache import with_deep_cache
from recast.backbones.tiny import tiny
from recast.denoising import Branch
from recast.editing.request import Request
from recast.errors import BackboneError, RequestError
from recast.methods import METHODS
from recast.networks.deep_features import deep_blocks, recorded, replayed

SIGMAS = [8.0, 4.0, 2.0, 1.0, 0.5]


@pytest.fixture(scope="module")
def backbone():
    return tiny(0)


@pytest.fixture(scope="module")
def condition(backbone):
    return conditioned(backbone, 3)


def products(work):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        answer = work()
    return answer, counter.get_total_flops()


def test_a_pass_that_is_replayed_is_the_pass_and_takes_less(backbone, condition):
    blocks = deep_blocks(backbone.net.unet)
    with torch.no_grad(), recorded(blocks) as answers:
        whole = backbone.denoise_branches(noisy(), 2.0, condition, branches(condition))
    plain, all_products = products(lambda: backbone.denoise_branches(noisy(), 2.0, condition, branches(condition)))
    assert all(map(torch.equal, whole, plain))
    with replayed(blocks, answers):
        again, fewer = products(lambda: backbone.denoise_branches(noisy(), 2.0, condition, branches(condition)))
    assert all(map(torch.equal, whole, again))
    assert 0 < fewer < all_products
    assert not any("forward" in vars(block) for block in blocks)


def test_the_first_of_so_many_levels_is_computed_whole(backbone, condition):
    branch, plain = [Branch(condition.cond)], backbone.denoise_branches
    whole = {sigma: products(lambda sigma=sigma: plain(noisy(), sigma, condition, branch)) for sigma in SIGMAS}
    for every, wholes in [(1, [1, 1, 1, 1, 1]), (3, [1, 0, 0, 1, 0] * 2)]:  # a second walk begins anew
        denoise = with_deep_cache(plain, backbone, every)
        for sigma, is_whole in zip(SIGMAS * (len(wholes) // 5), wholes, strict=True):
            kept, taken = products(lambda sigma=sigma, denoise=denoise: denoise(noisy(), sigma, condition, branch))
            made, full = whole[sigma]
            assert (taken == full) is bool(is_whole)
            assert torch.equal(kept[0], made[0]) is bool(is_whole)


def test_a_walk_that_goes_up_and_what_carries_a_gradient_are_computed_whole(backbone, condition):
    denoise, branch = with_deep_cache(backbone.denoise_branches, backbone, 4), [Branch(condition.cond)]
    for sigma in reversed(SIGMAS):
        expected = backbone.denoise_branches(noisy(), sigma, condition, branch)
        with torch.no_grad():
            assert torch.equal(denoise(noisy(), sigma, condition, branch)[0], expected[0])
    for sigma in SIGMAS:
        expected = backbone.denoise_branches(noisy(), sigma, condition, branch)
        assert torch.equal(denoise(noisy(), sigma, condition, branch)[0], expected[0])


@torch.no_grad()
def test_each_window_and_each_turn_has_features_of_its_own(backbone, condition):
    """Two windows and an answer of other noise, interleaved, are what each is by itself."""
    parts = [condition.at(torch.tensor([0, 1])), condition.at(torch.tensor([1, 2]))]
    calls = [(noisy()[:2], parts[0]), (noisy()[1:], parts[1]), (-noisy()[:2], parts[0])]
    together = with_deep_cache(backbone.denoise_branches, backbone, 2)
    apart = [with_deep_cache(backbone.denoise_branches, backbone, 2) for _ in calls]
    for sigma, _ in pairwise(SIGMAS):
        for alone, (x, of) in zip(apart, calls, strict=True):
            branch = [Branch(of.cond)]
            assert torch.equal(together(x, sigma, of, branch)[0], alone(x, sigma, of, branch)[0])


def test_nothing_is_left_where_a_pass_fails(backbone, condition):
    denoise = with_deep_cache(backbone.denoise_branches, backbone, 2)
    with torch.no_grad(), pytest.raises(Exception):  # noqa: B017, PT011 -- whatever torch says of the wrong shape
        denoise(noisy(), 1.0, replace(condition, structure_channels=None), [Branch(condition.cond)])
    assert not any("forward" in vars(block) for block in deep_blocks(backbone.net.unet))


def test_it_changes_an_edit_a_little_and_is_refused_where_layers_are_looked_at(backbone, tmp_path):
    inputs, gen1 = inputs_of(backbone, steps=6), METHODS["gen1"]
    plain, kept = gen1()(inputs, backbone), gen1(deep_cache=2)(inputs, backbone)
    assert not torch.equal(kept, plain)
    assert (kept - plain).norm() < 0.5 * (plain - backbone.encode(inputs.clip.frames)).norm()
    with pytest.raises(RequestError, match="looks into layers that deep_cache leaves out"):
        Request.asked(method="fatezero", deep_cache=2)
    with pytest.raises(BackboneError, match="has no deep blocks"):
        with_deep_cache(backbone.denoise_branches, opened(write_ltx(tmp_path)), 2)
