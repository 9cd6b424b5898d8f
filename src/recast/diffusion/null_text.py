"""Null-text inversion: fits null tokens so that a guided walk down follows an inverted one. arXiv:2211.09794."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from recast.denoising import Branch, Denoiser, StepHook, unchanged
from recast.diffusion.guidance import BranchDenoiser
from recast.diffusion.inversion import Inversion, nearest_level
from recast.errors import RequestError
from recast.types import Condition, Latents, Tokens


@dataclass(frozen=True, eq=False)
class NullText:
    """Fitted null tokens for each noise level of a walk down.

    sigmas: decreasing, without the last level, at which no sampler asks. uncond: the tokens at each of them.
    """

    sigmas: list[float]
    uncond: list[Tokens]

    def at(self, sigma: float) -> Tokens:
        """The tokens of the level nearest to `sigma`: a sampler may ask between the levels."""
        return self.uncond[nearest_level(self.sigmas, sigma)]


@dataclass(frozen=True, kw_only=True)
class NullTextFit:
    """How the tokens are fitted; the defaults are those published.

    iterations: of Adam at each level, at most. learning_rate: at the first level; it falls in a line, to half of it at
    the last. tolerance: the mean squared error, in latents of unit variance, at which a level is done; the published
    code lets it grow from level to level.
    """

    iterations: int = 10
    learning_rate: float = 1e-2
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        if self.iterations < 0 or self.learning_rate <= 0 or self.tolerance < 0:
            raise RequestError(f"{self}: iterations and tolerance must be 0 or more, and learning_rate above 0")


PUBLISHED = NullTextFit()


@torch.no_grad()
def null_text_inversion(
    denoise: Denoiser,
    inversion: Inversion,
    condition: Condition,
    *,
    fit: NullTextFit = PUBLISHED,
    step_hook: StepHook = unchanged,
) -> NullText:
    """Fits `condition.uncond` at each level so that a step of `ddim` ends where the inversion was. Algorithm 1.

    denoise: guided, with the scale of the edit; windows are in it. condition: that of the inversion; its `uncond` is
    what the fit starts from, and says whether tokens are for all frames ([n d], as in Video-P2P) or for each ([t n d]).
    Where they count for nothing, as without guidance, they stay. step_hook: called after each level, with the latents
    and the level reached.

    Gradients go to the tokens alone, through the denoiser. Memory is that of one backward pass; a network with gradient
    checkpointing needs less. Raises RequestError for a negative prompt, which would take their place.
    """
    _check_no_negative(condition)
    x, uncond = inversion.trajectory[0], condition.uncond
    steps = list(pairwise(inversion.sigmas))
    fitted = []
    for index, (sigma, sigma_next) in enumerate(steps):
        target = inversion.trajectory[index + 1]
        rate = fit.learning_rate * (1 - index / (2 * len(steps)))
        step = _Step(denoise, x, (sigma, sigma_next), condition)
        uncond = _fitted(step, uncond, target, replace(fit, learning_rate=rate))
        fitted.append(uncond)
        x = step_hook(step(uncond), sigma_next)
    return NullText(inversion.sigmas[:-1], fitted)


def with_null_text(denoise: Denoiser, null_text: NullText) -> Denoiser:
    """The denoiser, conditioned at each level on the null tokens fitted there, in place of the condition's own.

    It goes around windows, which cut tokens that differ by frame. Raises RequestError, when asked, for a negative
    prompt, which would take the place of the fitted tokens.
    """

    def denoise_with_null_text(x: Latents, sigma: float, condition: Condition) -> Latents:
        _check_no_negative(condition)
        return denoise(x, sigma, replace(condition, uncond=null_text.at(sigma)))

    return denoise_with_null_text


def fixed_branches_once(denoise_branches: BranchDenoiser) -> BranchDenoiser:
    """The same while tokens are fitted, in half the time: what is asked again of the same latents is not evaluated.

    Only the last branches of a call are left out, so that hooks which count branches find the fitted ones where they
    were. Only predictions at the level that was asked last are kept, and none that a gradient goes through.
    """
    known: list[_Prediction] = []

    def denoise_new(x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]) -> list[Latents]:
        known[:] = [each for each in known if each.sigma == sigma]
        found = [next((each for each in known if each.answers(x, condition, branch)), None) for branch in branches]
        new = max((index + 1 for index, each in enumerate(found) if each is None), default=0)
        predictions = denoise_branches(x, sigma, condition, branches[:new]) if new else []
        fixed = [index for index in range(new) if not branches[index].tokens.requires_grad]
        known.extend(_Prediction(x, sigma, condition, branches[index], predictions[index].detach()) for index in fixed)
        return predictions + [each.clean for each in found[new:] if each is not None]

    return denoise_new


@dataclass(frozen=True, eq=False)
class _Prediction:
    """What was predicted, and of what."""

    x: Latents
    sigma: float
    condition: Condition
    branch: Branch
    clean: Latents

    def answers(self, x: Latents, condition: Condition, branch: Branch) -> bool:
        """Whether a branch at the same level is this one. Of a condition a branch reads all but its contents."""
        return (
            self.branch.way == branch.way
            and self.branch.tokens is branch.tokens
            and torch.equal(self.x, x)
            and _frames(self.condition) == _frames(condition)
        )


def _frames(condition: Condition) -> list[float] | None:
    return None if condition.frames is None else condition.frames.tolist()


def _check_no_negative(condition: Condition) -> None:
    if condition.negative is not None:
        raise RequestError("null-text inversion fits what guidance pushes away from; leave the negative prompt out")


@dataclass(frozen=True, eq=False)
class _Step:
    """One step of `ddim` as a function of the null tokens. sigmas: before and after the step."""

    denoise: Denoiser
    x: Latents
    sigmas: tuple[float, float]
    condition: Condition

    def __call__(self, uncond: Tokens) -> Latents:
        sigma, sigma_next = self.sigmas
        clean = self.denoise(self.x, sigma, replace(self.condition, uncond=uncond))
        return clean + sigma_next / sigma * (self.x - clean)

    def loss(self, uncond: Tokens, target: Latents) -> Tensor:
        """Squared error of each element, as of latents mixed to unit variance: one tolerance suits all levels."""
        return (self(uncond) - target).square() / (1 + self.sigmas[1] ** 2)


@torch.enable_grad()
def _fitted(step: _Step, uncond: Tokens, target: Latents, fit: NullTextFit) -> Tokens:
    tokens = uncond.detach().clone().requires_grad_()
    adam = torch.optim.Adam([tokens], lr=fit.learning_rate)
    for _ in range(fit.iterations):
        loss = step.loss(tokens, target)
        if loss.mean() <= fit.tolerance or not loss.requires_grad:
            break
        # The sum, not the mean: of many latents the mean's gradients would vanish in half precision, and in Adam's eps.
        (tokens.grad,) = torch.autograd.grad(loss.sum(), [tokens], allow_unused=True)
        if tokens.grad is None:
            break
        adam.step()
    return tokens.detach()
