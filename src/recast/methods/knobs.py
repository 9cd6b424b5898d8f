"""The knobs of guidance and windows, which methods have alike, and the denoiser that they come to."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.diffusion.ensemble import ensembled
from recast.diffusion.guidance import guided
from recast.diffusion.joins import JOINS
from recast.diffusion.windows import windowed
from recast.errors import RequestError, known
from recast.types import DenoiseInputs, Denoiser

UnitInterval = Annotated[float, Field(ge=0, le=1)]
"""A share of a whole, 0..1."""


@dataclass(frozen=True, kw_only=True)
class GuidanceKnobs:
    """What a method that guides inherits; its own knobs are fields beside these. Raises RequestError when made."""

    ensembles: ClassVar[bool] = True

    temporal_guidance: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Temporal guidance, omega_t of Gen-1's equation 8: 1 is none, more is smoother over time, less is livelier."""
    guidance: str = "plain"
    """How content guidance is joined: plain; apg, which saturates less at a large cfg; cfg-zero, which scales the
    unconditional prediction to fit."""
    guided_from: UnitInterval = 0.0
    """Content guidance starts after this share of a full walk; 0 guides from the first step."""
    guided_until: UnitInterval = 1.0
    """Content guidance ends after this share of a full walk; 1 guides to the last step."""
    apg_eta: UnitInterval | None = None
    """Of apg: how much is kept of guidance along the prediction itself; 0 if not said, 1 is plain guidance."""
    apg_threshold: Annotated[float, Field(gt=0)] | None = None
    """Of apg: the largest norm of the difference in one frame of latents; none if not said."""
    apg_momentum: Annotated[float, Field(gt=-1, lt=1)] | None = None
    """Of apg: how much of the average difference at the levels before is added; 0 if not said, below 0 in the paper."""
    overlap: Annotated[float, Field(ge=0, le=0.9)] = 0.5
    """The share of its frames that a window has in common with the next one."""

    def __post_init__(self) -> None:
        known("guidance", self.guidance, JOINS)
        if self.guided_from > self.guided_until:
            starts, ends = self.guided_from, self.guided_until
            raise RequestError(f"guided_from is {starts:g} and guided_until is {ends:g}; guidance must start first")
        if self._join_options() and self.guidance != "apg":
            names = " and ".join(f"apg_{name}" for name in self._join_options())
            raise RequestError(f"{names} would do nothing: guidance is {self.guidance!r}; say guidance=apg too")

    def denoiser(self, shot: DenoiseInputs, backbone: Backbone, cfg_scale: float) -> Denoiser:
        """The backbone guided, in windows, and averaged over noise where the shot asks for it.

        Raises RequestError for an ensemble where the method has none.
        """
        if shot.ensemble > 1 and not self.ensembles:
            name = type(self).__name__.lower()
            raise RequestError(f"{name} averages no answers; the ensemble is {shot.ensemble} and must be 1")
        size = min(shot.window, backbone.max_frames)
        in_windows = windowed(self.guided(shot, backbone, cfg_scale), size, int(self.overlap * size))
        return ensembled(in_windows, shot.ensemble, shot.noise)

    def guided(self, shot: DenoiseInputs, backbone: Backbone, cfg_scale: float) -> Denoiser:
        """The backbone guided, for as many frames as it sees at once."""
        walk = backbone.sigmas(shot.steps)
        edges = [round(share * (len(walk) - 1)) for share in (self.guided_until, self.guided_from)]
        within = (walk[edges[0]], walk[edges[1]])
        correction = JOINS[self.guidance](**self._join_options())
        return guided(backbone.denoise_branches, cfg_scale, self.temporal_guidance, within, correction)

    def _join_options(self) -> dict[str, Any]:
        """The options of the join that were said, by the names that it has for them."""
        options = {"eta": self.apg_eta, "threshold": self.apg_threshold, "momentum": self.apg_momentum}
        return {name: value for name, value in options.items() if value is not None}
