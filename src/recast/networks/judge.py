"""The judge's network: classifies the attributes of a picture, and segments the subject at a given point."""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recast.world.words import COLOURS, ENVIRONMENTS, LOOKS

SPOT, HALO = 3.0, 32.0
"""Pixels: the standard deviation of the spot that points a subject out, and the reach of its halo."""
WIDTHS = (32, 64, 96, 128)
"""Channels at a half, a quarter, an eighth and a sixteenth of the size."""

Pictures = Float[Tensor, "b 3 h w"]
Shares = Float[Tensor, "b 1 h w"]
Points = Float[Tensor, "b 2"]
Spots = Float[Tensor, "b 2 h w"]


@dataclass(frozen=True, eq=False)
class JudgeOutput:
    """Logits. environment, look: of the whole picture; subject: of belonging to what was pointed at, at full size.

    features: what colours are read from, at half the size.
    """

    environment: Float[Tensor, "b environments"]
    look: Float[Tensor, "b looks"]
    subject: Shares
    features: Float[Tensor, "b c y x"]


class JudgeNetwork(nn.Module):
    """A convolutional pyramid down and up again, with heads for words, outline and colour. 1 M weights."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = WIDTHS
        # Four pixels of picture and spots are one place. No normalisation there: it would cost as much as all the rest.
        self.stem = nn.Sequential(_bare(4 * 5, half), _bare(half, half))
        self.down = nn.ModuleList([_stage(half, quarter), _stage(quarter, eighth), _stage(eighth, sixteenth)])
        self.lateral = nn.ModuleList(
            [nn.Conv2d(sixteenth, eighth, 1), nn.Conv2d(eighth, quarter, 1), nn.Conv2d(quarter, half, 1)]
        )
        last = nn.Sequential(_bare(half, half), _bare(half, half))
        self.up = nn.ModuleList([_conv(eighth, eighth), _conv(quarter, quarter), last])
        self.subject = nn.Conv2d(half, 4, 3, padding=1)
        self.whole = nn.Sequential(nn.Linear(2 * sum(WIDTHS), 128), nn.ReLU())
        self.environment, self.look = nn.Linear(128, len(ENVIRONMENTS)), nn.Linear(128, len(LOOKS))
        self.painted = nn.Sequential(nn.Linear(3 * (half + 3), 64), nn.ReLU(), nn.Linear(64, len(COLOURS)))
        # The mean of `encoded` over renders: taken away, embeddings of unlike pictures are about orthogonal.
        self.register_buffer("centre", torch.zeros(2 * sixteenth))

    def forward(self, pictures: Pictures, spots: Spots) -> JudgeOutput:
        """What is seen in pictures of -1..1, whose sides are multiples of 16. spots: see `spotted`."""
        levels = self._levels(pictures, spots)
        pooled = [statistic for level in levels for statistic in _statistics(level)]
        whole = self.whole(torch.cat(pooled, dim=1))
        x = levels[-1]
        for lateral, up, skip in zip(self.lateral, self.up, reversed(levels[:-1]), strict=True):
            x = up(F.interpolate(lateral(x), scale_factor=2.0) + skip)
        subject = F.pixel_shuffle(self.subject(x), 2)
        features = torch.cat([x, F.avg_pool2d(pictures, 2)], dim=1)
        return JudgeOutput(self.environment(whole), self.look(whole), subject, features)

    def encoded(self, pictures: Pictures) -> Float[Tensor, "b d"]:
        """Mean and standard deviation over places of each channel of the coarsest level, pointed at the middle."""
        return torch.cat(_statistics(self.coarsest(pictures)), dim=1)

    def coarsest(self, pictures: Pictures) -> Float[Tensor, "b _c _y _x"]:
        """The coarsest level, a place for every 16 px, pointed at the middle."""
        side = pictures.shape[-1]
        middle = spotted(torch.full((len(pictures), 2), side / 2), side)
        return self._levels(pictures, middle)[-1]

    def colour(self, seen: JudgeOutput, mask: Shares) -> Float[Tensor, "b colours"]:
        """Logits of the colour of what lies under a mask of 0..1, at the pictures' size."""
        share = F.avg_pool2d(mask, 2)
        # As rows of places, so that means are one product.
        features = rearrange(seen.features, "b c y x -> b (y x) c")
        weights = rearrange(torch.cat([share, 1 - share], dim=1), "b two y x -> b two (y x)")
        weights = weights / (weights.sum(dim=2, keepdim=True) + 1e-3)
        inside, outside = (weights @ features).unbind(dim=1)
        squares = (weights[:, :1] @ features.square())[:, 0]
        spread = (squares - inside.square()).clamp(min=1e-4).sqrt()
        return self.painted(torch.cat([inside, spread, outside], dim=1))

    def _levels(self, pictures: Pictures, spots: Spots) -> list[Float[Tensor, "b _c _y _x"]]:
        levels = [self.stem(F.pixel_unshuffle(torch.cat([pictures, spots], dim=1), 2))]
        for stage in self.down:
            levels.append(stage(levels[-1]))
        return levels


def spotted(points: Points, side: int) -> Spots:
    """A spot with its halo at each point: row and column in pixels of a picture with `side` of both.

    Both are 1 at the point, and the same whatever lies there. The halo falls so slowly that each place knows how far
    away the point is.
    """
    at = torch.arange(side) + 0.5
    down, across = ((at - points[:, axis, None]).square() for axis in (0, 1))
    squared = down[:, :, None] + across[:, None]
    return torch.stack([torch.exp(-squared / (2 * SPOT**2)), torch.exp(-squared.sqrt() / HALO)], dim=1)


def _statistics(x: Float[Tensor, "b c y x"]) -> tuple[Tensor, Tensor]:
    mean = x.mean(dim=(2, 3))
    return mean, (x.square().mean(dim=(2, 3)) - mean.square()).clamp(min=1e-5).sqrt()


def _bare(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU())


def _conv(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.GroupNorm(8, after), nn.ReLU()
    )


def _stage(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(_conv(before, after, stride=2), _conv(after, after), _conv(after, after))
