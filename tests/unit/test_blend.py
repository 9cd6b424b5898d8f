"""Several contents as one embedding."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.testing import assert_close

from recast.conditions.blend import blended
from recast.errors import RequestError

VECTORS = st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=3).map(torch.tensor)


@given(VECTORS, st.floats(0.01, 100))
def test_a_blend_of_one_is_itself(embedding: Tensor, weight: float) -> None:
    assert_close(blended([(embedding, weight)]), embedding)


@given(VECTORS.filter(lambda v: v.norm() > 0.1), st.floats(0.1, 10), st.floats(0.1, 10))
def test_a_blend_has_the_weighted_mean_of_the_lengths(embedding: Tensor, one: float, other: float) -> None:
    across = 3 * embedding.roll(1) + 1
    blend = (
        blended([(embedding, one), (across, other)]) if cosine_similarity(embedding, across, dim=0) > -0.99 else None
    )
    if blend is not None:
        wanted = (one * embedding.norm() + other * across.norm()) / (one + other)
        assert_close(blend.norm(), wanted, atol=1e-3, rtol=1e-3)


def test_a_blend_knows_no_order_and_no_unit_of_weight() -> None:
    a, b, c = torch.eye(3) + 0.1
    assert_close(blended([(a, 1), (b, 2), (c, 3)]), blended([(c, 30), (a, 10), (b, 20)]))
    assert_close(blended([(a, 1), (b, 0)]), a)
    assert_close(blended([(a, 1), (a, 5)]), a)


@pytest.mark.parametrize(
    ("weights", "line"),
    [
        ([], "content weights are none; at least one must be above 0"),
        ([0.0, 0.0], "content weights are 0, 0; at least one must be above 0"),
        ([1.0, -0.5], "content weights are 1, -0.5; each must be 0 or more"),
        ([math.nan], "content weights are nan; each must be 0 or more"),
        ([math.inf, 1], "content weights are inf, 1; each must be 0 or more"),
    ],
)
def test_impossible_weights_are_refused(weights: list[float], line: str) -> None:
    with pytest.raises(RequestError, match=line):
        blended([(torch.ones(3), weight) for weight in weights])


def test_opposites_are_refused() -> None:
    with pytest.raises(RequestError, match="the contents are opposites and cancel each other; change their weights"):
        blended([(torch.ones(3), 1.0), (-torch.ones(3), 1.0)])
