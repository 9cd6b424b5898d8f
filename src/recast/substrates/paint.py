"""A layer painted over until the clip shows what words say, as a CLIP pair finds: Text2LIVE, arXiv:2204.02491."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from recast.conditions.clip_pair import ClipPair, WordDirection
from recast.progress import Report, unreported
from recast.substrates.layers import Canvas, Substrate, sampled
from recast.types import Maps

GREEN = (0.0, 1.0, 0.0)
LEAST_SHARE = 0.85
"""Of a frame's sides, that a random view of it shows at the least."""
FRAMES_A_STEP = 2


@dataclass(frozen=True, kw_only=True)
class PaintSettings:
    """How a layer is painted. Weights are the paper's (section 3.2 and its appendix), beside a composition of 1.

    screen: of the paint alone over green being what words say. structure: of patches being as alike among each other as
    the clip's. sparsity: of paint where there is any.
    """

    steps: int = 300
    rate: float = 2.5e-3
    screen: float = 1.0
    structure: float = 2.0
    sparsity: float = 0.05
    seed: int = 0


class Painter(nn.Module):
    """A picture to colours and alpha of the paint on it: a U-Net of three scales, trained on this one picture.

    What a network makes of its own weights is smooth before it is noise, which is the prior that paint has.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        widths = (width, 2 * width, 3 * width)
        self.down = nn.ModuleList(_block(before, after) for before, after in zip((3, *widths), widths, strict=False))
        self.up = nn.ModuleList(_block(widths[k] + widths[k - 1], widths[k - 1]) for k in (2, 1))
        self.out = nn.Conv2d(width, 4, 1)

    def forward(self, picture: Float[Tensor, "3 y x"]) -> Float[Tensor, "4 y x"]:
        """Colours, then alpha, all 0..1."""
        x, kept = picture[None], []
        for number, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2, ceil_mode=True) if number else x)
            kept.append(x)
        for block, beside in zip(self.up, kept[-2::-1], strict=True):
            x = F.interpolate(x, beside.shape[-2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([x, beside], dim=1))
        return self.out(x).sigmoid()[0]


@dataclass(frozen=True, eq=False)
class PaintedLayer:
    """One layer of a substrate while it is painted. shares: how much of each pixel of each frame is each layer's."""

    substrate: Substrate
    index: int
    shares: Sequence[Float[Tensor, "t 1 h w"]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", self.substrate.shares())

    @property
    def picture(self) -> Canvas:
        """As it was fitted."""
        return self.substrate.layers[self.index].picture

    def frame(self, canvas: Canvas, number: int) -> Maps:
        """A frame of the clip with the layer as `canvas` has it; lets gradients through."""
        parts = []
        for index, (layer, share) in enumerate(zip(self.substrate.layers, self.shares, strict=True)):
            shown = canvas if index == self.index else layer.picture
            parts.append(share[[number]] * sampled(shown, layer.places[[number]], layer.picture.shape[-2:]))
        return torch.stack(parts).sum(dim=0)

    def alone(self, paint: Float[Tensor, "4 y x"], number: int) -> Maps:
        """The paint by itself over green, where a frame shows it."""
        layer = self.substrate.layers[self.index]
        laid = torch.cat([paint[3:] * paint[:3], paint[3:]])
        seen = self.shares[self.index][[number]] * sampled(laid, layer.places[[number]])
        return seen[:, :3] + (1 - seen[:, 3:]) * seen.new_tensor(GREEN).reshape(1, 3, 1, 1)


@dataclass(frozen=True, eq=False)
class Objective:
    """What paint on a layer is trained for.

    Differs from the paper: paint is judged over green without words for the screen; patches are compared by the
    features of the last layer, not by its keys; views are of whole frames, not of the layer's box.
    """

    layer: PaintedLayer
    pair: ClipPair
    words: WordDirection
    settings: PaintSettings

    def loss(self, paint: Float[Tensor, "4 y x"], numbers: Sequence[int]) -> Tensor:
        """Of paint as these frames show it, in one random view."""
        canvas, alpha = laid(paint, self.layer.picture), paint[3:]
        own = torch.cat([self.layer.frame(self.layer.picture, number) for number in numbers])
        composed = torch.cat([self.layer.frame(canvas, number) for number in numbers])
        alone = torch.cat([self.layer.alone(paint, number) for number in numbers])
        views = _view([own, composed, alone])
        (before, own_patches), (after, patches), (screened, _) = map(self.pair.pictures.seen, views)
        alike = (_alike(patches) - _alike(own_patches)).square().mean().sqrt()
        # Twice the mean alpha, and a smooth count of the places that have any.
        much = 2 * alpha.mean() + (2 * (5 * alpha).sigmoid() - 1).mean()
        return (
            self.words.off(before, after).mean()
            + self.settings.screen * (1 - screened @ self.words.wanted.to(after.device)).mean()
            + self.settings.structure * alike
            + self.settings.sparsity * much
        )


def painted(objective: Objective, report: Report = unreported) -> Canvas:
    """The layer's picture with paint on it, which makes the clip what words say."""
    settings, layer = objective.settings, objective.layer
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(settings.seed)
        painter = Painter()
        optimizer = torch.optim.Adam(painter.parameters(), settings.rate)
        for step in range(settings.steps):
            report(step, settings.steps)
            numbers = torch.randint(len(layer.substrate), (FRAMES_A_STEP,)).tolist()
            optimizer.zero_grad()
            objective.loss(painter(layer.picture), numbers).backward()
            optimizer.step()
    report(settings.steps, settings.steps)
    with torch.no_grad():
        return laid(painter(layer.picture), layer.picture)


def laid(paint: Float[Tensor, "4 y x"], picture: Canvas) -> Canvas:
    """Paint, colours and alpha, over a picture."""
    return paint[3:] * paint[:3] + (1 - paint[3:]) * picture


def _view(pictures: Sequence[Maps]) -> list[Float[Tensor, "_ _ _ _"]]:
    """The same random window of each."""
    rows, columns = pictures[0].shape[-2:]
    share = LEAST_SHARE + (1 - LEAST_SHARE) * torch.rand(2)
    height, width = (max(1, int(side * part)) for side, part in zip((rows, columns), share.tolist(), strict=True))
    top, left = (int(torch.randint(space + 1, ())) for space in (rows - height, columns - width))
    return [each[..., top : top + height, left : left + width] for each in pictures]


def _alike(patches: Float[Tensor, "b n d"]) -> Float[Tensor, "b n n"]:
    unit = F.normalize(patches, dim=-1)
    return unit @ unit.transpose(1, 2)


def _block(before: int, after: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(4, after), nn.LeakyReLU(0.2))
