"""Colour differences against the published ones; distances of sets of features against closed forms."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recast.evaluation.metrics.colour import de76, de2000, lab
from recast.evaluation.metrics.frechet import frechet_distance
from recast.evaluation.metrics.kernel import kernel_distance

BOUND = 20
NUMBERS = st.floats(-BOUND, BOUND)
SHARMA = (
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
    ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
    ((50, -0.001, 2.49), (50, 0.001, -2.49), 4.8045),
    ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (56, -27, -3), 31.9030),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
    ((90.8027, -2.0831, 1.441), (91.1528, -1.6435, 0.0447), 1.4441),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
)
"""Of Sharma, Wu and Dalal 2005, table 1."""


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("one", "other", "expected"), SHARMA)
def test_ciede2000_is_that_of_the_published_pairs(one, other, expected):
    here, there = torch.tensor([one, other], dtype=torch.float64)
    assert float(de2000(here, there)) == pytest.approx(expected, abs=5e-5)
    assert float(de2000(there, here)) == pytest.approx(expected, abs=5e-5)
    assert float(de2000(here, here)) == 0
    assert float(de76(here, there)) == pytest.approx(float((here - there).norm()))


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [((255, 255, 255), (100, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((255, 0, 0), (53.24, 80.09, 67.20))],
)
def test_srgb_in_lab(rgb, expected):
    pixel = torch.tensor(rgb, dtype=torch.uint8)[None, :, None, None]
    assert lab(pixel).flatten().tolist() == pytest.approx(expected, abs=0.01)


def test_greys_have_no_colour_and_both_parts_of_the_curve_meet():
    greys = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, 256)
    lightness, a, b = lab(greys)[0, 0].unbind(-1)
    assert (lightness.diff() > 0).all()
    assert lightness.diff().max() < 0.6
    assert torch.stack([a, b]).abs().max() < 0.02


@given(NUMBERS, NUMBERS, st.floats(0, BOUND), st.floats(0, BOUND))
def test_frechet_distance_of_two_gaussians_on_a_line(mean, other_mean, spread, other_spread):
    # Two points m - s and m + s have the deviation s sqrt(2).
    one = torch.tensor([[mean - spread], [mean + spread]], dtype=torch.float64)
    other = torch.tensor([[other_mean - other_spread], [other_mean + other_spread]], dtype=torch.float64)
    expected = (mean - other_mean) ** 2 + 2 * (spread - other_spread) ** 2
    assert frechet_distance(one, other) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("count", "other_count", "width"), [(40, 30, 6), (5, 7, 12), (20, 4, 9)])
def test_frechet_distance_is_that_by_the_root_of_the_product(count, other_count, width):
    one, other = normal(count, width) @ normal(width, width, seed=2), 1 + normal(other_count, width, seed=1)
    values, vectors = torch.linalg.eigh(torch.cov(one.T))
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    product = torch.linalg.eigvalsh(root @ torch.cov(other.T) @ root).clamp(min=0).sqrt().sum()
    traces = torch.cov(one.T).trace() + torch.cov(other.T).trace()
    expected = float((one.mean(0) - other.mean(0)).square().sum() + traces - 2 * product)
    # Where both are of low rank, roots of rounding errors are what the eigenvalues of the product cost.
    assert frechet_distance(one, other) == pytest.approx(expected, abs=1e-6)
    assert frechet_distance(other, one) == pytest.approx(frechet_distance(one, other), abs=1e-9)


def test_frechet_distance_knows_no_axes_and_a_shift_is_its_length():
    one, other, turn = normal(30, 5), normal(20, 5, seed=1), torch.linalg.qr(normal(5, 5, seed=2)).Q
    assert frechet_distance(one @ turn, other @ turn) == pytest.approx(frechet_distance(one, other), abs=1e-9)
    assert frechet_distance(one, one + torch.tensor([3.0, 4, 0, 0, 0])) == pytest.approx(25, abs=1e-9)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)


def test_kernel_distance_is_the_sum_over_pairs():
    one, other = normal(5, 4).tolist(), normal(7, 4, seed=1).tolist()

    def kernel(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / 4 + 1) ** 3

    def within(rows):
        pairs = [kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j]
        return sum(pairs) / len(pairs)

    across = sum(kernel(x, y) for x in one for y in other) / 35
    expected = within(one) + within(other) - 2 * across
    assert kernel_distance(torch.tensor(one), torch.tensor(other)) == pytest.approx(expected, abs=1e-4)


@given(NUMBERS, NUMBERS)
def test_kernel_distance_of_two_points(one, other):
    expected = (one * one + 1) ** 3 + (other * other + 1) ** 3 - 2 * (one * other + 1) ** 3
    sets = [torch.full((3, 1), value, dtype=torch.float64) for value in (one, other)]
    assert kernel_distance(*sets) == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_kernel_distance_of_one_distribution_is_about_nothing_and_grows_with_a_shift():
    one, other = normal(400, 3), normal(400, 3, seed=1)
    near, far = kernel_distance(one, other), kernel_distance(one, other + 1)
    assert abs(near) < 0.2 < far
