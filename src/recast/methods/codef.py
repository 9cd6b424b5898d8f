"""A canonical image edited once, and rendered back by the clip's deformation: CoDeF, arXiv:2308.07926."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.conditions.flow import ClipFlow
from recast.conditions.propagation import colour_mapped
from recast.conditions.warping import fused
from recast.denoising import DenoiseInputs
from recast.diffusion.schedule import truncated
from recast.methods.images import ImageKnobs
from recast.methods.keyframed import FIT_PASSES, FrameWalks
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.substrates.carriers import SubstrateCarrier
from recast.substrates.found import fit_of
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class CoDeF(ImageKnobs):
    """Fits a canonical image with a deformation to the clip, edits it as one image by its structure, and renders back.

    Steps x branches x `strength` evaluations of one frame for the whole clip.

    Differs: the canonical image is edited where its reference, the middle frame, shows it, since structure is known
    there; what other frames show beyond it gets the clip's own pixels in the edit's colours. Fields are plain grids
    fitted from flow, not a hash grid with a network.
    """

    paper: ClassVar[str] = "CoDeF, arXiv:2308.07926"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.FRAME_LATENTS})
    needs_source: ClassVar[bool] = False
    follows_flow: ClassVar[bool] = True

    strength: UnitInterval = 1.0
    """How much of the canonical image is made anew: 1 all of it, 0 gives the source back."""
    fit_passes: Annotated[int, Field(ge=0, le=1000)] = FIT_PASSES
    """Passes over the clip in which the canonical image is fitted."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents."""
        sigmas, frames = truncated(backbone.sigmas(inputs.steps), self.strength), inputs.clip.frames
        source = backbone.encode(frames)
        if len(sigmas) == 1:
            return source
        walks = FrameWalks(inputs, backbone, self, source)
        flow = ClipFlow.of(frames, inputs.flow)
        substrate = fit_of(frames, "canonical", passes=self.fit_passes, flow=flow).run()
        edited = walks.alone(substrate.reference, sigmas)
        with torch.no_grad():
            picture = backbone.decode_pixels(edited)
            shown = frames.to(picture) / 127.5 - 1
            mapped = colour_mapped(shown, shown[[substrate.reference]], picture).clamp(-1, 1)
            carrier, held = SubstrateCarrier(substrate), picture.float().cpu()
            brought = [carrier.carried(held, substrate.reference, number) for number in range(len(frames))]
            carried, sight = (torch.cat(each).to(picture) for each in zip(*brought, strict=True))
        return walks.with_pixels(edited, [substrate.reference], fused(mapped, carried, sight), sigmas[-1])
