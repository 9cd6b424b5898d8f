"""What a step of a backbone costs at real size, counted on the meta device."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from recast.denoising import Branch
from recast.training.cost import fused_attention
from recast.training.live_memory import Alive

FRAMES, ROWS, COLUMNS = 8, 256, 448


def on_meta(kind, **config):
    with torch.device("meta"):
        return kind(**config).half().requires_grad_(False).eval()


def step_cost(backbone, latents, condition, branches):
    """Of a step: products in TFLOP, the peak of its activations in GB, and operators, in half precision.

    Attention is fused. branches: whether frames see each other, and whether content is given, in each.
    """
    x = torch.zeros(latents, device="meta")
    asked = [
        Branch(condition.cond if content else condition.uncond, temporal=temporal) for temporal, content in branches
    ]
    counter, alive = FlopCounterMode(display=False), Alive()
    with torch.no_grad(), fused_attention(), counter, alive:
        backbone.denoise_branches(x, 2.0, condition, asked)
    return counter.get_total_flops() / 1e12, alive.most / 1e9, alive.operators


def gigabytes(networks):
    """Of their weights, in half precision."""
    return sum(weight.numel() for network in networks for weight in network.parameters()) * 2 / 1e9
