"""What methods have alike that edit frames as images: no layer of the network looks from frame to frame."""

from dataclasses import dataclass

from recast.backbones.backbone import Backbone
from recast.curves import Curve
from recast.denoising import DenoiseInputs, Denoiser
from recast.diffusion.ensemble import ensembled
from recast.diffusion.schedule import finish, truncated
from recast.methods.knobs import ContentGuidanceKnobs
from recast.methods.walks import from_shared_noise, in_windows
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class ImageKnobs(ContentGuidanceKnobs):
    """What a method inherits that edits frames as images; its own knobs are fields beside these."""

    def denoiser(self, inputs: DenoiseInputs, backbone: Backbone, cfg_scale: float | Curve) -> Denoiser:
        """The backbone guided, each frame an image of its own, averaged over noise where the inputs ask for it."""
        images = in_windows(inputs, backbone, self.images(inputs, backbone, cfg_scale))
        return ensembled(images, inputs.ensemble, inputs.noise)

    def walked(self, inputs: DenoiseInputs, backbone: Backbone, strength: float) -> Latents:
        """Each frame by itself, from noise that all share, as one seed for all frames has it.

        Raises RequestError where nothing of the source would be left.
        """
        sigmas = truncated(backbone.sigmas(inputs.steps), strength)
        denoise = self.denoiser(inputs, backbone, inputs.curves.get("cfg", inputs.cfg_scale))
        start = from_shared_noise(inputs, backbone, strength, sigmas[0])
        x = inputs.sampler(denoise, start, sigmas, inputs.condition, step_hook=inputs.step_hook)
        return finish(x, sigmas[-1])
