"""Points followed through a clip: optical flow chained from frame to frame, at whole pixels."""

from dataclasses import dataclass
from functools import cached_property

import torch
from einops import rearrange
from jaxtyping import Bool, Int
from torch import Tensor

from recast.conditions.flow import ClipFlow, Flow
from recast.conditions.warping import Shares, visible
from recast.types import Maps


@dataclass(frozen=True, eq=False)
class PointTracks:
    """Trajectories of pixels; each pixel of each frame is on one, and a trajectory has at most one pixel a frame.

    ids: the number of each pixel's trajectory, 0 to count - 1 in the order in which they start. On the CPU.
    """

    ids: Int[Tensor, "t h w"]

    @classmethod
    def of(cls, flow: ClipFlow) -> "PointTracks":
        """From each pixel to the one that its flow points at, rounded. FLATTEN (arXiv:2310.05922), section 4.1.

        A trajectory ends where the point is hidden or leaves the frame; pixels that none reaches start one. Where two
        meet, the one that started first goes on, and of two that started together the one higher up or further left
        (FLATTEN draws one).
        """
        size = flow.forward.shape[-2:]
        ids = [torch.arange(size.numel())]
        for forward, seen in zip(flow.forward, visible(flow.forward, flow.backward), strict=True):
            ids.append(_continued(ids[-1], forward[None], seen[None], started=1 + int(max(each.max() for each in ids))))
        return cls(rearrange(torch.stack(ids), "t (h w) -> t h w", h=size[0]))

    @property
    def count(self) -> int:
        """How many trajectories there are."""
        return int(self.ids.max()) + 1

    @cached_property
    def places(self) -> Int[Tensor, "n t"]:
        """Each trajectory's pixel in each frame, counted row by row; 0 where it is not, see `reached`."""
        flat = rearrange(self.ids, "t h w -> t (h w)")
        places = torch.full((self.count, len(flat)), -1)
        for frame, numbers in enumerate(flat):
            places[numbers, frame] = torch.arange(len(numbers))
        return places.clamp(min=0)

    @cached_property
    def reached(self) -> Bool[Tensor, "n t"]:
        """Whether each trajectory is in each frame."""
        reached = torch.zeros(self.count, len(self.ids), dtype=torch.bool)
        for frame, numbers in enumerate(rearrange(self.ids, "t h w -> t (h w)")):
            reached[numbers, frame] = True
        return reached

    def mean(self, maps: Maps) -> Maps:
        """Each pixel given the mean of its trajectory. MeDM (arXiv:2308.10079), section 3.2.

        Summed on the CPU, where the order of a sum is always the same.
        """
        values, numbers = rearrange(maps.cpu(), "t c h w -> (t h w) c"), self.ids.flatten()
        sums = values.new_zeros(self.count, values.shape[1]).index_add(0, numbers, values)
        means = sums / numbers.bincount(minlength=self.count)[:, None]
        return rearrange(means[numbers], "(t h w) c -> t c h w", t=maps.shape[0], h=maps.shape[2]).to(maps)


def _continued(ids: Int[Tensor, " p"], forward: Flow, seen: Shares, *, started: int) -> Int[Tensor, " p"]:
    """The numbers in the next frame; trajectories so far have the numbers below `started`."""
    height, width = forward.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    right, down = forward[0].round().long()
    row, column = rows + down, columns + right
    goes = (seen[0, 0] > 0) & (row >= 0) & (row < height) & (column >= 0) & (column < width)
    nobody = torch.iinfo(ids.dtype).max
    there = (row * width + column)[goes]
    follows = torch.full_like(ids, nobody).scatter_reduce(0, there, ids[goes.flatten()], "amin")
    new = follows == nobody
    follows[new] = started + torch.arange(int(new.sum()))
    return follows
