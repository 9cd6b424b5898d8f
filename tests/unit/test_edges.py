"""Edges: where they are drawn, and that they hold still."""

from fractions import Fraction

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from recast.conditions.edges import EdgeExtractor
from recast.errors import RequestError
from recast.types import Clip, Kind


def clip_of(frames: Tensor) -> Clip:
    return Clip(frames.to(torch.uint8), Fraction(24))


def boxes(*lefts: int, contrast: int = 120, ground: int = 60) -> Tensor:
    frames = torch.full((len(lefts), 3, 48, 64), ground)
    for frame, left in zip(frames, lefts, strict=True):
        frame[:, 12:36, left : left + 20] = ground + contrast
    return frames


def test_lines_run_along_the_outline_and_nowhere_else() -> None:
    structure = EdgeExtractor()(clip_of(boxes(20)))
    assert structure.kind == Kind.EDGES
    assert structure.maps.shape == (1, 1, 48, 64)
    assert structure.maps.dtype == torch.float32
    line = structure.maps[0, 0]
    assert line.max() == 1
    assert (line[16:32, 18:22].amax(1) == 1).all()
    assert (line[16:32, 38:42].amax(1) == 1).all()
    assert line[:8].max() < 0.01
    assert line[18:30, 26:34].max() < 0.01


def test_a_line_follows_a_moving_box() -> None:
    maps = EdgeExtractor()(clip_of(boxes(10, 14, 18))).maps
    assert_close(maps[1, ..., 4:44], maps[0, ..., :40])
    assert_close(maps[2, ..., 8:44], maps[0, ..., :36])


def test_a_plain_picture_has_no_edges_even_with_noise() -> None:
    rng = torch.Generator().manual_seed(0)
    noisy = 100 + torch.randint(0, 3, (4, 3, 48, 64), generator=rng)
    assert not EdgeExtractor()(clip_of(noisy)).maps.any()


def test_brightness_changes_nothing() -> None:
    dark, bright = (EdgeExtractor()(clip_of(boxes(10, 30, ground=ground))).maps for ground in (20, 120))
    assert torch.equal(dark, bright)


def test_a_busy_frame_does_not_change_where_the_others_stand() -> None:
    rng = torch.Generator().manual_seed(0)
    frames = torch.cat([boxes(20, 20, 20, 20), torch.randint(0, 256, (1, 3, 48, 64), generator=rng)])
    maps = EdgeExtractor()(clip_of(frames)).maps
    assert all(torch.equal(maps[0], after) for after in maps[1:4])
    assert torch.equal(EdgeExtractor()(clip_of(frames.flip(0))).maps, maps.flip(0))


def test_a_busy_clip_keeps_only_its_strongest_lines() -> None:
    rng = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (2, 3, 48, 64), generator=rng)
    drawn = [EdgeExtractor(busy=busy)(clip_of(frames)).maps.mean() for busy in (0.5, 0.8, 0.95)]
    assert drawn == sorted(drawn, reverse=True)


@pytest.mark.parametrize(
    ("knobs", "line"),
    [
        ({"busy": 1.2}, r"edge shares busy 1.2 and follow 0.4 go from 0 to 1"),
        ({"soft_px": 0.0}, r"edge blurs 1 and 0 pixels must be above 0"),
    ],
)
def test_impossible_knobs_are_refused(knobs: dict[str, float], line: str) -> None:
    with pytest.raises(RequestError, match=line):
        EdgeExtractor(**knobs)


def test_the_same_clip_gives_the_same_bits() -> None:
    """Wherever in memory the pixels happen to lie: OpenCV and NumPy round by that."""
    clip = clip_of(boxes(10, 30))
    first, *others = (EdgeExtractor()(Clip(clip.frames.clone(), clip.fps)).maps for _ in range(40))
    assert all(torch.equal(first, other) for other in others)
