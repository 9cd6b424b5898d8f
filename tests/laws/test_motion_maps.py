"""Motion vectors as a structure: flow and back, a clip's own motion, and parts that are those of the whole."""

from fractions import Fraction

import numpy as np
import torch
from torch.testing import assert_close

from recast.conditions import EXTRACTORS
from recast.conditions.motion import MOST, MotionExtractor, as_flow, as_motion
from recast.model.folder import ModelFolder
from recast.types import Clip, Kind
from recast.world import rendered, sampled


def test_a_picture_of_motion_is_the_flow_again():
    flow = 16 * (2 * torch.rand(2, 2, 128, 192) - 1)
    maps = as_motion(flow)
    assert_close(as_flow(maps), flow, rtol=0, atol=1e-5)
    assert (maps[:, 2] == 0.5).all()
    fast = torch.tensor([1000.0, -1000.0])[None, :, None, None].expand(1, 2, 64, 64)
    assert as_motion(fast)[0, :, 0, 0].tolist() == [1, 0, 0.5]
    assert_close(as_flow(as_motion(fast)).abs(), torch.full((1, 2, 64, 64), 64 * MOST))


def test_what_moves_is_seen_and_what_rests_is_grey():
    rng = np.random.default_rng(0)
    ground = (
        torch.from_numpy(rng.integers(0, 256, (3, 24, 24), dtype=np.uint8))
        .repeat_interleave(4, 1)
        .repeat_interleave(4, 2)
    )
    frames = torch.stack([ground.roll((2 * number, 3 * number), (1, 2)) for number in range(4)])
    seen = MotionExtractor()(Clip(frames, Fraction(10)))
    assert seen.kind is Kind.MOTION
    middle = as_flow(seen.maps)[:, :, 20:-20, 20:-20]
    assert_close(middle.mean((2, 3)), torch.tensor([[3.0, 2.0]]).expand(4, 2), rtol=0, atol=0.3)
    still = MotionExtractor()(Clip(frames[:1].expand(3, -1, -1, -1).contiguous(), Fraction(10)))
    assert_close(still.maps, torch.full_like(still.maps, 0.5), rtol=0, atol=1e-3)
    assert torch.equal(MotionExtractor()(Clip(frames[:1], Fraction(10))).maps, torch.full((1, 3, 96, 96), 0.5))


def test_parts_are_those_of_the_whole():
    extractor = EXTRACTORS["motion"](ModelFolder.found("pocket"), torch.device("cpu"))
    frames = torch.randint(0, 256, (5, 3, 48, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = extractor.measured(frames, slice(0, 5))
    parts = [extractor.measured(frames, part) for part in (slice(0, 2), slice(2, 4), slice(4, 5))]
    assert torch.equal(torch.cat(parts), whole)
    # Of what is around a part, `reach` frames are enough.
    assert extractor.reach == 1
    assert torch.equal(extractor.measured(frames[1:4], slice(1, 2)), whole[2:3])
    assert torch.equal(extractor.measured(frames[3:], slice(1, 2)), whole[4:])


def test_it_is_near_the_true_motion_of_a_world():
    world = rendered(sampled(9_400_003, look="plain", weather="sun", time="day"), 4, 128, 128)
    frames = torch.from_numpy(world.frames).permute(0, 3, 1, 2).contiguous()
    found = as_flow(MotionExtractor()(Clip(frames, Fraction(10))).maps)[:3]
    truth = torch.from_numpy(world.flow).permute(0, 3, 1, 2)[:3]
    off = (found - truth).norm(dim=1)
    assert off.median() < 0.5
    assert off.median() < truth.norm(dim=1).median()
