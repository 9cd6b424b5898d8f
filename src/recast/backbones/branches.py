"""What backbones of every family do alike with the branches and frames that they are asked for."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor

from recast.denoising import Branch
from recast.diffusion.schedule import sigmas_within
from recast.errors import BackboneError, RequestError, ShapeError
from recast.networks.attention import hooked
from recast.networks.hooks import PassContext
from recast.networks.identity_attention import IdentityAttention
from recast.networks.spacetime import SpaceTimeUNet
from recast.networks.temporal import BatchLayout
from recast.types import Condition, Kind, Latents, Maps, StructureUse


def batches(branches: Sequence[Branch], *, together: bool) -> list[dict[int, Branch]]:
    """The branches of each pass by their number: all at once where asked for and their tokens have one length.

    Tokens of all frames and tokens of each frame may stand beside each other.
    """
    numbered = dict(enumerate(branches))
    alike = len({branch.tokens.shape[-2:] for branch in branches}) == 1
    return [numbered] if together and alike else [{number: branch} for number, branch in numbered.items()]


def passes(branches: Sequence[Branch], *, together: bool, single: bool) -> list[Mapping[int, Branch]]:
    """The branches of each pass by their number: alike in their tokens' length, and in whether latents see others."""
    passes: dict[tuple[object, ...], dict[int, Branch]] = {}
    for number, branch in enumerate(branches):
        alike = (branch.temporal or single, branch.tokens.shape[-2]) if together else (number,)
        passes.setdefault(alike, {})[number] = branch
    return list(passes.values())


def isolated(
    network: UNet2DConditionModel | SpaceTimeUNet, context: PassContext, branches: Sequence[Branch]
) -> AbstractContextManager[None]:
    """Inside, attention is as `Branch.perturbed` and `Branch.frames_alone` have it, by the branches' numbers.

    Other hooks are not called where these answer. Nothing changes where no branch has them.
    """
    perturbed, alone = (
        frozenset(number for number, branch in enumerate(branches) if getattr(branch, name))
        for name in ("perturbed", "frames_alone")
    )
    if not perturbed | alone:
        return nullcontext()
    return hooked(network, IdentityAttention(perturbed, alone), context=context, outermost=True)


def frame_numbers(condition: Condition, count: int) -> tuple[int, ...]:
    """The frames' absolute numbers where the condition keeps them, and else from 0 on."""
    frames = condition.frames
    return tuple(range(count)) if frames is None else tuple(frames.tolist())


def temporal_layout(frames: int, temporal: Sequence[bool], most: int, device: torch.device) -> BatchLayout | None:
    """The layout of a batch of clips of so many frames, by the branches in which frames see each other.

    None where they do in none. Raises ShapeError for more frames than there are positions, `most`.
    """
    if not any(temporal):
        return None
    if frames > most:
        wrong = f"the motion modules see at most {most} frames at once and were given {frames}"
        raise ShapeError(f"{wrong}; use smaller windows")
    if all(temporal):
        return BatchLayout(frames)
    return BatchLayout(frames, torch.tensor([index for index, on in enumerate(temporal) if on], device=device))


def with_structure(x: Latents, condition: Condition, channels: int) -> Float[Tensor, "t channels y x"]:
    """Latents and the condition's structure channels, which the network reads as `channels` more input channels.

    Raises BackboneError for another number.
    """
    structure_channels = structure_of(condition, channels)
    return x if structure_channels is None else torch.cat([x, structure_channels.to(x)], dim=1)


def structure_of(condition: Condition, channels: int) -> Maps | None:
    """The condition's structure channels; None where the network reads none. Raises BackboneError for another number.

    It also refuses structures for ControlNets, which only families that have some may read.
    """
    if condition.controls:
        raise BackboneError("structures were prepared for ControlNets, and this model has none; prepare them by it")
    structure_channels = condition.structure_channels
    given = 0 if structure_channels is None else structure_channels.shape[1]
    if given != channels:
        raise BackboneError(f"the model needs {channels} structure channels and was given {given or 'none'}")
    return structure_channels


def check_sole(structures: Sequence[StructureUse], kinds: AbstractSet[Kind], *, optional: bool = False) -> None:
    """What a network can do that reads one structure as input channels, at every noise level alike.

    optional: whether it knows no structure, a weight of 0. Raises BackboneError for another kind than it was trained
    with, for several, a weight or a range.
    """
    structure = sole(structures)
    check_kind(structure, kinds)
    start, stop = structure.within
    weights = (0, 1) if optional else (1,)
    changed = [f"weight {structure.weight:g}"] if structure.weight not in weights else []
    changed += [f"range {start:g}-{stop:g}"] if structure.within != (0, 1) else []
    if changed:
        wrong = f"{structure.kind} cannot have {' and '.join(changed)} here"
        raise BackboneError(
            f"{wrong}: this model reads structure as input channels, at every noise level alike; leave it out"
        )


def sole(structures: Sequence[StructureUse]) -> StructureUse:
    """The one structure. Raises BackboneError for several."""
    if len(structures) != 1:
        given = ", ".join(each.kind for each in structures)
        raise BackboneError(f"this model reads one structure and was given {len(structures)} ({given}); name one")
    return structures[0]


def acting_sigmas(sigmas: list[float], structure: StructureUse) -> tuple[float, float]:
    """The lowest and highest level at which a structure acts. Raises RequestError for a range that holds no step."""
    low, high = sigmas_within(sigmas, structure.within, whole=True)
    if low > high:
        start, stop = structure.within
        steps = f"none of its {len(sigmas) - 1} steps"
        wrong = f"structure is to act from {start:g} to {stop:g} of the walk, which holds {steps}"
        raise RequestError(f"{wrong}; take more steps or a wider range")
    return low, high


def check_kind(structure: StructureUse, kinds: AbstractSet[Kind]) -> None:
    """Raises BackboneError for a structure of another kind than a network was trained with."""
    if structure.kind not in kinds:
        known = " or ".join(sorted(kinds)) or "no structure"
        raise BackboneError(f"this model cannot be conditioned on {structure.kind}; it was trained with {known}")
