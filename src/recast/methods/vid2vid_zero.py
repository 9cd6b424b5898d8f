"""Fitted null tokens, the source's attention maps, and attention to all frames: Vid2Vid-Zero, arXiv:2303.17599."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.conditions.word_alignment import refined
from recast.denoising import DenoiseInputs
from recast.diffusion.guidance import guided
from recast.diffusion.null_text import NullText, NullTextFit, fixed_branches_once, with_null_text
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import (
    InversionKnobs,
    InvertedInputs,
    SourceHooks,
    beside_source,
    fitted_walk,
    in_windows,
    under_hooks,
    wanted_first,
)
from recast.networks.attention_recipes import ExtendedAttention
from recast.networks.map_control import (
    SELF_PLACES,
    WORD_PLACES,
    CrossMapControl,
    SelfMapControl,
    record_places,
    record_words,
)
from recast.networks.recorded_features import LimitedHook
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class Vid2VidZero(InversionKnobs, GuidanceKnobs):
    """Inverts the clip, fits null tokens by which guidance walks back to it, and edits with the source's maps.

    arXiv:2303.17599. In every pass places attend to the places of all frames (dense spatial-temporal
    attention). Null tokens are fitted at each level to the source under the full guidance (null-text inversion); the
    edit is guided away from them in the first part of the walk. Its wanted content takes the source's maps of words
    that both prompts have (cross-attention guidance) and, in coarse layers, of places. Needs attention hooks and
    gradients through the network; takes no negative prompt. Network evaluations of a frame: 2 a step to invert it, 3
    and a backward pass to fit the tokens, 3 to edit it. In windows attention is to the window's frames. Draws nothing,
    so the seed changes nothing.

    Differs: maps are those of the inverted latents, not of a walk back beside the edit, and maps of places are put
    in as the paper says (refining prompts in the published code puts those of places into words too); without words
    tokens stand for each other by place; the network's temporal layers stay on.
    """

    paper: ClassVar[str] = "Vid2Vid-Zero, arXiv:2303.17599"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})

    fit_iterations: Annotated[int, Field(ge=0, le=100)] = 1
    """Of Adam on the null tokens, at each level; 0 leaves them as they are."""
    fitted_until: UnitInterval = 0.5
    """The share of the steps, from the first on, that are guided away from the fitted null tokens."""
    cross_until: UnitInterval = 0.8
    """The share of the steps, from the first on, that take the source's maps of words."""
    self_until: UnitInterval = 0.4
    """The share of the steps, from the first on, that take the source's maps of places."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source, and for a negative prompt."""
        dense = ExtendedAttention()
        inverted = self.inverted(inputs, backbone, under_hooks(backbone, self.denoiser(inputs, backbone, 1.0), dense))
        null_text = self._fitted(inverted, backbone)
        look = in_windows(inputs, backbone, guided(backbone.denoise_branches, 1.0), self.overlap)
        edit = self.denoiser(inputs, backbone, inputs.cfg_scale, wanted_first(backbone.denoise_branches))
        beside = beside_source(backbone, edit, look, inverted, partial(self._maps, inverted))
        return inverted.walked(with_null_text(beside, null_text))

    def _fitted(self, inverted: InvertedInputs, backbone: Backbone) -> NullText:
        """The fitted tokens of the first part of the walk, and the condition's own of the rest."""
        inputs = inverted.inputs
        once = fixed_branches_once(backbone.denoise_branches)
        denoise = under_hooks(backbone, self.denoiser(inputs, backbone, inputs.cfg_scale, once), ExtendedAttention())
        null_text, _ = fitted_walk(inverted, denoise, NullTextFit(iterations=self.fit_iterations))
        above, own = inverted.level(self.fitted_until), inputs.condition.uncond
        fitted = zip(null_text.sigmas, null_text.uncond, strict=True)
        return NullText(null_text.sigmas, [tokens if sigma > above else own for sigma, tokens in fitted])

    def _maps(self, inverted: InvertedInputs) -> SourceHooks:
        source, target = inverted.source.words, inverted.inputs.condition.words
        alignment = refined(source, target) if source and target else None
        words, places = record_words(), record_places()
        coarse = partial(LimitedHook, most_places=SELF_PLACES)
        few = partial(LimitedHook, most_places=WORD_PLACES)
        edit = (
            ExtendedAttention(),
            few(hook=CrossMapControl(record=words, alignment=alignment), above=inverted.level(self.cross_until)),
            coarse(hook=SelfMapControl(record=places, branch=0), above=inverted.level(self.self_until)),
        )
        return SourceHooks((ExtendedAttention(), few(hook=words), coarse(hook=places)), edit, (words.calls,))
