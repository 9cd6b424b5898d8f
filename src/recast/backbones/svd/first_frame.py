"""The picture that a clip starts with, beside the latents of each branch."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from recast.backbones.branches import structure_of
from recast.control import FirstFrame
from recast.denoising import Branch
from recast.errors import BackboneError
from recast.types import Condition, Latents


def beside(
    frames: Latents, first: FirstFrame, branches: Mapping[int, Branch]
) -> Float[Tensor, "branches t channels y x"]:
    """The latents of each branch with the picture's behind each frame's; zeros in branches without content.

    Raises BackboneError for frames of another size than the picture.
    """
    sizes = [(each.shape[-2], each.shape[-1]) for each in (frames, first.latents)]
    if sizes[0] != sizes[1]:
        (rows, columns), own = sizes[0], sizes[1]
        wrong = f"frames of {rows}x{columns} latents cannot start with a picture of {own[0]}x{own[1]}"
        raise BackboneError(f"{wrong}; take a method that edits frames at their own size")
    clips = []
    for branch in branches.values():
        shown = first.latents.to(frames) * (branch.tokens.any() if branch.picture else 0)
        clips.append(torch.cat([frames, shown.expand(len(frames), -1, -1, -1)], dim=1))
    return torch.stack(clips)


def first_frame(condition: Condition, branches: Sequence[Branch]) -> FirstFrame:
    """What the clip starts with. Raises BackboneError for none, and for what the network cannot be given."""
    structure_of(condition, 0)
    if condition.residuals is not None:
        raise BackboneError("residuals are of a ControlNet's, and this network has none; leave them out")
    first, frames = condition.first, condition.frames
    if first is None:
        raise BackboneError("this model starts a clip from a picture and was given none; say --image FILE")
    for branch in branches:
        if branch.perturbed or branch.frames_alone:
            wrong = "perturbed-attention and motion-free guidance change single attention layers"
            raise BackboneError(f"{wrong}, which this network does not offer; leave them out")
        if branch.tokens.ndim == 3 and branch.temporal and len(branch.tokens) > 1:
            raise BackboneError("this model reads one prompt for a whole clip, and was given one for each frame")
        if branch.temporal and frames is not None and int(frames[0]) != first.number:
            wrong = f"the picture is frame {first.number}, and a window starts at frame {int(frames[0])}"
            raise BackboneError(f"{wrong}: take one window for the whole clip (--window), or fewer frames")
    return first
