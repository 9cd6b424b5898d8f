"""Optical flow by recurrent refinement: RAFT, arXiv:2003.12039, the large network. Weights: `conditions/raft.py`.

Modules are named as in the published weights.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

STRIDE = 8
"""Pixels of a frame to a place of its features."""
LEVELS, RADIUS = 4, 4
"""Sizes at which correlations are looked up, each half the one before, and places to each side."""
WIDTH = 128
"""Channels of the hidden state, and of the context."""

Features = Float[Tensor, "b c y x"]
Hidden = Float[Tensor, "b e y x"]
Found = Float[Tensor, "b f y x"]
"""Correlations around where each place is thought to be, of all levels."""
Places = Float[Tensor, "b 2 y x"]
"""Columns and rows of the other frame's features that each place is thought to be at."""


class RAFT(nn.Module):
    """Flow from frames into others, in pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.fnet = RAFTEncoder(nn.InstanceNorm2d)
        self.cnet = RAFTEncoder(nn.BatchNorm2d)
        self.update_block = Update()

    def forward(
        self, frames: Float[Tensor, "b 3 h w"], others: Float[Tensor, "b 3 h w"], rounds: int
    ) -> Float[Tensor, "b 2 h w"]:
        """frames: -1..1, with sides of at least 128 px that are multiples of 8. rounds: of refinement; published 12."""
        pyramid = correlations(self.fnet(frames), self.fnet(others))
        hidden, context = self.cnet(frames).split(WIDTH, dim=1)
        hidden, context = hidden.tanh(), context.relu()
        start = own_places(hidden)
        places, mask = start, hidden
        for _ in range(rounds):
            hidden, mask, step = self.update_block(hidden, context, looked_up(pyramid, places), places - start)
            places = places + step
        return upsampled(places - start, mask)


class RAFTEncoder(nn.Module):
    """Features at an eighth of the size."""

    def __init__(self, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.norm1 = norm(64)
        self.layer1 = nn.Sequential(ResidualUnit(64, 64, 1, norm), ResidualUnit(64, 64, 1, norm))
        self.layer2 = nn.Sequential(ResidualUnit(64, 96, 2, norm), ResidualUnit(96, 96, 1, norm))
        self.layer3 = nn.Sequential(ResidualUnit(96, 128, 2, norm), ResidualUnit(128, 128, 1, norm))
        self.conv2 = nn.Conv2d(128, 2 * WIDTH, 1)

    def forward(self, frames: Float[Tensor, "b 3 h w"]) -> Features:
        """frames: -1..1, with sides that are multiples of 8."""
        x = self.norm1(self.conv1(frames)).relu()
        return self.conv2(self.layer3(self.layer2(self.layer1(x))))


class ResidualUnit(nn.Module):
    """Two convolutions beside what they read."""

    def __init__(self, channels: int, width: int, stride: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1)
        self.norm1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = norm(width)
        smaller = nn.Sequential(nn.Conv2d(channels, width, 1, stride=stride), norm(width))
        self.downsample = nn.Identity() if stride == 1 else smaller

    def forward(self, x: Features) -> Float[Tensor, "b d v u"]:
        """As many features, at the size that the stride makes."""
        y = self.norm1(self.conv1(x)).relu()
        return (self.downsample(x) + self.norm2(self.conv2(y)).relu()).relu()


class Update(nn.Module):
    """One round: the new hidden state, weights of the finer flow, and how far each place moves."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MotionEncoder()
        self.gru = SeparableGRU()
        self.flow_head = nn.ModuleDict(
            {"conv1": nn.Conv2d(WIDTH, 256, 3, padding=1), "conv2": nn.Conv2d(256, 2, 3, padding=1)}
        )
        self.mask = nn.Sequential(
            nn.Conv2d(WIDTH, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 9 * STRIDE * STRIDE, 1)
        )

    def forward(self, hidden: Hidden, context: Hidden, found: Found, flow: Places) -> tuple[Hidden, Features, Places]:
        """flow: so far, in places."""
        hidden = self.gru(hidden, torch.cat([context, self.encoder(flow, found)], dim=1))
        step = self.flow_head["conv2"](self.flow_head["conv1"](hidden).relu())
        return hidden, 0.25 * self.mask(hidden), step  # .25 balances gradients, in the published network


class MotionEncoder(nn.Module):
    """Flow so far and what was found along it, as features."""

    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * RADIUS + 1) ** 2, 256, 1)
        self.convc2 = nn.Conv2d(256, 192, 3, padding=1)
        self.convf1 = nn.Conv2d(2, 128, 7, padding=3)
        self.convf2 = nn.Conv2d(128, 64, 3, padding=1)
        self.conv = nn.Conv2d(64 + 192, WIDTH - 2, 3, padding=1)

    def forward(self, flow: Places, found: Found) -> Features:
        """The last two channels are the flow itself."""
        seen = self.convc2(self.convc1(found).relu()).relu()
        moved = self.convf2(self.convf1(flow).relu()).relu()
        return torch.cat([self.conv(torch.cat([seen, moved], dim=1)).relu(), flow], dim=1)


class SeparableGRU(nn.Module):
    """A gated recurrent unit with kernels along rows, then one with kernels along columns."""

    def __init__(self) -> None:
        super().__init__()
        for number, kernel in ((1, (1, 5)), (2, (5, 1))):
            padding = (kernel[0] // 2, kernel[1] // 2)
            for gate in "zrq":
                self.add_module(f"conv{gate}{number}", nn.Conv2d(3 * WIDTH, WIDTH, kernel, padding=padding))

    def forward(self, hidden: Hidden, x: Features) -> Hidden:
        """The hidden state after both kernels. x: what is read."""
        for number in (1, 2):
            update, reset, new = (getattr(self, f"conv{gate}{number}") for gate in "zrq")
            both = torch.cat([hidden, x], dim=1)
            share = update(both).sigmoid()
            fresh = new(torch.cat([reset(both).sigmoid() * hidden, x], dim=1)).tanh()
            hidden = (1 - share) * hidden + share * fresh
        return hidden


def own_places(like: Features) -> Places:
    """Where each place is: its column and its row."""
    rows, columns = torch.meshgrid(*(torch.arange(side) for side in like.shape[-2:]), indexing="ij")
    return torch.stack([columns, rows]).to(like).expand(len(like), -1, -1, -1)


def correlations(features: Features, others: Features) -> list[Tensor]:
    """The product of each place's features with those of all places of the other frame, and means of 2, 4 and 8.

    Each of shape [n, 1, rows, columns], n the places of all frames. Section 3.2.
    """
    products = torch.einsum("bcyx,bcvu->byxvu", features, others) / features.shape[1] ** 0.5
    pyramid = [rearrange(products, "b y x v u -> (b y x) 1 v u")]
    for _ in range(LEVELS - 1):
        pyramid.append(F.avg_pool2d(pyramid[-1], 2))
    return pyramid


def looked_up(pyramid: list[Tensor], places: Places) -> Features:
    """Correlations around where each place is thought to be, bilinear; 0 outside of the frame.

    Channels: level by level, and in a level column by column of the neighbourhood, as the weights expect them.
    """
    b, _, y, x = places.shape
    reach = torch.arange(-RADIUS, RADIUS + 1, device=places.device, dtype=places.dtype)
    near = torch.stack(torch.meshgrid(reach, reach, indexing="ij"), dim=-1)  # [column, row, (to the right, down)]
    centres = rearrange(places, "b xy y x -> (b y x) 1 1 xy")
    found = []
    for level, products in enumerate(pyramid):
        last = places.new_tensor([max(products.shape[-1] - 1, 1), max(products.shape[-2] - 1, 1)])
        grid = 2 * (centres / 2**level + near) / last - 1
        seen = F.grid_sample(products, grid, align_corners=True)
        found.append(rearrange(seen, "(b y x) 1 i j -> b (i j) y x", b=b, y=y, x=x))
    return torch.cat(found, dim=1)


def upsampled(flow: Places, mask: Float[Tensor, "b c y x"]) -> Float[Tensor, "b 2 h w"]:
    """Flow in pixels: of each pixel a mean of the 3 x 3 coarse neighbours, with weights by `mask`. Section 3.3."""
    y, x = flow.shape[-2:]
    weights = rearrange(mask, "b (n p q) y x -> b 1 n p q y x", n=9, p=STRIDE).softmax(dim=2)
    around = rearrange(F.unfold(STRIDE * flow, 3, padding=1), "b (xy n) (y x) -> b xy n 1 1 y x", n=9, y=y, x=x)
    return rearrange((weights * around).sum(dim=2), "b xy p q y x -> b xy (y p) (x q)")
