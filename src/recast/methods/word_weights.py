"""A word of the prompt that counts for more or less, in all frames alike or as a schedule says: after AADiff."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.curves import Curve
from recast.denoising import Branch, DenoiseInputs
from recast.diffusion.guidance import BranchDenoiser
from recast.errors import RequestError
from recast.networks.word_weights import FrameWeights, WeighedWords
from recast.types import Condition, Latents

WEIGHT = "word_weight"
"""The knob that may have a schedule, by a sound too: AADiff, arXiv:2305.04001."""


@dataclass(frozen=True, kw_only=True)
class WordWeightKnobs:
    """What a method inherits whose walk asks for one content in branches of one denoiser."""

    weigh_word: str = ""
    """A word of the prompt whose attention maps are multiplied by `word_weight` (Prompt-to-Prompt, arXiv:2208.01626);
    none if not said."""
    word_weight: Annotated[float, Field(ge=-10, le=100)] = 1.0
    """What its maps are multiplied by: above 1 there is more of it, 0 leaves it out. May have a schedule."""

    def weighed(self, inputs: DenoiseInputs, backbone: Backbone) -> BranchDenoiser:
        """The backbone's branches, the word weighed where they have the wanted content.

        Raises RequestError for a weight without a word and a word without a weight, for a word that the prompt has not,
        and where no single prompt is read; BackboneError for a network whose attention hooks cannot look at.
        """
        weight = inputs.curves.get(WEIGHT, self.word_weight)
        if bool(self.weigh_word) != (weight != 1):
            given = f"word_weight is {_shown(weight)} and weigh_word is {self.weigh_word!r}"
            raise RequestError(f"{given}; one does nothing without the other, say both")
        if not self.weigh_word:
            return backbone.denoise_branches
        if inputs.condition.words is None:
            raise RequestError(
                f"no prompt is read word by word here (a picture, several prompts, a schedule of the prompt, another "
                f"text encoder), so no map is that of {self.weigh_word!r}; take one -p and such a model as pocket-words"
            )
        return weighed(backbone, inputs.condition.words.of_word(self.weigh_word), _over_frames(weight))


def weighed(backbone: Backbone, tokens: tuple[int, ...], weights: FrameWeights) -> BranchDenoiser:
    """The backbone's branches, maps of these tokens multiplied in those that have the wanted content."""

    def denoise(x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]) -> list[Latents]:
        wanted = {number for number, branch in enumerate(branches) if branch.tokens is condition.cond}
        with backbone.hooked(WeighedWords(tokens, weights, wanted)):
            return backbone.denoise_branches(x, sigma, condition, branches)

    return denoise


def _over_frames(weight: float | Curve) -> FrameWeights:
    return weight.at if isinstance(weight, Curve) else lambda frames: torch.full((len(frames),), weight)


def _shown(weight: float | Curve) -> str:
    return "a schedule" if isinstance(weight, Curve) else f"{weight:g}"
