"""How much of a pixel on an outline is the layer above: solved from what both layers show there."""

from dataclasses import replace

import torch
import torch.nn.functional as F

from recast.conditions.warping import Shares
from recast.substrates.layers import Substrate
from recast.types import Maps

BAND_PX = 2
"""Pixels on both sides of an outline in which the alpha is free."""
KEPT = 0.02
"""What a change of alpha by 1 counts beside a squared error of colour of 1."""


def matted(substrate: Substrate, shown: Maps) -> Substrate:
    """With alphas near outlines that bring the layers nearest to the frames; one layer stays as it is.

    In closed form, pixel by pixel, for each layer over what lies below it; the given alpha is the prior.
    """
    if len(substrate.layers) == 1:
        return substrate
    below, layers = substrate.layers[0].rendered(), [substrate.layers[0]]
    for layer in substrate.layers[1:]:
        over = layer.rendered()
        alpha = _solved(shown, below, over, layer.alpha)
        layers.append(replace(layer, alpha=alpha))
        below = below + alpha * (over - below)
    return replace(substrate, layers=tuple(layers))


def _solved(shown: Maps, below: Maps, over: Maps, alpha: Shares) -> Shares:
    step = over - below
    along = ((shown - below) * step).sum(dim=1, keepdim=True) + KEPT * alpha
    best = (along / (step.square().sum(dim=1, keepdim=True) + KEPT)).clamp(0, 1)
    side = 2 * BAND_PX + 1
    grown, shrunk = F.max_pool2d(alpha, side, 1, BAND_PX), -F.max_pool2d(-alpha, side, 1, BAND_PX)
    free = (grown - shrunk > 0.5).to(alpha)
    return torch.lerp(alpha, best, free)
