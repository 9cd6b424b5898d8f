"""The noise levels that a network was trained on, and the walk down them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, inf, isclose
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recast.diffusion.betas import alpha_bars, rescale_zero_snr, shift_snr
from recast.diffusion.parameterization import Prediction, scale_input
from recast.errors import RequestError, ScheduleError, WeightsError
from recast.types import Latents

LEAST_ALPHA_BAR = 2.0**-24
"""Stands for 0 where training went down to pure noise: sigma would be infinite and is 4096."""
LEAST_FLOW_SHARE = 2.0**-24
"""Stands for 0, the clean share 1 - t at t = 1, where sigma = t / (1 - t) would be infinite; sigma is 2^24 - 1.

Smaller than LEAST_ALPHA_BAR's share, 2^-12, because a shift multiplies the levels below t = 1: with 1000 timesteps and
a shift of 5 the last but one is 4995.
"""
ROUNDING = 1e-9
UNSUPPORTED_FLOW = (
    "use_dynamic_shifting",
    "invert_sigmas",
    "shift_terminal",
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "stochastic_sampling",
)
"""Options of FlowMatchEulerDiscreteScheduler that change its levels or add noise, and are refused when they are on."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """A network's training levels, one a timestep.

    sigmas: rising, in fp64. spacing: which of them a walk of fewer steps visits; offset: added to "leading" timesteps.
    final_sigma: where a walk ends. It is 0, or sigmas[0] for networks of diffusers' `set_alpha_to_one=False`, whose
    walk ends at timestep 0; what such a walk returns still has to go through `finish`. distilled: of "consistency",
    evenly spaced timesteps that a network was distilled on, among which walks choose (LCM, arXiv:2310.04378).
    """

    sigmas: Float[Tensor, " timesteps"]
    prediction: Prediction
    spacing: str = "trailing"
    offset: int = 0
    final_sigma: float = 0.0
    distilled: int = 0

    def timestep_sigmas(self, steps: int) -> list[float]:
        """`steps` + 1 decreasing levels at the timesteps that diffusers' DDIM would visit; the last is `final_sigma`.

        One level less where the last timestep is 0 and `final_sigma` is its level: diffusers' last step from there
        changes nothing. Raises RequestError for more steps than timesteps, or fewer than one.
        """
        self._check_steps(steps)
        timesteps = np.unique(self._timesteps(steps))[::-1].copy()
        sigmas = self.sigmas[torch.from_numpy(timesteps)].tolist()
        return sigmas if sigmas[-1] == self.final_sigma else [*sigmas, self.final_sigma]

    def sigma_to_timestep(self, sigma: float) -> float:
        """The timestep of that level; between two levels, by the logarithm; beyond the last one, the last."""
        known = self.sigmas.log().numpy()
        return _snapped(float(np.interp(np.log(sigma), known, np.arange(len(known)))))

    def _check_steps(self, steps: int) -> None:
        if not 1 <= steps <= len(self.sigmas):
            raise RequestError(f"{steps} sampling steps; the model was trained on levels for 1 to {len(self.sigmas)}")

    def _timesteps(self, steps: int) -> np.ndarray:
        count = len(self.sigmas)
        match self.spacing:
            case "trailing":
                return np.round(np.arange(count, 0, -count / steps)[:steps]).astype(np.int64) - 1
            case "leading":
                return np.minimum(np.arange(steps) * (count // steps) + self.offset, count - 1)
            case "linspace":
                return np.round(np.linspace(0, count - 1, steps)).astype(np.int64)
            case "consistency":
                if steps > self.distilled:
                    raise RequestError(f"{steps} sampling steps; the model was distilled for 1 to {self.distilled}")
                chosen = np.floor(np.linspace(0, self.distilled, steps, endpoint=False)).astype(np.int64)
                return (self.distilled - chosen) * (count // self.distilled) - 1
            case other:
                raise WeightsError(f"unknown timestep_spacing {other!r}; known are trailing, leading and linspace")


@dataclass(frozen=True, eq=False)
class FlowSchedule(Schedule):
    """Levels of rectified flow: t = 1/N, 2/N ... 1 after the shift, sigma = t / (1 - t), timestep t * N.

    shift: multiplies every sigma, which is t -> shift t / (1 + (shift - 1) t). arXiv:2403.03206, equation 23.
    """

    shift: float = 1.0

    @classmethod
    def of(cls, count: int = 1000, shift: float = 1.0, spacing: str = "linspace") -> "FlowSchedule":
        """`count` levels, the last one of LEAST_FLOW_SHARE. Raises WeightsError for a shift that is not above 0."""
        if not shift > 0:
            raise WeightsError(f"the shift of a flow schedule is {shift:g}; it must be above 0")
        time = torch.arange(1, count + 1, dtype=torch.float64) / count
        return cls(sigmas=_flow_sigmas(time, shift), prediction=Prediction.FLOW, shift=shift, spacing=spacing)

    def timestep_sigmas(self, steps: int) -> list[float]:
        """`steps` + 1 decreasing levels, the last one 0, at the times of diffusers' FlowMatchEulerDiscreteScheduler.

        "linspace" is from 1 down to the first level's shifted t, and then shifted, as that does it; "trailing" as its
        UniPC does: to 1/N in one step more, which is left out. Raises RequestError for more steps than timesteps, or
        fewer than one.
        """
        self._check_steps(steps)
        if self.spacing == "trailing":
            time = np.linspace(1, 1 / len(self.sigmas), steps + 1)[:-1]
        else:
            time = np.linspace(1, float(self.sigmas[0] / (1 + self.sigmas[0])), steps)
        time = torch.from_numpy(time)
        return [*_flow_sigmas(time, self.shift).tolist(), 0.0]

    def sigma_to_timestep(self, sigma: float) -> float:
        """The timestep t * N of any level; N itself from the last one up, where t is 1."""
        count = len(self.sigmas)
        return float(count) if sigma >= self.sigmas[-1] else _snapped(count * sigma / (1 + sigma))


def schedule(config: Mapping[str, Any]) -> Schedule:
    """The training levels that a diffusers scheduler config describes; what it leaves out is as in DDIMScheduler.

    Configs of FlowMatchEulerDiscreteScheduler give a FlowSchedule. Raises WeightsError for a kind of schedule or
    prediction that is not known, or that cannot be sampled.
    """
    if config.get("_class_name") == "FlowMatchEulerDiscreteScheduler" or "shift" in config:
        return _flow_schedule(config, "shift", "linspace")
    if config.get("use_flow_sigmas"):
        return _flow_schedule(config, "flow_shift", "trailing")
    prediction = _prediction(config)
    alpha_bar = shift_snr(alpha_bars(config), config.get("snr_shift_scale", 1.0))
    if config.get("rescale_betas_zero_snr", False):
        if prediction is Prediction.NOISE:
            raise WeightsError("a network that predicts noise says nothing at zero signal (rescale_betas_zero_snr)")
        alpha_bar = rescale_zero_snr(alpha_bar).clamp(min=LEAST_ALPHA_BAR)
    sigmas = ((1 - alpha_bar) / alpha_bar).sqrt()
    distilled = config.get("original_inference_steps", 50) if is_consistency(config) else 0
    return Schedule(
        sigmas=sigmas,
        prediction=prediction,
        spacing="consistency" if distilled else config.get("timestep_spacing", "leading"),
        distilled=distilled,
        offset=config.get("steps_offset", 0),
        final_sigma=0.0 if config.get("set_alpha_to_one", True) else float(sigmas[0]),
    )


def is_consistency(config: Mapping[str, Any]) -> bool:
    """Whether a scheduler config is that of a network distilled for few steps with fresh noise between them."""
    return config.get("_class_name") == "LCMScheduler"


def finish(x: Latents, sigma: float) -> Latents:
    """Clean latents from those at the end of a walk: scaled to unit variance where the walk ended above 0.

    diffusers with `set_alpha_to_one=False` takes its mixture at timestep 0 for the clean latents, and so does this.
    A walk up that starts from the source therefore starts from `source * hypot(1, sigma)`.
    """
    return scale_input(x, sigma) if sigma > 0 else x


def _prediction(config: Mapping[str, Any]) -> Prediction:
    try:
        prediction = Prediction(config.get("prediction_type", "epsilon"))
    except ValueError:
        known = ", ".join(Prediction)
        raise WeightsError(f"unknown prediction_type {config['prediction_type']!r}; known are {known}") from None
    if prediction is Prediction.FLOW:
        raise WeightsError("flow_prediction needs the config of a FlowMatchEulerDiscreteScheduler; this one has betas")
    return prediction


def _flow_schedule(config: Mapping[str, Any], shift: str, spacing: str) -> FlowSchedule:
    refused = [option for option in UNSUPPORTED_FLOW if config.get(option)]
    if refused:
        raise WeightsError(f"a flow schedule with {', '.join(refused)} is not supported; set it to false or null")
    return FlowSchedule.of(config.get("num_train_timesteps", 1000), config.get(shift, 1.0), spacing)


def _flow_sigmas(time: Float[Tensor, " n"], shift: float) -> Float[Tensor, " n"]:
    clean = (1 - time) / (1 + (shift - 1) * time)
    return (1 / clean.clamp(min=LEAST_FLOW_SHARE)) - 1


def _snapped(timestep: float) -> float:
    """A whole number where it is one but for rounding: networks were trained on whole timesteps."""
    return float(round(timestep)) if isclose(timestep, round(timestep), abs_tol=1e-6) else timestep


def truncated(sigmas: list[float], strength: float) -> list[float]:
    """The last part of a walk: all of it for strength 1, only the clean end for 0. SDEdit, arXiv:2108.01073.

    Raises RequestError for a strength outside 0..1.
    """
    if not 0 <= strength <= 1:
        raise RequestError(f"strength is {strength:g}; it goes from 0 (the source itself) to 1 (nothing of it)")
    steps = round(strength * (len(sigmas) - 1))
    # A walk that ends above 0 would leave the source noisy where no step is left to denoise it.
    return sigmas[len(sigmas) - 1 - steps :] if steps else [0.0]


def sigmas_within(sigmas: list[float], share: tuple[float, float], *, whole: bool = False) -> tuple[float, float]:
    """The lowest and highest level of the steps that start in [from, until) of a walk; 1 is past its last step.

    whole: only steps that end in it too, as with diffusers' control_guidance_start and _end. Of no step: (inf, 0).
    """
    steps = len(sigmas) - 1
    first, end = (ceil(each * steps - ROUNDING) for each in share)
    end = floor(share[1] * steps + ROUNDING) if whole else end
    if first >= end:
        return inf, 0.0
    return 0.0 if end == steps else sigmas[end - 1], sigmas[first] if first else inf


def check_decreasing(sigmas: list[float], *, to_zero: bool = True) -> None:
    """Raises ScheduleError unless every level is below the one before and the last is 0.

    to_zero: False accepts a last level above 0 too, for walks that end at `Schedule.final_sigma` or go on later.
    """
    last = sigmas[-1] if sigmas else None
    if last is None or not (last == 0 or (last > 0 and not to_zero)):
        end = "0" if to_zero else "0 or above"
        raise ScheduleError(f"noise levels must end in {end} and end in {'nothing' if last is None else last}")
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        if not sigma > sigma_next:
            raise ScheduleError(f"noise levels must fall; level {i} is {sigma:g} and the next one {sigma_next:g}")
