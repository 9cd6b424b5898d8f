"""Sizes that models accept, and enlargement along the source's outlines."""

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recast.errors import RequestError
from recast.video.resize import enlarged, resized, working_size

SIDE = st.integers(1, 8192)


@given(size=st.tuples(SIDE, SIDE), short_side=st.integers(8, 1024), multiple=st.sampled_from([1, 8, 64]))
def test_a_working_size_is_of_multiples_and_keeps_the_aspect(size, short_side, multiple):
    rows, columns = working_size(size, short_side, multiple)
    assert rows % multiple == columns % multiple == 0
    assert min(rows, columns) >= multiple
    assert (rows <= columns) == (size[0] <= size[1]) or rows == columns
    short = min(rows, columns)
    assert short <= max(multiple, min(short_side, 2 * min(size)) + multiple / 2)
    aspect = min(max(size) / min(size), 4)
    assert abs(max(rows, columns) - short * aspect) <= multiple / 2 + 1e-6


def test_usual_working_sizes():
    assert working_size((1080, 1920), 256, 8) == (256, 456)
    assert working_size((1920, 1080), 512, 64) == (896, 512)
    assert working_size((512, 512), 256, 8) == (256, 256)
    with pytest.raises(RequestError):
        working_size((10, 10), 0, 8)


@given(seed=st.integers(0, 99), factor=st.integers(1, 4))
def test_shrinking_by_a_whole_factor_is_the_mean_over_areas(seed, factor):
    frames = torch.randint(0, 256, (2, 3, 6 * factor, 8 * factor), dtype=torch.uint8, generator=_rng(seed))
    expected = torch.nn.functional.avg_pool2d(frames.double(), factor)
    assert (resized(frames, (6, 8)).double() - expected).abs().max() <= 0.5 + 1e-6


def test_resizing_to_the_same_size_changes_nothing_and_a_flat_picture_stays_flat():
    frames = torch.randint(0, 256, (1, 3, 9, 7), dtype=torch.uint8, generator=_rng(0))
    assert torch.equal(resized(frames, (9, 7)), frames)
    flat = torch.full((1, 3, 9, 7), 77, dtype=torch.uint8)
    for size in ((3, 2), (20, 30), (4, 30)):
        assert resized(flat, size).unique().tolist() == [77]


def test_no_strength_is_plain_enlargement():
    small, guide = _noise(12, 16), _noise(48, 64)
    assert torch.equal(enlarged(small, guide, 0.0), resized(small[None], (48, 64))[0])


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_a_constant_picture_stays_constant_whatever_the_guide(strength):
    small = torch.tensor([40, 90, 200], dtype=torch.uint8)[:, None, None].expand(3, 12, 16)
    out = enlarged(small, _noise(48, 64), strength)
    assert torch.equal(out, small[:, :1, :1].expand(3, 48, 64))


@pytest.mark.parametrize("texture", [0, 40])
def test_an_outline_of_the_guide_makes_the_edited_outline_sharp(texture):
    inside = _disc(240, 320)
    guide = torch.where(inside, 190, 60) + torch.randint(0, texture + 1, inside.shape, generator=_rng(1))
    truth = torch.where(inside, torch.tensor([220, 80, 30])[:, None, None], torch.tensor([20, 60, 140])[:, None, None])
    truth, guide = truth.to(torch.uint8), guide.to(torch.uint8).expand(3, -1, -1)
    small = resized(truth[None], (60, 80))[0]
    plain, drawn = (_error(enlarged(small, guide, strength), truth) for strength in (0.0, 1.0))
    assert drawn < plain * (0.4 if not texture else 0.8)


def test_texture_of_the_guide_does_not_bleed_into_flat_areas():
    inside = _disc(240, 320)
    truth = torch.where(inside, 200, 40).to(torch.uint8).expand(3, -1, -1)
    guide = torch.randint(0, 256, (3, 240, 320), dtype=torch.uint8, generator=_rng(2))
    out = enlarged(resized(truth[None], (60, 80))[0], guide, 1.0)
    plain = enlarged(resized(truth[None], (60, 80))[0], guide, 0.0)
    assert _error(out, truth) < _error(plain, truth) * 1.15


def test_enlarging_to_full_hd_is_quick():
    small, guide = _noise(144, 256), _noise(1080, 1920)
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        enlarged(small, guide, 1.0)
        spent.append(time.perf_counter() - start)
    # Some 0.1 s alone on two cores; the bound leaves room for a busy machine.
    assert min(spent) < 0.6


def _disc(rows: int, columns: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return (y - rows / 2) ** 2 + (x - columns / 2) ** 2 < (rows / 3) ** 2


def _noise(rows: int, columns: int) -> torch.Tensor:
    return torch.randint(0, 256, (3, rows, columns), dtype=torch.uint8, generator=_rng(rows))


def _error(image: torch.Tensor, truth: torch.Tensor) -> float:
    return float((image.float() - truth.float()).abs().mean())


def _rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
