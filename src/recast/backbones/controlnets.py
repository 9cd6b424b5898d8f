"""ControlNets of a family on Stable Diffusion's UNet, by the kind of structure that each was trained on."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from einops import repeat
from torch import Tensor, nn

from recast.control import Control, ControlResiduals
from recast.errors import BackboneError, WeightsError
from recast.model.folder import ModelFolder
from recast.types import Kind


def control_residuals(
    nets: Mapping[Kind, ControlNetModel],
    controls: Sequence[Control],
    sigma: float,
    inputs: tuple[Tensor, Tensor, Tensor],
) -> Iterator[ControlResiduals]:
    """What each control that acts at this noise level adds, times its weight. arXiv:2302.05543.

    inputs: images of (branches frames), timestep and tokens, as the UNet is given them.
    """
    images = inputs[0]
    for control in controls:
        if control.kind not in nets:
            raise BackboneError(f"this model has no ControlNet of {control.kind}; it has {', '.join(nets) or 'none'}")
        if control.acts_at(sigma):
            count = len(images) // len(control.pictures)
            pictures = repeat(control.pictures, "t c h w -> (b t) c h w", b=count).to(images)
            net = nets[Kind(control.kind)]
            down, mid = net(*inputs, pictures, conditioning_scale=control.weight, return_dict=False)
            yield ControlResiduals(tuple(down), mid)


def opened_controlnets(model: ModelFolder, device: str, dtype: torch.dtype) -> dict[Kind, ControlNetModel]:
    """The ControlNets in controlnet/, controlnet_1/ and so on (diffusers' MultiControlNetModel), by kind of structure.

    Kinds are those of recast.json, in its order; a single ControlNet serves them all. Raises WeightsError for another
    number of ControlNets than of kinds.
    """
    names = ["controlnet"] if model.has("controlnet") else []
    while model.has(f"controlnet_{len(names)}"):
        names.append(f"controlnet_{len(names)}")
    kinds = [Kind(name) for name in model.metadata.structures]
    if len(names) > 1 and len(names) != len(kinds):
        wrong = f"there are {len(names)} ControlNets, and recast.json names {len(kinds)} structures"
        raise WeightsError(f"{wrong}; name one for each, in their order; {model.path}")
    nets = [model.network(name, ControlNetModel) for name in names]
    for net in nets:
        nn.utils.convert_conv2d_weight_memory_format(net, torch.channels_last)
        net.to(device, dtype).requires_grad_(False)
    return dict(zip(kinds, nets * len(kinds) if len(nets) == 1 else nets, strict=False))
