"""Whether an edit shows what was asked for, and keeps the subject where it was."""

import torch
from jaxtyping import Bool
from torch import Tensor

from recast.evaluation.judge import Judge
from recast.evaluation.worlds import Case
from recast.types import Frames

Masks = Bool[Tensor, "t h w"]


def accuracy(frames: Frames, case: Case, judge: Judge) -> dict[str, float]:
    """1 or 0 for each attribute that a perfect edit would show, and the overlap of outlines."""
    verdict = judge(frames)
    said = {name: float(getattr(verdict, name) == word) for name, word in case.wanted.items() if case.tells[name]}
    return said | {"outline": overlap(verdict.subject, torch.from_numpy(case.source.masks > 0))}


def overlap(seen: Masks, true: Masks) -> float:
    """Intersection over union, the mean over frames; 1 where both are empty."""
    both = (seen & true).sum(dim=(1, 2))
    either = (seen | true).sum(dim=(1, 2))
    return float(torch.where(either == 0, 1.0, both / either.clamp(min=1)).mean())
