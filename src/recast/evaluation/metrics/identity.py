"""Subjects that are found where they should be, and that are the same before and after they were hidden.

A subject is found in a frame where the judge reads its asked colour under its true outline. The outline is given, since
the judge's own, made for one subject, misses half of the outlines of subjects that meet, on true renders too.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recast.evaluation.cases.crossings import CrossingCase, passes_behind
from recast.evaluation.judge.judge import Judge
from recast.evaluation.metrics.accuracy import pointed
from recast.types import Frames
from recast.world.words import COLOURS

Readings = Float[Tensor, "subjects t colours"]


def identity(frames: Frames, case: CrossingCase, judge: Judge) -> dict[str, float]:
    """What a clip gets as an edit of the case's source.

    found: the share of visible subjects, over all frames, that are found. counted: the share of frames in which all are
    that are visible. swapped: the share of them that have the colour asked of another one. identity: of the subjects
    that are hidden for a while, the share that has its asked colour both before and after, each read over all its
    frames.
    """
    masks = torch.from_numpy(case.masks)
    readings = torch.stack([judge.colours(frames, pointed(mask), mask) for mask in masks])
    return scores(readings, [subject.colour for subject in case.truth.subjects], case.visible)


def scores(readings: Readings, asked: list[str], visible: np.ndarray) -> dict[str, float]:
    """The measures of `identity`. readings: log-probabilities of colours, in the order of COLOURS."""
    names = list(COLOURS)
    wanted = torch.tensor([names.index(colour) for colour in asked])
    seen, read = torch.from_numpy(visible), readings.argmax(dim=2)
    right = read == wanted[:, None]
    others = torch.isin(read, wanted) & ~right
    frames = seen.any(dim=0)
    kept = []
    for row, log_probabilities, colour in zip(visible, readings, wanted, strict=True):
        if (parts := passes_behind(row)) is not None:
            shown = [log_probabilities[part][torch.from_numpy(row[part])].mean(dim=0).argmax() for part in parts]
            kept.append(float(all(each == colour for each in shown)))
    return {
        "found": float(right[seen].float().mean()),
        "counted": float((right | ~seen).all(dim=0)[frames].float().mean()),
        "swapped": float(others[seen].float().mean()),
        "identity": float(np.mean(kept)),
    }
