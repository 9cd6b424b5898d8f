"""The knobs of guidance and windows, which methods have alike, and the denoiser that they come to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.backbones.deep_cache import with_deep_cache
from recast.curves import Curve
from recast.denoising import Branch, DenoiseInputs, Denoiser
from recast.diffusion.ensemble import ensembled
from recast.diffusion.guidance import BranchDenoiser, GuidanceTerm, cond, guided, uncond
from recast.diffusion.guidance import motion_free_uncond as motion_free
from recast.diffusion.guidance import perturbed_cond as perturbed
from recast.diffusion.joins import JOINS
from recast.diffusion.schedule import sigmas_within
from recast.diffusion.windows import windowed
from recast.errors import RequestError, known
from recast.methods.needs import Need
from recast.types import Condition, Latents

UnitInterval = Annotated[float, Field(ge=0, le=1)]
"""A share of a whole, 0..1."""


@dataclass(frozen=True, kw_only=True)
class ContentGuidanceKnobs:
    """What a method inherits that guides images; its own are fields beside these. Raises RequestError when made."""

    ensembles: ClassVar[bool] = True
    pictures_apart: ClassVar[bool] = False
    follows_flow: ClassVar[bool] = False
    over_time: ClassVar[frozenset[str]] = frozenset()

    guidance: str = "plain"
    """How content guidance is joined: plain; apg, which saturates less at a large cfg; cfg-zero, which scales the
    unconditional prediction to fit."""
    guided_from: UnitInterval = 0.0
    """Content guidance starts after this share of a full walk; 0 guides from the first step."""
    guided_until: UnitInterval = 1.0
    """Content guidance ends before this share of a full walk: of 4 steps 0.5 guides 2, 0 none; 1 guides to the last."""
    apg_eta: UnitInterval | None = None
    """Of apg: how much is kept of guidance along the prediction itself; 0 if not said, 1 is plain guidance."""
    apg_threshold: Annotated[float, Field(gt=0)] | None = None
    """Of apg: the largest norm of the difference in one frame of latents; none if not said."""
    apg_momentum: Annotated[float, Field(gt=-1, lt=1)] | None = None
    """Of apg: how much of the average difference at the levels before is added; 0 if not said, below 0 in the paper."""

    perturbed_attention: Annotated[float, Field(ge=0, le=20)] = 0.0
    """Perturbed-attention guidance, arXiv:2403.17377: away from what the network makes where places of its middle
    layers do not see each other; one evaluation more; 0 is none, published 3. In the steps of content guidance, and not
    with a --cfg of 1."""

    deep_cache: Annotated[int, Field(ge=1, le=50)] = 1
    """The network's deep blocks are computed at the first of so many steps and keep their answer at the others
    (DeepCache, arXiv:2312.00858): faster, and not the same picture; 1 computes all. For walks of many steps, of UNets,
    by methods that do not look into the network."""

    @property
    def ignores(self) -> frozenset[str]:
        """None: it reads whatever a request says."""
        return frozenset()

    def __post_init__(self) -> None:
        known("guidance", self.guidance, JOINS)
        if self.guided_from > self.guided_until:
            starts, ends = self.guided_from, self.guided_until
            raise RequestError(f"guided_from is {starts:g} and guided_until is {ends:g}; guidance must start first")
        if self.deep_cache > 1 and Need.HOOKS in getattr(self, "needs", ()):
            name = type(self).__name__.lower()
            raise RequestError(f"{name} looks into layers that deep_cache leaves out; leave deep_cache out")
        if self._join_options() and self.guidance != "apg":
            names = " and ".join(f"apg_{name}" for name in self._join_options())
            raise RequestError(f"{names} would do nothing: guidance is {self.guidance!r}; say guidance=apg too")

    def check_ensemble(self, inputs: DenoiseInputs) -> None:
        """Raises RequestError for an ensemble where the method has none."""
        if inputs.ensemble > 1 and not self.ensembles:
            name = type(self).__name__.lower()
            raise RequestError(f"{name} averages no answers; the ensemble is {inputs.ensemble} and must be 1")

    def images(self, inputs: DenoiseInputs, backbone: Backbone, cfg_scale: float | Curve) -> Denoiser:
        """The backbone guided, each frame an image of its own. Raises RequestError as `check_ensemble` does."""
        self.check_ensemble(inputs)
        return self.guided_branches(inputs, backbone, as_images(backbone.denoise_branches), cfg_scale)

    def guided_branches(
        self,
        inputs: DenoiseInputs,
        backbone: Backbone,
        denoise_branches: BranchDenoiser,
        cfg_scale: float | Curve,
        temporal_guidance: float | Curve = 1.0,
    ) -> Denoiser:
        """Branches of the backbone, as it answers them or changed, guided for as many frames as it sees at once."""
        within = sigmas_within(backbone.sigmas(inputs.steps), (self.guided_from, self.guided_until))
        correction = JOINS[self.guidance](**self._join_options())
        more = self.more_terms(within) if cfg_scale != 1 else ()
        asked = with_deep_cache(denoise_branches, backbone, self.deep_cache)
        return guided(asked, cfg_scale, temporal_guidance, within, correction, more=more)

    def more_terms(self, within: tuple[float, float]) -> tuple[GuidanceTerm, ...]:
        """Terms of guidance besides those of equation 8. within: the noise levels of content guidance."""
        weight = self.perturbed_attention
        return (GuidanceTerm(weight, cond, perturbed, within, outside=0.0),) if weight else ()

    def _join_options(self) -> dict[str, Any]:
        """The options of the join that were said, by the names that it has for them."""
        options = {"eta": self.apg_eta, "threshold": self.apg_threshold, "momentum": self.apg_momentum}
        return {name: value for name, value in options.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class GuidanceKnobs(ContentGuidanceKnobs):
    """What a method inherits that guides a network with temporal layers. even_windows: all count alike in a frame."""

    even_windows: ClassVar[bool] = False
    temporal_guidance: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Temporal guidance, omega_t of Gen-1's equation 8: 1 is none. As measured on pocket, less flickers; 1.5 makes
    neighbouring frames more alike from 12 steps on, not at 4, and they follow the motion less exactly at any number of
    steps; 2 costs colours and, from 12 steps on, outlines."""
    motion_guidance: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Motion-free guidance, lambda_M of GenTron (arXiv:2312.04557): as temporal guidance, but against temporal layers
    that are on while each frame sees itself alone in their attention; 1 is none. Not with a --cfg of 1."""
    overlap: Annotated[float, Field(ge=0, le=0.9)] = 0.5
    """The share of its frames that a window has in common with the next one."""

    def more_terms(self, within: tuple[float, float]) -> tuple[GuidanceTerm, ...]:
        """Also GenTron's, at all noise levels as equation 8's."""
        weight = self.motion_guidance - 1
        motion = (GuidanceTerm(weight, uncond, motion_free, outside=0.0),) if weight else ()
        return (*super().more_terms(within), *motion)

    def denoiser(
        self,
        inputs: DenoiseInputs,
        backbone: Backbone,
        cfg_scale: float | Curve,
        denoise_branches: BranchDenoiser | None = None,
    ) -> Denoiser:
        """The backbone guided, in windows, and averaged over noise where the inputs ask for it.

        denoise_branches: the backbone's own where not said. Raises RequestError as `check_ensemble` does.
        """
        self.check_ensemble(inputs)
        asked = denoise_branches or backbone.denoise_branches
        temporal = inputs.curves.get("temporal_guidance", self.temporal_guidance)
        steady = self.guided_branches(inputs, backbone, asked, cfg_scale, temporal)
        size = min(inputs.window, backbone.max_frames)
        in_windows = windowed(steady, size, int(self.overlap * size), even=self.even_windows)
        return self.changed(ensembled(in_windows, inputs.ensemble, inputs.noise), backbone)

    def changed(self, denoise: Denoiser, _backbone: Backbone, /) -> Denoiser:
        """The denoiser as a method changes it, with hooks around it; here, not at all."""
        return denoise

    def guided(self, inputs: DenoiseInputs, backbone: Backbone, cfg_scale: float) -> Denoiser:
        """The backbone guided, for as many frames as it sees at once."""
        return self.guided_branches(inputs, backbone, backbone.denoise_branches, cfg_scale, self.temporal_guidance)


def as_images(denoise_branches: BranchDenoiser) -> BranchDenoiser:
    """The same with temporal layers off in every branch."""

    def denoise_images(x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]) -> list[Latents]:
        return denoise_branches(x, sigma, condition, [replace(branch, temporal=False) for branch in branches])

    return denoise_images
