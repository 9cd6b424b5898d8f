"""Clips from words or pictures alone, by any network that makes them without a source."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import hypot
from typing import Annotated, ClassVar

from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.curves import Curve, Keys
from recast.denoising import DenoiseInputs
from recast.diffusion.long_walks import LONG_WALKS, LongWalk
from recast.diffusion.noise import frequency_mixed, gaussian_low_pass, noise_draw, shuffled_noise
from recast.diffusion.noise_starts import NOISE_STARTS, every
from recast.errors import RequestError, known
from recast.methods.knobs import GuidanceKnobs
from recast.methods.layout_guidance import LayoutKnobs, along_strokes
from recast.methods.needs import Need
from recast.methods.without_source import without_structure
from recast.methods.word_weights import WEIGHT, WordWeightKnobs
from recast.types import Latents, latent_count

SHUFFLED, REFINED = "freenoise", "freeinit"
"""Noises that ask for more than a share: of a window, and of whole walks before this one."""
FIRST_REFINED = 20_000
"""The number of the noise of FreeInit's second walk; see FIRST_FRESH in `diffusion/samplers.py`."""


@dataclass(frozen=True, kw_only=True)
class TextToVideo(LayoutKnobs, WordWeightKnobs, GuidanceKnobs):
    """Makes a clip from noise, conditioned on content alone; nothing of a source is read.

    Network evaluations of a frame: 2 a step, and as many times more as windows overlap. With boxes of a layout also
    `layout_iterations` at each step of `layout_until`, each with a pass backward.
    """

    paper: ClassVar[str] = "Video Diffusion Models, arXiv:2204.03458"
    needs: ClassVar[frozenset[Need]] = frozenset()
    needs_source: ClassVar[bool] = False
    ensembles: ClassVar[bool] = False
    over_time: ClassVar[frozenset[str]] = frozenset({"words", "pictures", "cfg", "temporal_guidance", WEIGHT})

    noise: str = "own"
    """What the walk starts from: own noise for each frame; shared by all; mixed or progressive (PYoCo,
    arXiv:2305.10474); residual (VideoFusion, arXiv:2303.08320); freenoise, which repeats a window's noise shuffled
    (arXiv:2310.15169); freeinit, which walks several times (arXiv:2312.07537)."""
    noise_alpha: Annotated[float, Field(ge=0, le=100)] | None = None
    """How much frames share of mixed, progressive and residual noise, alpha of PYoCo; 1, 2 and 1 if not said."""
    freeinit_walks: Annotated[int, Field(ge=1, le=10)] = 3
    """Of freeinit: how many walks, each from the low frequencies of what the one before made."""
    long: str = "overlap"
    """How a clip is made that is longer than a window: overlap averages windows at each step, more of those that have
    a frame near their middle, gen-l-video (arXiv:2305.18264) all alike; stream goes on part after part (VidRD,
    arXiv:2309.03549); keys makes frames of the whole clip first, then those between (NUWA-XL, arXiv:2303.12346)."""
    first_cfg: Annotated[float, Field(ge=0, le=100)] | None = None
    """Guidance of the first frame, from which it changes evenly to --cfg at the last; --cfg for all if not said."""
    motion_bucket: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Of networks that start from a picture: how much moves, 1 to 255 in training; 127 if not said."""
    picture_noise: Annotated[float, Field(ge=0, le=10)] | None = None
    """Of the same: noise on the picture's pixels of -1..1; more leaves it more freely; 0.02 if not said."""
    flat_structure: bool = False
    """A network that always reads a structure is given a flat one of the least detail, which it hardly knows: colours
    and places come, shapes do not."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known("noise", self.noise, [*NOISE_STARTS, SHUFFLED, REFINED])
        known("way to make long clips", self.long, LONG_WALKS)

    @property
    def ignores(self) -> frozenset[str]:
        """What is kept of a source: there is none."""
        return frozenset({"structure", "structure_detail"})

    @property
    def motion(self) -> dict[str, float]:
        """What was said of motion, by the fields of `recast.control.Motion`."""
        given = {"bucket": self.motion_bucket, "picture_noise": self.picture_noise}
        return {name: value for name, value in given.items() if value is not None}

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The clip's latents. Raises BackboneError for a network that cannot do without a source.

        Raises RequestError for settings of motion where the network starts from no picture, and for guidance of the
        first frame beside a schedule of it.
        """
        if self.motion and inputs.condition.first is None:
            raise RequestError(
                "motion_bucket and picture_noise are of networks that start from a picture; leave them out"
            )
        condition = without_structure(inputs, backbone, flat=self.flat_structure)
        walk = self._walk(replace(inputs, condition=condition), backbone)
        made = LONG_WALKS[self.long] if len(walk.start) > walk.size else LONG_WALKS["overlap"]
        return self._refined(walk, made, inputs) if self.noise == REFINED else made(walk)

    def _walk(self, inputs: DenoiseInputs, backbone: Backbone) -> LongWalk:
        self.check_ensemble(inputs)
        sigmas, size = backbone.sigmas(inputs.steps), min(inputs.window, backbone.max_frames)
        overlap = int(self.overlap * size)
        steady = self.guided_branches(
            inputs,
            backbone,
            self.weighed(inputs, backbone),
            self._cfg(inputs),
            inputs.curves.get("temporal_guidance", self.temporal_guidance),
        )
        start = hypot(1, sigmas[0]) * self._noise(inputs, backbone, size, overlap)
        return LongWalk(
            denoise=steady,
            sampler=self.by_layout(inputs, backbone, size, overlap),
            start=start,
            sigmas=sigmas,
            condition=inputs.condition,
            size=size,
            overlap=overlap,
            step_hook=inputs.step_hook,
        )

    def _cfg(self, inputs: DenoiseInputs) -> float | Curve:
        curve, frames = inputs.curves.get("cfg"), inputs.condition.frames
        if self.first_cfg is None or frames is None or len(frames) == 1:
            return curve or inputs.cfg_scale
        if curve is not None:
            raise RequestError("first_cfg and a schedule of cfg both say how guidance changes; keep one of them")
        return Curve(Keys((int(frames[0]), int(frames[-1]))), (self.first_cfg, inputs.cfg_scale))

    def _noise(self, inputs: DenoiseInputs, backbone: Backbone, size: int, overlap: int) -> Latents:
        """Of unit variance, for all latents."""
        count = latent_count(len(inputs.clip), backbone.temporal_stride)
        like = backbone.encode(inputs.clip.frames[:1])
        draw = every(noise_draw(inputs, like), backbone.temporal_stride)
        if inputs.guides.strokes:
            return along_strokes(draw, range(count), inputs, (self.noise, self.noise_alpha))
        if self.noise == SHUFFLED:
            stride = max(part for part in range(1, size + 1) if size % part == 0 and part <= max(1, size - overlap))
            return shuffled_noise(draw, range(count), size, stride, inputs.seed)
        start, share = NOISE_STARTS[self.noise if self.noise in NOISE_STARTS else "own"]
        return start(draw, range(count), share if self.noise_alpha is None else self.noise_alpha)

    def _refined(self, walk: LongWalk, made: Callable[[LongWalk], Latents], inputs: DenoiseInputs) -> Latents:
        """FreeInit: again from what was made, noised as at the start, its high frequencies drawn anew."""
        top, clean = walk.sigmas[0], made(walk)
        low_pass = gaussian_low_pass((len(clean), *clean.shape[-2:])).to(clean)
        for number in range(1, self.freeinit_walks):
            noised = (clean + top / hypot(1, top) * walk.start) / hypot(1, top)
            fresh = inputs.noise(clean, FIRST_REFINED + number)
            mixed = frequency_mixed(noised, fresh, low_pass)
            clean = made(replace(walk, start=hypot(1, top) * mixed))
        return clean
