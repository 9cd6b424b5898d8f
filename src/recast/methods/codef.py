"""A canonical image edited once, and rendered back by the clip's deformation: CoDeF, arXiv:2308.07926."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.conditions.flow import ClipFlow
from recast.conditions.propagation import colour_mapped
from recast.conditions.warping import Shares, fused, shrunk
from recast.denoising import DenoiseInputs
from recast.diffusion.schedule import truncated
from recast.methods.images import ImageKnobs
from recast.methods.keyframed import FIT_PASSES, FrameWalks
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.substrates.carriers import SubstrateCarrier
from recast.substrates.found import fit_of
from recast.substrates.layers import Substrate
from recast.types import Frames, Latents


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
    fit_iterations: Annotated[int, Field(ge=0, le=1000)] = FIT_PASSES
    """Passes over the clip in which the canonical image is fitted."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises BackboneError where frames share a latent."""
        sigmas, frames = truncated(backbone.sigmas(inputs.steps), self.strength), inputs.clip.frames
        source = backbone.encode(frames)
        if len(sigmas) == 1:
            return source
        walks = FrameWalks(inputs, backbone, self, source)
        substrate = self.substrate(frames, ClipFlow.of(frames, inputs.flow))
        key = substrate.reference
        edited = walks.alone(key, sigmas)
        with torch.no_grad():
            picture = backbone.decode_pixels(edited)
            shown = frames.to(picture) / 127.5 - 1
            mapped = colour_mapped(shown, shown[[key]], picture).clamp(-1, 1)
            carrier, held = SubstrateCarrier(substrate), picture.float().cpu()
            brought = [carrier.carried(held, key, number) for number in range(len(frames))]
            carried, sight = (torch.cat(each).to(picture) for each in zip(*brought, strict=True))
            changed = self.changed(substrate).to(picture)
            pixels = fused(shown, fused(mapped, carried, sight), changed)
            share = shrunk(changed[[key]], source.shape[-2:])
        return walks.with_pixels(fused(source[[key]], edited, share), [key], pixels, sigmas[-1])

    def substrate(self, frames: Frames, flow: ClipFlow) -> Substrate:
        """What the clip is edited over."""
        return fit_of(frames, "canonical", passes=self.fit_iterations, flow=flow).run()

    def changed(self, substrate: Substrate) -> Shares:
        """How much of each pixel is edited, 0..1: all of it."""
        return torch.ones_like(substrate.layers[0].alpha)
