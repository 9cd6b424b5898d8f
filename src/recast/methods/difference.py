"""Editing by the difference of two denoisers: the walk that FlowEdit and its kin share, without inversion."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import torch

from recast.denoising import DenoiseInputs, Denoiser
from recast.errors import RequestError
from recast.methods.knobs import GuidanceKnobs
from recast.types import Condition, Latents


@dataclass(frozen=True, kw_only=True)
class DifferenceKnobs(GuidanceKnobs):
    """What a method inherits that compares the source with the edit, and takes steps of its own."""

    needs_source: ClassVar[bool] = True
    ensembles: ClassVar[bool] = False

    @property
    def ignores(self) -> frozenset[str]:
        """The sampler: steps are those of the method."""
        return frozenset({"scheduler"})


@dataclass(frozen=True)
class Step:
    """A step of a walk, from one noise level down to the next. number: 0 for the first one."""

    sigma: float
    sigma_next: float
    number: int

    def euler(self, delta: Latents, difference: Latents) -> Latents:
        """One step of Euler's method for d delta / d sigma = (delta - difference) / sigma."""
        keep = self.sigma_next / self.sigma
        return keep * delta + (1 - keep) * difference


StepRule = Callable[[Latents, Step], Latents]
"""From delta = edit - source before a step to what it is after it."""


@dataclass(frozen=True, eq=False)
class DenoiserPair:
    """Two denoisers that are asked under one noise: of the source under its own content, of the edit under the wanted.

    source: the clip's clean latents. own: the condition of the source. wanted: that of the edit.
    """

    inputs: DenoiseInputs
    source: Latents
    from_source: Denoiser
    target: Denoiser
    own: Condition
    wanted: Condition

    @classmethod
    def of(cls, inputs: DenoiseInputs, source: Latents, from_source: Denoiser, target: Denoiser) -> "DenoiserPair":
        """The pair for these inputs. Raises RequestError for inputs that do not say what the clip shows."""
        return cls(inputs, source, from_source, target, described(inputs), inputs.condition)

    def against_source(self) -> "DenoiserPair":
        """The same with guidance of the edit away from the source's content, where no negative prompt says otherwise.

        Where both contents are one there is nothing to guide away from.
        """
        return replace(self, wanted=against(self.wanted, self.own))

    def noise(self, sigma: float, number: int) -> Latents:
        """Noise of this level, another for each number; number 0 is not the noise that walks start from."""
        return sigma * self.inputs.noise(self.source, 1 + number)

    def predictions(self, delta: Latents, sigma: float, number: int) -> tuple[Latents, Latents]:
        """The clean latents predicted for the source and for the edit, under the noise of this number."""
        noise = self.noise(sigma, number)
        before = self.from_source(self.source + noise, sigma, self.own)
        return before, self.target(self.source + delta + noise, sigma, self.wanted)

    @torch.no_grad()
    def walk(self, sigmas: list[float], rule: StepRule) -> Latents:
        """The edited latents: delta starts at 0, and goes by the rule from each level to the next.

        The step hook sees latents with noise on them, as it does in every other walk.
        """
        delta = torch.zeros_like(self.source)
        for number, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
            delta = self._hooked(rule(delta, Step(sigma, sigma_next, number)), sigma_next)
        return self.source + delta

    def _hooked(self, delta: Latents, sigma: float) -> Latents:
        noise = sigma * self.inputs.noise(self.source)
        x = self.source + delta + noise
        answer = self.inputs.step_hook(x, sigma)
        return delta if answer is x else answer - noise - self.source


def described(inputs: DenoiseInputs) -> Condition:
    """The condition under which the clip itself is described. Raises RequestError for inputs without one."""
    if inputs.source is None:
        raise RequestError("the method needs to know what the clip shows; say --source-prompt")
    return inputs.source


def against(wanted: Condition, own: Condition) -> Condition:
    """The wanted condition with the source's content as its negative prompt, where it has none of its own."""
    return wanted if wanted.negative is not None else replace(wanted, negative=own.cond)
