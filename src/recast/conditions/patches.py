"""Keyframes carried to the frames between by patches: PatchMatch (Barnes et al. 2009) over guides, and votes.

After guided synthesis of an edited keyframe (Jamriska et al. 2019, "Stylizing video by example"): each patch of a frame
looks for the patch of the keyframe's source that is most like it, where flow says that it came from, and pixels are the
mean of what the edited keyframe shows in the patches that cover them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from recast.conditions.flow import ClipFlow, Flow
from recast.conditions.warping import Shares, composed
from recast.types import Frames, Maps

SIDE = 5
"""Pixels of a patch's side."""
ROUNDS = 4
PLACED = 0.02
"""What a distance of one pixel from where flow leads counts beside a difference of colour of 1 (of 0..1)."""
STEPS = (1, 2, 4)
"""How far away neighbours are whose matches are tried."""
SHARP = 0.02
"""A mean squared difference of colour in a patch at which a keyframe's share is halved against one that fits."""

Picture = Float[Tensor, "1 c h w"]
Matches = Int[Tensor, "2 h w"]
"""Row and column of the keyframe's patch for each pixel."""


@dataclass(frozen=True, eq=False)
class _Search:
    """Where patches are looked for. wanted, held: patches of the frame and of the keyframe's source, one a row.

    led: row and column at which flow says that each pixel of the frame was in the keyframe.
    """

    wanted: Float[Tensor, "p f"]
    held: Float[Tensor, "p f"]
    led: Float[Tensor, "2 h w"]

    def cost(self, places: Matches) -> Float[Tensor, "h w"]:
        """How unlike patches are, and the way from where flow leads."""
        away = (places - self.led).square().sum(dim=0).sqrt()
        return self.unlike(places) + (PLACED * away).square()

    def unlike(self, places: Matches) -> Float[Tensor, "h w"]:
        """The mean squared difference of colour."""
        rows, columns = self.led.shape[-2:]
        held = self.held[(places[0] * columns + places[1]).flatten()]
        return (held - self.wanted).square().mean(dim=1).reshape(rows, columns)


def synthesized(edited: Float[Tensor, "k c h w"], keys: Sequence[int], frames: Frames, flow: ClipFlow) -> Maps:
    """All frames of a clip from its edited keyframes, which are given as they are.

    edited: one for each of `keys`, which begin with the first frame and end with the last. frames, flow: the source's,
    at the size of `edited`. Of the two pictures that come from the keyframes before and after, each counts by its
    nearness and by how well its patches fit. The same input gives the same answer.
    """
    shown = frames.to(edited) / 255
    made: list[Maps] = []
    for (first, last), before, after in zip(pairwise(keys), edited.split(1)[:-1], edited.split(1)[1:], strict=True):
        span = slice(first, last)
        onward = _from_key(before, shown[first : last + 1], flow.backward[span])
        back = _from_key(after, shown[first : last + 1].flip(0), flow.forward[span].flip(0))
        made.append(before)
        for step, ((one, fits), (other, other_fits)) in enumerate(zip(onward, reversed([*back]), strict=True), 1):
            near = step / (last - first)
            shares = (1 - near) * fits, near * other_fits
            made.append((shares[0] * one + shares[1] * other) / (shares[0] + shares[1]))
    return torch.cat([*made, edited[-1:]])


def nearest_patches(frame: Picture, key: Picture, flow: Flow, seed: int = 0) -> tuple[Matches, Float[Tensor, "h w"]]:
    """For each pixel of `frame` the place in `key` of the patch most like its own, and how unlike it is.

    frame, key: colours, 0..1. flow: from the frame into the keyframe. It starts where flow leads; matches of
    neighbours, and places drawn ever nearer, are tried in turns.
    """
    rows, columns = frame.shape[-2:]
    own = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")).to(frame)
    led = own + flow[0].flip(0).to(frame)
    search = _Search(_patches(frame), _patches(key), led)
    generator = torch.Generator().manual_seed(seed)
    best = _inside(led.round(), (rows, columns))
    cost = search.cost(best)
    for _ in range(ROUNDS):
        for tried in (*_of_neighbours(best), *_drawn(best, generator)):
            places = _inside(tried, (rows, columns))
            new = search.cost(places)
            better = new < cost
            best, cost = torch.where(better, places, best), torch.where(better, new, cost)
    return best, search.unlike(best)


def voted(picture: Picture, matches: Matches) -> Picture:
    """Each pixel is the mean of what `picture` shows for it in the patches that cover it."""
    rows, columns = matches.shape[-2:]
    patches = _patches(picture)[(matches[0] * columns + matches[1]).flatten()]
    columns_of_patches = rearrange(patches, "p f -> 1 f p")
    padded = (rows + SIDE - 1, columns + SIDE - 1)
    total = F.fold(columns_of_patches, padded, SIDE)
    count = F.fold(torch.ones_like(columns_of_patches), padded, SIDE)
    reach = SIDE // 2
    return (total / count)[..., reach:-reach, reach:-reach]


def _from_key(edited: Picture, shown: Maps, steps: Flow) -> Iterator[tuple[Picture, Shares]]:
    """The keyframe's picture in the frames after it but the last, and how well it fits there, 0..1.

    shown: the source's frames in that order, the keyframe's first. steps: from each frame after it to the one before.
    """
    total = torch.zeros_like(steps[:1])
    for step, frame in zip(steps.split(1)[:-1], shown[1:-1].split(1), strict=True):
        total = composed(step, total)
        matches, unlike = nearest_patches(frame, shown[:1], total)
        fits = SHARP / (SHARP + unlike)
        yield voted(edited, matches), rearrange(fits, "h w -> 1 1 h w")


def _patches(picture: Picture) -> Float[Tensor, "p f"]:
    """The patch around each pixel, row by row; past the edge the edge again."""
    reach = SIDE // 2
    return rearrange(F.unfold(F.pad(picture, (reach,) * 4, mode="replicate"), SIDE), "1 f p -> p f").contiguous()


def _of_neighbours(best: Matches) -> Iterator[Float[Tensor, "2 h w"]]:
    """What the match of a neighbour, moved along with it, would be here."""
    for step in STEPS:
        for axis, shift in ((0, step), (0, -step), (1, step), (1, -step)):
            moved = best.roll(shift, dims=1 + axis).float()
            moved[axis] += shift
            yield moved


def _drawn(best: Matches, generator: torch.Generator) -> Iterator[Float[Tensor, "2 h w"]]:
    """Places drawn around the match, within half of the distance each time."""
    reach = max(best.shape[-2:]) / 4
    while reach >= 1:
        yield best + reach * (2 * torch.rand(best.shape, generator=generator) - 1).to(best.device)
        reach /= 2


def _inside(places: Float[Tensor, "2 h w"], size: tuple[int, int]) -> Matches:
    last = torch.tensor([size[0] - 1, size[1] - 1], device=places.device).reshape(2, 1, 1)
    return places.round().long().clamp(min=0).minimum(last)
