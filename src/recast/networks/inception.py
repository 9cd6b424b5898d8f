"""FID's network: Inception v3 (arXiv:1512.00567) of 2015, as its published weights `pt_inception-2015-12-05` expect it.

It differs from the later Inception v3: 1008 classes, means of neighbourhoods that do not count what is outside of the
picture, and in the last block the largest of a neighbourhood. Modules are named as in the published weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SIDE = 299
"""Rows and columns of a picture that it was trained on, in px."""
CLASSES = 1008
EPSILON = 1e-3
"""Of its batch norms."""

Features = Float[Tensor, "b c y x"]
Size = tuple[int, int]


@dataclass(frozen=True)
class Kernel:
    """A convolution of a branch. halved: with a stride of 2 and without a border; others keep the size."""

    name: str
    width: int
    size: Size
    halved: bool = False


Step = Kernel | tuple[Kernel, Kernel]
"""One convolution, or two of the same features, side by side."""
Branch = tuple[Step, ...]


def mean_pooled(x: Features) -> Features:
    """The mean of each place's 3 x 3 neighbours that are in the picture."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def max_pooled(x: Features) -> Features:
    """The largest of each place's 3 x 3 neighbours."""
    return F.max_pool2d(x, 3, stride=1, padding=1)


def halved(x: Features) -> Float[Tensor, "b c v u"]:
    """The largest of 3 x 3 places, at every second one."""
    return F.max_pool2d(x, 3, stride=2)


class FIDInception(nn.Module):
    """From pictures to the 2048 features that FID compares, and from these to logits of classes."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, Kernel("", 32, (3, 3), halved=True))
        self.Conv2d_2a_3x3 = Convolution(32, Kernel("", 32, (3, 3)), border=False)
        self.Conv2d_2b_3x3 = Convolution(32, Kernel("", 64, (3, 3)))
        self.Conv2d_3b_1x1 = Convolution(64, Kernel("", 80, (1, 1)))
        self.Conv2d_4a_3x3 = Convolution(80, Kernel("", 192, (3, 3)), border=False)
        self.Mixed_5b = Mixed(192, _of_35(), mean_pooled, 32)
        self.Mixed_5c = Mixed(256, _of_35(), mean_pooled, 64)
        self.Mixed_5d = Mixed(288, _of_35(), mean_pooled, 64)
        self.Mixed_6a = Mixed(288, _to_17(), halved)
        self.Mixed_6b = Mixed(768, _of_17(128), mean_pooled, 192)
        self.Mixed_6c = Mixed(768, _of_17(160), mean_pooled, 192)
        self.Mixed_6d = Mixed(768, _of_17(160), mean_pooled, 192)
        self.Mixed_6e = Mixed(768, _of_17(192), mean_pooled, 192)
        self.Mixed_7a = Mixed(768, _to_8(), halved)
        self.Mixed_7b = Mixed(1280, _of_8(), mean_pooled, 192)
        self.Mixed_7c = Mixed(2048, _of_8(), max_pooled, 192)
        self.fc = nn.Linear(2048, CLASSES)

    def forward(self, frames: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 2048"]:
        """frames: -1..1, of SIDE px."""
        x = halved(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(frames))))
        x = halved(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        for stage, letters in (("5", "bcd"), ("6", "abcde"), ("7", "abc")):
            for letter in letters:
                x = getattr(self, f"Mixed_{stage}{letter}")(x)
        return x.mean(dim=(2, 3))

    def logits(self, features: Float[Tensor, "b 2048"]) -> Float[Tensor, "b 1008"]:
        """Without the classifier's bias, which the published inception score leaves out (arXiv:1606.03498's code)."""
        return features @ self.fc.weight.T


class Mixed(nn.Module):
    """Branches of convolutions beside a pooling, joined. pooled: channels that the pooling is brought to; 0: as is."""

    def __init__(
        self, channels: int, branches: tuple[Branch, ...], pool: Callable[[Features], Tensor], pooled: int = 0
    ) -> None:
        super().__init__()
        self.branches, self.pool = branches, pool
        for branch in branches:
            read = channels
            for step in branch:
                kernels = (step,) if isinstance(step, Kernel) else step
                for kernel in kernels:
                    self.add_module(kernel.name, Convolution(read, kernel))
                read = kernels[0].width
        self.branch_pool = Convolution(channels, Kernel("", pooled, (1, 1))) if pooled else nn.Identity()

    def forward(self, x: Features) -> Float[Tensor, "b d v u"]:
        """The branches' channels in the order of the weights, the pooling's last."""
        found = [self._branch(branch, x) for branch in self.branches]
        return torch.cat([*found, self.branch_pool(self.pool(x))], dim=1)

    def _branch(self, branch: Branch, x: Features) -> Float[Tensor, "b d v u"]:
        for step in branch:
            kernels = (step,) if isinstance(step, Kernel) else step
            x = torch.cat([getattr(self, kernel.name)(x) for kernel in kernels], dim=1)
        return x


class Convolution(nn.Module):
    """A convolution without bias, a batch norm and a rectifier. border: keeps the size, where it is not halved."""

    def __init__(self, channels: int, kernel: Kernel, *, border: bool = True) -> None:
        super().__init__()
        rows, columns = kernel.size
        padding = (rows // 2, columns // 2) if border and not kernel.halved else 0
        stride = 2 if kernel.halved else 1
        self.conv = nn.Conv2d(channels, kernel.width, kernel.size, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(kernel.width, eps=EPSILON)
        self.bn.num_batches_tracked = None  # the published weights do not all have it, and nothing reads it

    def forward(self, x: Features) -> Float[Tensor, "b d v u"]:
        """As many channels as the kernel is wide."""
        return self.bn(self.conv(x)).relu()


def _chain(name: str, *widths_and_sizes: tuple[int, Size]) -> Branch:
    """Convolutions one after the other, numbered from 1."""
    return tuple(Kernel(f"{name}_{n}", *each) for n, each in enumerate(widths_and_sizes, 1))


def _shrunk(branch: Branch) -> Branch:
    """The branch, with its last convolution halving the size."""
    last = branch[-1]
    assert isinstance(last, Kernel)
    return (*branch[:-1], Kernel(last.name, last.width, last.size, halved=True))


def _of_35() -> tuple[Branch, ...]:
    """Fig. 5 of the paper, with a 5 x 5 kernel where it has two of 3 x 3; at 35 x 35 places."""
    return (
        (Kernel("branch1x1", 64, (1, 1)),),
        _chain("branch5x5", (48, (1, 1)), (64, (5, 5))),
        _chain("branch3x3dbl", (64, (1, 1)), (96, (3, 3)), (96, (3, 3))),
    )


def _to_17() -> tuple[Branch, ...]:
    """Fig. 10: from 35 x 35 to 17 x 17 places."""
    return (
        (Kernel("branch3x3", 384, (3, 3), halved=True),),
        _shrunk(_chain("branch3x3dbl", (64, (1, 1)), (96, (3, 3)), (96, (3, 3)))),
    )


def _of_17(width: int) -> tuple[Branch, ...]:
    """Fig. 6: kernels of 7 x 7 as one along a row and one along a column."""
    row, column = (1, 7), (7, 1)
    twice = ((width, (1, 1)), (width, column), (width, row), (width, column), (192, row))
    return (
        (Kernel("branch1x1", 192, (1, 1)),),
        _chain("branch7x7", (width, (1, 1)), (width, row), (192, column)),
        _chain("branch7x7dbl", *twice),
    )


def _to_8() -> tuple[Branch, ...]:
    """From 17 x 17 to 8 x 8 places."""
    return (
        _shrunk(_chain("branch3x3", (192, (1, 1)), (320, (3, 3)))),
        _shrunk(_chain("branch7x7x3", (192, (1, 1)), (192, (1, 7)), (192, (7, 1)), (192, (3, 3)))),
    )


def _of_8() -> tuple[Branch, ...]:
    """Fig. 7: a row and a column side by side, at 8 x 8 places."""
    return (
        (Kernel("branch1x1", 320, (1, 1)),),
        (Kernel("branch3x3_1", 384, (1, 1)), _both("branch3x3_2", 384)),
        (Kernel("branch3x3dbl_1", 448, (1, 1)), Kernel("branch3x3dbl_2", 384, (3, 3)), _both("branch3x3dbl_3", 384)),
    )


def _both(name: str, width: int) -> tuple[Kernel, Kernel]:
    return Kernel(f"{name}a", width, (1, 3)), Kernel(f"{name}b", width, (3, 1))
