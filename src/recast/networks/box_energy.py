"""How far maps of words are from boxes: the energy of LLM-grounded Video Diffusion, arXiv:2309.17444."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.errors import BackboneError
from recast.networks.attention_recipes import frames_of
from recast.networks.hooks import Attend, AttentionCall, SiteKind

TOP_SHARE = 0.75
"""Of the places of a box, and of those outside, whose values count: the largest ones. The published code's."""
OUTSIDE_WEIGHT = 4.0
"""Of what is looked at outside of the box, beside what is inside. The published code's."""
MOST_PLACES = 1024
"""Of a frame, in layers that are read: finer ones tell texture from texture, and their maps are large."""
Boxes = Float[Tensor, "t 4"]
"""Left, top, right and bottom, as shares of the frame, in each frame."""


def box_energy(maps: Float[Tensor, "t y x"], boxes: Boxes, centre_weight: float = 1.0) -> Float[Tensor, ""]:
    """The sum over frames of E_topk and E_CoM, least where what is looked at lies in the box, in full and alone.

    E_topk = -Topk(A M) + 4 Topk(A (1 - M)), means of the largest values of the map A inside and outside of the box M.
    E_CoM: squared distances, in shares of the frame, of A's centre of mass from the box's, and of its way to the next
    frame from the box's way. Frames whose box is the whole frame count nothing, nor does a way from or to one.

    Differs from the published code: a place that the box cuts belongs to it by its share, where the code rounds, so
    that a box of less than a place is not empty; centres are in shares of the frame and not in places, so that layers
    of any size count alike.
    """
    inside = covered(boxes, (maps.shape[-2], maps.shape[-1])).to(maps)
    asked = (inside < 1).flatten(1).any(dim=1).to(maps)
    topk = OUTSIDE_WEIGHT * _top(maps * (1 - inside), 1 - inside) - _top(maps * inside, inside)
    apart = centres(maps) - centres(inside)
    position, velocity = apart.square().sum(-1), (apart[1:] - apart[:-1]).square().sum(-1)
    centred = (asked * position).sum() + (asked[1:] * asked[:-1] * velocity).sum()
    return (asked * topk).sum() + centre_weight * centred


def covered(boxes: Boxes, size: tuple[int, int]) -> Float[Tensor, "t y x"]:
    """How much of each place of a grid lies in the box, 0..1."""
    rows, columns = (
        _covered(boxes[:, [one, other]], count) for one, other, count in ((1, 3, size[0]), (0, 2, size[1]))
    )
    return rearrange(rows, "t y -> t y 1") * rearrange(columns, "t x -> t 1 x")


def _covered(ends: Float[Tensor, "t 2"], count: int) -> Float[Tensor, "t count"]:
    """How much of each of so many parts of a side lies between two ends."""
    start, end = (ends * count).split(1, dim=1)
    part = torch.arange(count, device=ends.device)
    return ((end - part).clamp(max=1) - (start - part).clamp(min=0)).clamp(min=0)


def centres(maps: Float[Tensor, "t y x"]) -> Float[Tensor, "t 2"]:
    """The centre of mass of each map, from the left and from the top, as shares of the frame."""
    mass = maps.sum((-2, -1)).clamp(min=torch.finfo(maps.dtype).tiny)
    places = [((torch.arange(count) + 0.5) / count).to(maps) for count in maps.shape[-2:]]
    return torch.stack([(maps.sum(-2) @ places[1]) / mass, (maps.sum(-1) @ places[0]) / mass], dim=-1)


def _top(values: Float[Tensor, "t y x"], among: Float[Tensor, "t y x"]) -> Float[Tensor, " t"]:
    """The mean of the largest values of each frame, of TOP_SHARE of the places that count."""
    counts = (TOP_SHARE * among.sum((-2, -1))).long().clamp(min=1).tolist()
    return torch.stack([each.topk(count).values.mean() for each, count in zip(values.flatten(1), counts, strict=True)])


@dataclass(frozen=True, eq=False)
class BoxedWords:
    """Computes the energy of words and their boxes in layers of cross-attention, and changes nothing.

    tokens: the places of each thing's words. boxes: of each thing, by the frames' absolute numbers. Energies are the
    mean over a thing's tokens of that of their maps, which are the mean over heads; they keep their gradient.
    """

    tokens: Sequence[tuple[int, ...]]
    boxes: Sequence[Mapping[int, Float[Tensor, " 4"]]]
    centre_weight: float = 1.0
    energies: list[Tensor] = field(default_factory=list)
    """One of each thing in each layer that was passed."""

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In cross-attention."""
        return kind is SiteKind.CROSS

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The answer as it is."""
        if call.q.shape[1] <= MOST_PLACES:
            maps = rearrange(call.probabilities().float().mean(1), "b (y x) m -> m b y x", y=call.grid[0])
            for tokens, boxes in zip(self.tokens, self.boxes, strict=True):
                at = torch.stack([boxes[frame] for frame in frames_of(call)])
                each = [box_energy(maps[token], at, self.centre_weight) for token in tokens]
                self.energies.append(torch.stack(each).mean())
        return attend(call)

    @property
    def energy(self) -> Float[Tensor, ""]:
        """The mean over things and layers, of the frames together. Raises BackboneError where no layer was passed."""
        if not self.energies:
            raise BackboneError(
                "no layer of this network looks at words in few enough places to hold them to boxes; "
                "leave the layout out, or make smaller frames"
            )
        return torch.stack(self.energies).mean()
