"""What an edit costs: evaluations of the network."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import torch

from recast.backbones.backbone import Backbone
from recast.denoising import Branch
from recast.types import Condition, Latents


@dataclass
class Evaluations:
    """How often the network was evaluated: each branch of each call is one evaluation, whatever shares a batch.

    numbers: those of latents that it was evaluated on, which are as many a frame as the frame's latents have.
    gradients: how many of them gradients were asked of, so that a pass backward may follow, dearer than the evaluation.
    """

    count: int = 0
    numbers: int = 0
    gradients: int = 0


def counted(backbone: Backbone) -> tuple[Backbone, Evaluations]:
    """A backbone with the same networks that answers the same and counts, and its count; the first one is unchanged."""
    evaluations, counting = Evaluations(), copy(backbone)

    def denoise_branches(x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]) -> list[Latents]:
        evaluations.count += len(branches)
        evaluations.numbers += len(branches) * x.numel()
        if torch.is_grad_enabled():
            evaluations.gradients += sum(x.requires_grad or branch.tokens.requires_grad for branch in branches)
        return backbone.denoise_branches(x, sigma, condition, branches)

    # A copy of the same class, and no wrapper class: it has all that this family of backbones has. Frozen dataclasses
    # refuse a plain assignment.
    object.__setattr__(counting, "denoise_branches", denoise_branches)
    return counting, evaluations
