"""What methods have alike that start from the inverted clip, or from noise that its frames share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import hypot
from typing import Annotated, ClassVar

from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.denoising import Branch, DenoiseInputs, Denoiser, StepHook
from recast.diffusion.guidance import BranchDenoiser
from recast.diffusion.inversion import Inversion
from recast.diffusion.noise import noise_draw, shared_noise
from recast.diffusion.null_text import NullText, NullTextFit, null_text_inversion
from recast.diffusion.schedule import finish, truncated
from recast.diffusion.windows import windowed
from recast.errors import RequestError
from recast.methods.inverted import inverted
from recast.methods.knobs import UnitInterval
from recast.networks.hooks import Hook
from recast.types import Condition, Latents


@dataclass(frozen=True, eq=False)
class InvertedInputs:
    """Inputs with their clip taken up the noise levels. source: the condition under which it was."""

    inputs: DenoiseInputs
    source: Condition
    inversion: Inversion

    def level(self, share: float) -> float:
        """The noise level that is reached after this share of the steps."""
        sigmas = self.inversion.sigmas
        return sigmas[round(share * (len(sigmas) - 1))]

    def walked(self, denoise: Denoiser, step_hook: StepHook | None = None) -> Latents:
        """Clean latents: the walk back down, by the inputs' sampler and under its condition."""
        inputs, sigmas, start = self.inputs, self.inversion.sigmas, self.inversion.trajectory[0]
        x = inputs.sampler(denoise, start, sigmas, inputs.condition, step_hook=step_hook or inputs.step_hook)
        return finish(x, sigmas[-1])


@dataclass(frozen=True, kw_only=True)
class InversionKnobs:
    """What a method inherits that walks back from the inverted clip; its own knobs are fields beside these."""

    needs_source: ClassVar[bool] = True
    ensembles: ClassVar[bool] = False

    strength: UnitInterval = 1.0
    """How high the source is inverted, as the share of the steps that are taken; 0 gives the source back."""
    refinements: Annotated[int, Field(ge=0, le=64)] = 1
    """How often each step of the inversion is made anew; more is nearer to the source and slower."""
    negative_prompt_inversion: bool = False
    """Guidance pushes away from what the clip shows, not from no content (arXiv:2305.16807): what words do not change
    comes back as it was, without a fit. Not with a negative prompt, nor where null tokens are fitted."""

    def inverted(self, inputs: DenoiseInputs, backbone: Backbone, denoise: Denoiser) -> InvertedInputs:
        """The clip at each level, under its own content; its inputs are those of the walk back.

        Raises RequestError for inputs without a source, and for two things to push away from.
        """
        if inputs.source is None:
            raise RequestError(f"{type(self).__name__.lower()} needs to know what the clip shows; say --source-prompt")
        if self.negative_prompt_inversion:
            if inputs.condition.negative is not None:
                raise RequestError(
                    "negative_prompt_inversion pushes away from the source; leave the negative prompt out"
                )
            away = replace(inputs.condition, negative=inputs.source.cond)
            inputs = replace(inputs, condition=away)
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        inversion = inverted(inputs, backbone, denoise, sigmas, refinements=self.refinements)
        assert inputs.source is not None, "looked at above"
        return InvertedInputs(inputs, inputs.source, inversion)


def fitted_walk(inverted: InvertedInputs, denoise: Denoiser, fit: NullTextFit) -> tuple[NullText, InvertedInputs]:
    """Null tokens by which the guided walk down follows the inverted clip, and that walk in the inversion's place.

    denoise: guided, with windows and hooks. Raises RequestError for a negative prompt.
    """
    inputs, levels = inverted.inputs, inverted.inversion.sigmas
    walk = [inverted.inversion.trajectory[0]]

    def step_hook(x: Latents, _sigma: float, /) -> Latents:
        walk.append(x)
        return inputs.inversion_hook(x, levels[0])  # the inversion is done, and progress must not fall

    null_text = null_text_inversion(denoise, inverted.inversion, inverted.source, fit=fit, step_hook=step_hook)
    return null_text, replace(inverted, inversion=replace(inverted.inversion, trajectory=walk))


def wanted_first(denoise_branches: BranchDenoiser) -> BranchDenoiser:
    """Asks for the wanted content as branch 0, for hooks that change it alone; answers come in the order asked for."""

    def denoise_wanted_first(
        x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        order = sorted(range(len(branches)), key=lambda index: branches[index].tokens is not condition.cond)
        predictions = denoise_branches(x, sigma, condition, [branches[index] for index in order])
        return [predictions[order.index(index)] for index in range(len(branches))]

    return denoise_wanted_first


def in_windows(inputs: DenoiseInputs, backbone: Backbone, denoise: Denoiser, overlap: float = 0.0) -> Denoiser:
    """No more frames at once than the inputs and the network have room for."""
    size = min(inputs.window, backbone.max_frames)
    return windowed(denoise, size, int(overlap * size))


def under_hooks(backbone: Backbone, denoise: Denoiser, *hooks: Hook) -> Denoiser:
    """The denoiser with hooks in force."""

    def denoise_under_hooks(x: Latents, sigma: float, condition: Condition) -> Latents:
        with backbone.hooked(*hooks):
            return denoise(x, sigma, condition)

    return denoise_under_hooks


@dataclass(frozen=True, eq=False)
class SourceHooks:
    """What is kept of the source at one level, and put into the edit.

    record: hooks on the source's pass; edit: on the edit's. kept: where records are, which must not stay empty.
    """

    record: Sequence[Hook]
    edit: Sequence[Hook]
    kept: Sequence[dict]


def beside_source(
    backbone: Backbone, denoise: Denoiser, look: Denoiser, inverted: InvertedInputs, hooks: Callable[[], SourceHooks]
) -> Denoiser:
    """`beside`, where `look` is at the inverted source of the level, under its own content."""
    return beside(backbone, denoise, lambda sigma: look(inverted.inversion.at(sigma), sigma, inverted.source), hooks)


def beside(
    backbone: Backbone, denoise: Denoiser, look: Callable[[float], Latents], hooks: Callable[[], SourceHooks]
) -> Denoiser:
    """At each level, `look` under hooks that record, then `denoise` under those that use what was seen.

    hooks: made anew at each level, so that memory is that of one. Raises RequestError for a network without the layers
    that they look at.
    """

    def denoise_beside(x: Latents, sigma: float, condition: Condition) -> Latents:
        made = hooks()
        with backbone.hooked(*made.record):
            look(sigma)
        if not all(made.kept):
            raise RequestError("the model's network lacks the layers whose features the method takes from the source")
        with backbone.hooked(*made.edit):
            return denoise(x, sigma, condition)

    return denoise_beside


def from_shared_noise(inputs: DenoiseInputs, backbone: Backbone, strength: float, sigma: float) -> Latents:
    """Latents at level `sigma` under noise that all frames share: of the source, or of nothing where strength is 1.

    Raises RequestError where nothing of the source would be left: full strength, and no structure.
    """
    source = backbone.encode(inputs.clip.frames)
    noise = shared_noise(noise_draw(inputs, source), range(len(source)))
    if strength < 1:
        return source + sigma * noise
    if inputs.condition.structure_channels is None and not inputs.condition.controls:
        without = "this model reads no structure, and all of the clip is made anew, so nothing of it would be left"
        raise RequestError(f"{without}; say --set strength=0.8, or take a model that reads depth")
    # As large as unit-variance latents with this noise on them would be: the network never saw noise alone.
    return hypot(1, sigma) * noise
