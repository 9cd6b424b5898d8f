"""Channels shifted over time in an image network's convolutions, without weights: Latent-Shift, arXiv:2304.08477."""

from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn

from recast.networks.temporal import Features, TemporalContext

SHARE = 8
"""One of so many channels comes from the frame before, and one from the frame behind: TSM, arXiv:1811.08383."""


class TemporalShift(nn.Module):
    """Features of which some channels are the neighbouring frames'; at both ends they are 0. Nothing is learned."""

    def forward(self, x: Features) -> Features:
        """Features of whole clips, changed. A frame alone stays as it is."""
        if x.shape[1] == 1:
            return x
        fold = x.shape[2] // SHARE
        shifted = x.clone()
        shifted[:, 1:, :fold] = x[:, :-1, :fold]
        shifted[:, :-1, fold : 2 * fold] = x[:, 1:, fold : 2 * fold]
        shifted[:, 0, :fold] = 0
        shifted[:, -1, fold : 2 * fold] = 0
        return shifted


def with_shifted_channels(unet: UNet2DConditionModel, motion: TemporalContext) -> None:
    """Shifts what the first convolution of each residual block reads, so that the skip connection stays in its frame.

    The paper has "two portions of the channels" in the residual branch. Differs: how large they are is TSM's.
    """
    for block in [module for module in unet.modules() if isinstance(module, ResnetBlock2D)]:
        motion.precede(block.conv1, TemporalShift())
