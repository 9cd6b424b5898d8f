"""An instruction carried out on each frame as a picture: InstructPix2Pix, arXiv:2211.09800."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from pydantic import Field

from recast.backbones.backbone import Backbone, PictureBackbone
from recast.denoising import Branch, DenoiseInputs
from recast.diffusion.guidance import BranchDenoiser
from recast.diffusion.schedule import finish, truncated
from recast.errors import BackboneError
from recast.methods.knobs import ContentGuidanceKnobs, UnitInterval
from recast.methods.needs import Need, lacking
from recast.methods.walks import from_shared_noise, in_windows
from recast.types import Condition, Latents


@dataclass(frozen=True, kw_only=True)
class InstructPix2Pix(ContentGuidanceKnobs):
    """Makes each frame anew by a network that reads the frame and an instruction, such as "make it snow".

    arXiv:2211.09800, with its two guidances (equation 3): towards the picture by `picture_guidance`, and from there
    towards the words by --cfg (published: 7.5). It is the field's instructed image editor, frame by frame, the
    baseline of video methods; all frames start from one noise, which flickers less than a noise of their own. Needs a
    network that reads the picture to edit. Network evaluations of a frame: 3 a step, 2 where either guidance is 1.
    Windows change nothing.

    Differs: `strength` can start from the source; where a network has temporal layers they are off.
    """

    paper: ClassVar[str] = "InstructPix2Pix, arXiv:2211.09800"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PICTURE})
    needs_source: ClassVar[bool] = False
    ensembles: ClassVar[bool] = False
    over_frames: ClassVar[bool] = False
    """Whether temporal layers are on."""

    strength: UnitInterval = 1.0
    """How much is made anew: 1 all of it, 0 gives the source back."""
    picture_guidance: Annotated[float, Field(ge=0, le=10)] = 1.5
    """Guidance towards the picture, s_I of the paper: 1 is none, more keeps more of the source."""

    @property
    def ignores(self) -> frozenset[str]:
        """What structure is kept: the network reads the frames themselves."""
        return frozenset({"structure", "structure_detail"})

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises BackboneError for a network that reads no picture."""
        self.check_ensemble(inputs)
        if not isinstance(backbone, PictureBackbone):
            raise BackboneError("; ".join(lacking(self.needs, backbone)))
        pictures = backbone.picture_channels(inputs.clip.frames)
        inputs = replace(inputs, condition=replace(inputs.condition, structure_channels=pictures, controls=()))
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        asked = with_picture_for_time(backbone.denoise_branches, over_time=self.over_frames)
        guided = self.guided_branches(inputs, backbone, asked, inputs.cfg_scale, self.picture_guidance)
        start = self._start(inputs, backbone, sigmas[0])
        x = inputs.sampler(
            in_windows(inputs, backbone, guided), start, sigmas, inputs.condition, step_hook=inputs.step_hook
        )
        return finish(x, sigmas[-1])

    def _start(self, inputs: DenoiseInputs, backbone: Backbone, sigma: float) -> Latents:
        return from_shared_noise(inputs, backbone, self.strength, sigma)


def with_picture_for_time(denoise_branches: BranchDenoiser, *, over_time: bool = False) -> BranchDenoiser:
    """Images in every branch, given the picture where temporal layers were asked for; clips where over_time.

    Equation 3 of the paper is Gen-1's equation 8 with the picture in the place of time.
    """

    def denoise_pictured(x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]) -> list[Latents]:
        asked = [replace(branch, temporal=over_time, picture=branch.temporal) for branch in branches]
        return denoise_branches(x, sigma, condition, asked)

    return denoise_pictured
