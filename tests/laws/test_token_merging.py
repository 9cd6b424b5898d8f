"""Token merging: between none of it, which is joint attention, and all of it, which is one frame's."""

import pytest
import torch
from torch.testing import assert_close

from attention_calls import attended, call_of, part_of
from recast.networks.attention_recipes import ExtendedAttention
from recast.networks.token_merging import TokenMerging, group_means, merged_groups


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_tokens_that_are_alike_come_back_as_they_were(ratio):
    tokens = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    twice = torch.cat([tokens, tokens.flip(0)])
    groups, count = merged_groups(twice, torch.arange(12) < 6, ratio)
    assert count == 6 + 6 - int(ratio * 6)
    assert_close(group_means(twice, groups, count)[groups], twice)


def test_the_most_alike_are_merged_first_and_into_the_nearest():
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0], [1.0, 0.9], [-1.0, 0.2]])
    groups, count = merged_groups(features, torch.tensor([True, True, False, False, False]), 1 / 3)
    assert groups.tolist() == [0, 1, 1, 2, 3]
    assert count == 4
    assert_close(group_means(features, groups, count)[1], (features[1] + features[2]) / 2)


def test_without_merging_a_chunk_attends_as_one():
    call = call_of(range(4))
    answers = [TokenMerging(ratio=0.0, global_ratio=None, chunk=4, seed=seed)(call, attended) for seed in range(9)]
    assert any(torch.allclose(answer, ExtendedAttention()(call, attended), atol=1e-5) for answer in answers)
    assert not all(torch.equal(answer, answers[0]) for answer in answers)  # chunks begin elsewhere


def test_equal_frames_wholly_merged_are_one_image():
    """Joint attention of equal frames is each frame's own, so the keys that are kept change nothing either."""
    call = call_of(range(7), still=True)
    assert_close(TokenMerging(ratio=1.0, global_ratio=1.0, chunk=3)(call, attended), attended(call))


def test_wholly_merged_frames_answer_alike_token_by_token():
    call = call_of(range(4))
    answer = TokenMerging(ratio=1.0, global_ratio=None, chunk=1 << 10, seed=2)(call, attended)
    assert len(answer.flatten(0, 1).unique(dim=0)) <= 2 * call.q.shape[1]


def test_windows_and_chunks_see_what_was_kept_of_those_before_at_their_level_only():
    call = call_of(range(6))
    first, second = part_of(call, slice(0, 3)), part_of(call, slice(3, 6))
    alone = TokenMerging()(second, attended)
    hook = TokenMerging()
    hook(first, attended)
    assert not torch.allclose(hook(second, attended), alone, atol=1e-3)
    fresh = TokenMerging()
    fresh(part_of(call, slice(0, 3), sigma=9.0), attended)
    assert torch.equal(fresh(second, attended), alone)


def test_a_lone_frame_without_merging_is_an_image():
    call = call_of((3,))
    assert_close(TokenMerging()(call, attended), attended(call))
