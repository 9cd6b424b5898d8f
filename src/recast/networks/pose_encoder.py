"""Follow-Your-Pose's encoder: pictures of poses as residuals of an image network's features, at each resolution."""

from collections.abc import Sequence

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn

from recast.control import ControlResiduals

_EIGHTH = 8
"""Pixels of a picture that fall to a place of latents, along one side."""


class PoseEncoder(nn.Module):
    """A pyramid of convolutions that adds to what the way down of a UNet hands on. arXiv:2304.01186, section 3.2.

    It starts without effect: each resolution ends in convolutions of zeros, one for each map of features.
    widths: channels at each resolution. maps: how many maps of features the UNet hands on of each.
    """

    def __init__(self, *, widths: Sequence[int], maps: Sequence[Sequence[int]], read: int = 3) -> None:
        super().__init__()
        self.config = {"widths": list(widths), "maps": [list(each) for each in maps], "read": read}
        self.unshuffle = nn.PixelUnshuffle(_EIGHTH)
        self.levels, self.zeros = nn.ModuleList(), nn.ModuleList()
        before = read * _EIGHTH**2
        for number, (width, channels) in enumerate(zip(widths, maps, strict=True)):
            stride = 2 if number else 1
            self.levels.append(
                nn.Sequential(
                    nn.Conv2d(before, width, 3, stride=stride, padding=1),
                    nn.SiLU(),
                    nn.Conv2d(width, width, 3, padding=1),
                    nn.SiLU(),
                )
            )
            self.zeros.append(nn.ModuleList(_zero(nn.Conv2d(width, each, 1)) for each in channels))
            before = width
        self.middle = _zero(nn.Conv2d(before, maps[-1][-1], 1))

    @classmethod
    def of(cls, unet: UNet2DConditionModel) -> "PoseEncoder":
        """For this UNet: its widths, and the maps that its blocks hand on, the first convolution's before them."""
        widths, layers = unet.config.block_out_channels, unet.config.layers_per_block
        counts = [layers] * len(widths) if isinstance(layers, int) else list(layers)
        maps = [[width] * count for width, count in zip(widths, counts, strict=True)]
        maps[0].insert(0, widths[0])
        for level in range(1, len(widths)):
            maps[level].insert(0, widths[level - 1])  # what the block above hands on after its downsampling
        return cls(widths=widths, maps=maps)

    def forward(self, pictures: Float[Tensor, "t c h w"]) -> ControlResiduals:
        """Pictures of 0..1 as residuals of as many images."""
        features, down = self.unshuffle(pictures), []
        for level, zeros in zip(self.levels, self.zeros, strict=True):
            features = level(features)
            assert isinstance(zeros, nn.ModuleList), "one for each map of features"
            down += [zero(features) for zero in zeros]
        return ControlResiduals(tuple(down), self.middle(features))


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    for weight in layer.parameters():
        nn.init.zeros_(weight)
    return layer
