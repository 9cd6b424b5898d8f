"""What an edit costs: evaluations of the network."""

from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from recast.backbones.backbone import Backbone
from recast.denoising import Branch
from recast.types import Condition, Latents


class Call(NamedTuple):
    """What is alike in calls that take the same.

    shape: of the latents. branches: of each the shape of its tokens and its flags, in the order of `Branch`.
    """

    shape: tuple[int, ...]
    branches: tuple[tuple[tuple[int, ...], bool, bool, bool, bool], ...]

    @classmethod
    def of(cls, x: Latents, branches: Sequence[Branch]) -> "Call":
        """That of a call of `denoise_branches`."""
        return cls(
            tuple(x.shape),
            tuple(
                (tuple(each.tokens.shape), each.temporal, each.picture, each.perturbed, each.frames_alone)
                for each in branches
            ),
        )


@dataclass
class Evaluations:
    """How often the network was evaluated: each branch of each call is one evaluation, whatever shares a batch.

    numbers: those of latents that it was evaluated on, which are as many a frame as the frame's latents have.
    gradients: how many of them gradients were asked of, so that a pass backward may follow, dearer than the evaluation.
    calls: how many there were of each kind.
    """

    count: int = 0
    numbers: int = 0
    gradients: int = 0
    calls: Counter[Call] = field(default_factory=Counter)


def counted(backbone: Backbone) -> tuple[Backbone, Evaluations]:
    """A backbone with the same networks that answers the same and counts, and its count; the first one is unchanged."""
    evaluations, counting = Evaluations(), copy(backbone)

    def denoise_branches(x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]) -> list[Latents]:
        evaluations.count += len(branches)
        evaluations.numbers += len(branches) * x.numel()
        evaluations.calls[Call.of(x, branches)] += 1
        if torch.is_grad_enabled():
            evaluations.gradients += sum(x.requires_grad or branch.tokens.requires_grad for branch in branches)
        return backbone.denoise_branches(x, sigma, condition, branches)

    # A copy of the same class, and no wrapper class: it has all that this family of backbones has. Frozen dataclasses
    # refuse a plain assignment.
    object.__setattr__(counting, "denoise_branches", denoise_branches)
    return counting, evaluations
