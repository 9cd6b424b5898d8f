"""What a condition gives frame by frame is of as many frames as the clip has latents, or refused with the numbers."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from recast.control import Control, ControlResiduals
from recast.denoising import DenoiseInputs
from recast.diffusion.samplers import ddim
from recast.errors import ShapeError
from recast.types import Clip, Condition

FRAMES = 4
CLIP = Clip(torch.zeros(FRAMES, 3, 8, 8, dtype=torch.uint8), Fraction(8))
BARE = Condition(torch.zeros(2, 16), torch.zeros(2, 16))
PARTS = {
    "cond tokens": lambda count: {"cond": torch.zeros(count, 2, 16)},
    "uncond tokens": lambda count: {"uncond": torch.zeros(count, 2, 16)},
    "negative tokens": lambda count: {"negative": torch.zeros(count, 2, 16)},
    "structure channels": lambda count: {"structure_channels": torch.zeros(count, 8, 1, 1)},
    "frame numbers": lambda count: {"frames": torch.arange(count)},
    "residuals": lambda count: {"residuals": ControlResiduals((), torch.zeros(count, 1, 1, 1))},
    "pictures of depth": lambda count: {"controls": (Control("depth", torch.zeros(count, 3, 8, 8)),)},
}
"""What a condition may give frame by frame, for so many frames."""


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("count", [FRAMES - 1, FRAMES + 1])
@pytest.mark.parametrize("name", ["condition", "source"])
def test_an_edit_takes_as_many_as_the_clip_has_latents(part, count, name):
    def inputs(frames):
        return DenoiseInputs(CLIP, **{"condition": BARE, name: replace(BARE, **PARTS[part](frames))}, sampler=ddim)

    assert len(inputs(FRAMES).condition.frames) == FRAMES
    with pytest.raises(ShapeError, match=f"{part} are given for {count} frames and there are {FRAMES}"):
        inputs(count)


@pytest.mark.parametrize("part", PARTS)
def test_a_frame_that_a_condition_lacks_is_refused(part):
    condition = replace(BARE, **PARTS[part](3))
    condition.at(torch.tensor([2, 0]))
    with pytest.raises(ShapeError, match=f"frame 3 is asked for and {part} are given for 3 frames, from 0 on"):
        condition.at(torch.tensor([0, 3]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a second device")
def test_frames_are_picked_wherever_they_are():
    condition = replace(BARE, structure_channels=torch.arange(3.0, device="cuda").reshape(3, 1, 1, 1))
    assert condition.at(torch.tensor([2, 0])).structure_channels.flatten().tolist() == [2.0, 0.0]
