"""Boxes and strokes as guides of a clip from words: LLM-grounded Video Diffusion, arXiv:2309.17444, and moved noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated

import torch
from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.denoising import Branch, DenoiseInputs, Denoiser, Sampler
from recast.diffusion.latent_guidance import LatentGuidance, gradient_of
from recast.diffusion.noise import NoiseDraw
from recast.diffusion.stroke_noise import dragged_noise
from recast.diffusion.windows import windowed
from recast.errors import RequestError
from recast.layout import BoxTrack
from recast.methods.knobs import UnitInterval
from recast.networks.box_energy import BoxedWords
from recast.prompt import PromptTokens
from recast.types import Condition, Latents


@dataclass(frozen=True, kw_only=True)
class LayoutKnobs:
    """How strongly words are held to the boxes of a layout; nothing without one."""

    layout_scale: Annotated[float, Field(ge=0, le=1000)] = 40.0
    """Of a layout: how far latents are moved down the energy of words outside of their boxes; 0 is not at all."""
    layout_iterations: Annotated[int, Field(ge=1, le=50)] = 5
    """Of a layout: moves at each step, each with one evaluation of the network and a pass backward."""
    layout_until: UnitInterval = 0.25
    """Of a layout: the share of the steps, from the first on, before which latents are moved, rounded up; 10 of 40 as
    published."""
    layout_centre: Annotated[float, Field(ge=0, le=100)] = 1.0
    """Of a layout: weight of the distance of words' centres from those of boxes, and of their ways over time."""

    def by_layout(self, inputs: DenoiseInputs, backbone: Backbone, size: int, overlap: int) -> Sampler:
        """The inputs' sampler, its latents moved as the layout asks. size, overlap: of windows.

        Raises RequestError for words that the prompt has not, and where the network reads no single prompt;
        BackboneError for a network whose attention hooks cannot look at.
        """
        if not inputs.guides.layout or not self.layout_scale:
            return inputs.sampler
        tokens = places_of(inputs.guides.layout, inputs.condition.words)
        gradient = box_gradient(backbone, inputs.guides.layout, tokens, self.layout_centre)
        sigmas = backbone.sigmas(inputs.steps)
        within = (sigmas[ceil(self.layout_until * inputs.steps)], sigmas[0])
        moving = windowed(gradient, size, overlap)
        return LatentGuidance(inputs.sampler, moving, self.layout_scale, self.layout_iterations, within)


STROKED: dict[str, float | None] = {"own": None, "shared": None, "mixed": 1.0}
"""Noises whose shared part moves along strokes, each with how much is shared where that is not said; None is all."""


def along_strokes(
    draw: NoiseDraw, latents: Sequence[int], inputs: DenoiseInputs, noise: tuple[str, float | None]
) -> Latents:
    """Unit-variance noise that moves along the inputs' strokes. noise: its name, and alpha where that was given.

    The usual `own` noise stands for all of it being shared. Raises RequestError for a noise without a shared part.
    """
    name, alpha = noise
    if name not in STROKED:
        raise RequestError(
            f"strokes move the noise that frames share, and {name} has none that moves; say shared or mixed"
        )
    share = STROKED[name] if alpha is None else alpha
    return dragged_noise(draw, latents, inputs.guides.strokes, share, inputs.temporal_stride)


def places_of(layout: Sequence[BoxTrack], words: PromptTokens | None) -> list[tuple[int, ...]]:
    """The tokens of each thing's words. Raises RequestError for words that the prompt has not, and for no prompt."""
    if words is None:
        raise RequestError(
            "a layout holds words of one prompt to boxes, and no prompt is read word by word here (a picture, several "
            "prompts, a schedule, another text encoder); leave the layout out, or take one -p and -m animatediff"
        )
    return [tuple(at for word in each.words.split() for at in words.of_word(word)) for each in layout]


def box_gradient(
    backbone: Backbone, layout: Sequence[BoxTrack], tokens: Sequence[tuple[int, ...]], centre_weight: float
) -> Denoiser:
    """The gradient of the energy of a layout, for as many frames as the network sees at once."""

    def gradient(x: Latents, sigma: float, condition: Condition) -> Latents:
        frames = condition.frames
        assert frames is not None, "the inputs number their frames"
        boxes = [dict(zip(frames.tolist(), each.at(frames).to(x), strict=True)) for each in layout]
        look = BoxedWords(tokens, boxes, centre_weight)
        with torch.enable_grad(), backbone.hooked(look):
            given = x.detach().requires_grad_(True)
            [clean] = backbone.denoise_branches(given, sigma, condition, [Branch(condition.cond)])
            return gradient_of(look.energy + 0 * clean.sum(), given)

    return gradient
