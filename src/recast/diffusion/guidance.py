"""Guidance: the denoiser that is sampled, built from evaluations of the one that was trained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.curves import Curve
from recast.denoising import Branch, Denoiser
from recast.diffusion.joins import Correction
from recast.types import Condition, Latents

BranchDenoiser = Callable[[Latents, float, Condition, Sequence[Branch]], list[Latents]]
"""Predicts the clean latents under several branches at once; `Backbone.denoise_branches`."""

Weight = float | Float[Tensor, "t 1 1 1"]
"""Of all frames alike, or of each."""

BranchOf = Callable[[Condition], Branch]
"""A branch of a condition, such as `cond`."""


def cond(condition: Condition) -> Branch:
    """The wanted content, temporal layers on."""
    return Branch(condition.cond)


def uncond(condition: Condition) -> Branch:
    """No content, temporal layers on."""
    return Branch(condition.uncond)


def negative(condition: Condition) -> Branch:
    """The content that guidance pushes away from, temporal layers on; no content where the condition names none."""
    return Branch(condition.uncond if condition.negative is None else condition.negative)


def image_cond(condition: Condition) -> Branch:
    """The wanted content, each frame an image of its own."""
    return Branch(condition.cond, temporal=False)


def image_uncond(condition: Condition) -> Branch:
    """No content, each frame an image of its own."""
    return Branch(condition.uncond, temporal=False)


def perturbed_cond(condition: Condition) -> Branch:
    """The wanted content, maps of self-attention in the middle of the network the identity."""
    return Branch(condition.cond, perturbed=True)


def motion_free_uncond(condition: Condition) -> Branch:
    """No content, temporal layers on, each frame alone in their attention."""
    return Branch(condition.uncond, frames_alone=True)


@dataclass(frozen=True)
class GuidanceTerm:
    """weight * (towards - against), one term of a guided prediction.

    weight: a curve is of the frames, by the numbers that the condition keeps. within: the noise levels, both ends
    included, at which `weight` is in force; outside it is `outside`.
    correction: what joins the term otherwise than by a plain sum, made by a row of `recast.diffusion.joins.JOINS`; it
    is added (weight - 1) times.
    """

    weight: float | Curve
    towards: BranchOf
    against: BranchOf
    within: tuple[float, float] = (0.0, inf)
    outside: float = 1.0
    correction: Correction | None = None

    def weight_at(self, sigma: float, condition: Condition, like: Latents) -> Weight:
        """The weight at a noise level, of the condition's frames. like: latents, for number format and device."""
        low, high = self.within
        if not low <= sigma <= high:
            return self.outside
        if not isinstance(self.weight, Curve):
            return self.weight
        assert condition.frames is not None, "DenoiseInputs number the frames of their conditions"
        return rearrange(self.weight.at(condition.frames), "t -> t 1 1 1").to(like)


BranchKey = tuple[int, tuple[bool, bool, bool, bool]]


class _PlainSum:
    """The weights of a sum of branches of one condition; branches with the same tokens and layers are one."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.branches: dict[BranchKey, Branch] = {}
        self.weights: dict[BranchKey, Weight] = {}

    def key(self, branch_of: BranchOf) -> BranchKey:
        branch = branch_of(self.condition)
        return id(branch.tokens), branch.way

    def add(self, branch_of: BranchOf, weight: Weight) -> None:
        key = self.key(branch_of)
        self.branches[key] = branch_of(self.condition)
        self.weights[key] = self.weights.get(key, 0.0) + weight


def guided_by(denoise_branches: BranchDenoiser, base: BranchOf, terms: Sequence[GuidanceTerm]) -> Denoiser:
    """The prediction of the base branch plus the sum of the terms.

    Weights of one branch add up over the terms, so each branch is evaluated once, and not at all where its weight is 0
    and no correction reads it. All weights sum to 1 whatever the terms, so the plain sum is the same in every
    parameterization of the network.
    """

    def guided_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
        plain = _PlainSum(condition)
        plain.add(base, 1.0)
        corrected = []
        for term in terms:
            weight = term.weight_at(sigma, condition, x)
            # Without a negative prompt, the two branches of a term may be one.
            if plain.key(term.towards) == plain.key(term.against):
                continue
            plain.add(term.against, -weight)
            plain.add(term.towards, weight)
            if term.correction is not None and _differs(weight, 1):
                corrected.append((weight - 1, term.correction, plain.key(term.towards), plain.key(term.against)))
        read = {key for _, _, *keys in corrected for key in keys}
        used = [key for key, weight in plain.weights.items() if _differs(weight, 0) or key in read]
        predictions = denoise_branches(x, sigma, condition, [plain.branches[key] for key in used])
        clean = dict(zip(used, predictions, strict=True))
        total = sum((plain.weights[key] * clean[key] for key in used), start=torch.zeros_like(x))
        for weight, correction, towards, against in corrected:
            total = total + weight * correction(x, sigma, condition, clean[towards], clean[against])
        return total

    return guided_denoise


def _differs(weight: Weight, number: float) -> bool:
    return bool((weight != number).any()) if isinstance(weight, Tensor) else weight != number


def guided(
    denoise_branches: BranchDenoiser,
    scale: float | Curve,
    temporal_scale: float | Curve = 1.0,
    within: tuple[float, float] = (0.0, inf),
    correction: Correction | None = None,
    *,
    more: Sequence[GuidanceTerm] = (),
) -> Denoiser:
    """Classifier-free guidance towards the content and towards agreement between frames. arXiv:2302.03011, equation 8.

    clean = image(uncond) + omega_t (video(uncond) - image(uncond)) + omega (video(cond) - video(uncond))

    A negative prompt stands for no content in the last term, and only there: the temporal term compares predictions of
    no content, as in the paper. So that omega_t = 1 is guidance away from the negative prompt as usual, a third term
    video(negative) - video(uncond) is added, which is 0 without one.

    scale: omega, 1 is no guidance. temporal_scale: omega_t, 1 is none, more is smoother over time.
    within: the noise levels at which `scale` is in force; 1 outside. arXiv:2404.07724.
    correction: how the content's term is joined, see `GuidanceTerm`. more: other terms, added to these.
    """
    temporal = GuidanceTerm(temporal_scale, uncond, image_uncond)
    negated = GuidanceTerm(1.0, negative, uncond)
    content = GuidanceTerm(scale, cond, negative, within, correction=correction)
    return guided_by(denoise_branches, image_uncond, (temporal, negated, content, *more))
