"""How a term of guidance is joined to the others: what is added to the plain sum where the term's weight is not 1."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

import torch
from jaxtyping import Float
from torch import Tensor

from recast.diffusion.parameterization import Prediction, scale_input
from recast.errors import RequestError
from recast.types import Condition, Latents

Correction = Callable[[Latents, float, Condition, Latents, Latents], Latents]
"""From the latents, their noise level, the condition, and the predictions of a term's branches `towards` and `against`.

A term of weight w adds w (towards - against) + (w - 1) correction, so weight 1 is never corrected.
"""

Picked = tuple[int, ...]
"""The absolute numbers of the frames of one evaluation."""


def plain() -> None:
    """No correction: classifier-free guidance, arXiv:2207.12598."""


def apg(*, eta: float = 0.0, threshold: float = inf, momentum: float = 0.0) -> Correction:
    """Adaptive projected guidance, arXiv:2410.02416, algorithm 1: less oversaturation at large weights.

    towards + (w - 1) (orthogonal + eta parallel), the parts of the difference towards - against that are orthogonal and
    parallel to `towards`. eta: 1 is plain guidance. threshold: r, the largest norm of the difference; a longer one
    is scaled down to it before it is split. momentum: beta, the share of the average at the level before that is added
    to the difference first; negative in the paper.

    Norms and products are of each frame, the paper's images, so they do not change with the length of the clip. What
    momentum remembers is in `RunningDifference`; each call of `apg` starts with nothing.
    """
    running = RunningDifference(momentum)

    def correction(_x: Latents, sigma: float, condition: Condition, towards: Latents, against: Latents, /) -> Latents:
        difference = towards - against
        averaged = running.updated(difference, sigma, condition) if momentum else difference
        # Without a threshold the quotient is infinite, and gradients through it are not numbers.
        rescaled = (
            averaged if threshold == inf else averaged * (threshold / _dot(averaged, averaged).sqrt()).clamp(max=1)
        )
        parallel = _projection(rescaled, towards) * towards
        return rescaled - (1 - eta) * parallel - difference

    return correction


def cfg_zero() -> Correction:
    """The optimised scale of CFG-Zero*, arXiv:2503.18886: the unconditional velocity times its least-squares fit.

    With velocities v = noise - clean of rectified flow, s v(against) + w (v(towards) - s v(against)), where s makes
    |v(towards) - s v(against)| least, for each frame. Velocities are computed from clean predictions, so networks of
    every parameterization that describe the same distribution are guided alike.

    Differs from the paper: s is of a frame, not of the clip; the first steps are not set to zero (zero-init).
    """

    def correction(x: Latents, sigma: float, _condition: Condition, towards: Latents, against: Latents, /) -> Latents:
        mixture = scale_input(x, sigma, Prediction.FLOW)
        towards_velocity, against_velocity = mixture - towards, mixture - against  # both times t = sigma / (1 + sigma)
        scale = _projection(towards_velocity, against_velocity)
        return (scale - 1) * against_velocity

    return correction


JOINS: dict[str, Callable[..., Correction | None]] = {"apg": apg, "cfg-zero": cfg_zero, "plain": plain}
"""What makes a correction, by name; called once for each walk, with the join's own options."""


@dataclass(eq=False)
class RunningDifference:
    """The average of a term's differences over the levels of one walk.

    At each level it is the difference there plus `momentum` times the average at the level before. It is kept for each
    set of frames, so overlapping windows have averages of their own. Several evaluations at one level (an ensemble, the
    second look of `heun`) start from the same level before, and the last of them is remembered. A level above the last
    one begins a new walk.
    """

    momentum: float
    last: dict[Picked, tuple[float, Latents, Latents | float]] = field(default_factory=dict)
    """By frames: the level of the last evaluation, its average, and the average at the level before."""

    def updated(self, difference: Latents, sigma: float, condition: Condition) -> Latents:
        """The average with a difference at this level. Raises RequestError for a condition without frame numbers."""
        if condition.frames is None:
            raise RequestError(
                "momentum of guidance remembers each frame and was given no numbers; set Condition.frames"
            )
        picked = tuple(condition.frames.tolist())
        level, average, before = self.last.get(picked, (sigma, difference, 0.0))
        if sigma != level:
            before = average if sigma < level else 0.0
        updated = difference + self.momentum * before
        self.last[picked] = (sigma, updated, before)
        return updated


def _dot(one: Latents, other: Latents) -> Float[Tensor, "t 1 1 1"]:
    return (one * other).sum((1, 2, 3), keepdim=True)


def _projection(of: Latents, onto: Latents) -> Float[Tensor, "t 1 1 1"]:
    """The multiple of `onto` that is nearest to `of`, for each frame; 0 where `onto` is 0."""
    return _dot(of, onto) / _dot(onto, onto).clamp(min=torch.finfo(onto.dtype).tiny)
