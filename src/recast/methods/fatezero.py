"""Attention maps of the source, kept at each level and fused into the edit: FateZero, arXiv:2303.09535."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.guidance import guided
from recast.errors import RequestError
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import (
    InversionKnobs,
    SourceHooks,
    beside_source,
    in_windows,
    under_hooks,
    wanted_first,
)
from recast.methods.words import WordKnobs, local_blend
from recast.networks.attention_recipes import FrameBank, ReferenceAttention, first_and_previous
from recast.networks.map_control import (
    WORD_PLACES,
    CrossMapControl,
    SelfMapControl,
    WordMaps,
    record_places,
    record_words,
)
from recast.networks.recorded_features import LimitedHook
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class FateZero(InversionKnobs, WordKnobs):
    """Inverts the clip, and walks back with the attention maps of the inverted latents in place of the edit's own.

    arXiv:2303.09535, section 4. In self-attention all queries take the source's maps, and in cross-attention those of
    the wanted content do, for words that the source prompt has too; both are then applied to the edit's values.
    Self-attention looks at the first frame and the one before. With equal prompts it is the inversion's reconstruction.
    Needs attention hooks; by words where the model reads one prompt, else token by token. Network evaluations of a
    frame: 2 a step to invert it, 3 a step to edit it, and maps of up to 1024 places. Draws nothing, so the seed changes
    nothing.

    Differs: maps are computed anew at each level from the inverted latents, not stored over the whole inversion; the
    network's temporal layers stay on.
    """

    paper: ClassVar[str] = "FateZero, arXiv:2303.09535"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})

    blend_word: str = ""
    """A word of the source prompt: where it is looked at, self-attention keeps the edit's own maps, so that shapes can
    change (equation 8); nowhere if not said."""
    blend_threshold: UnitInterval = 0.3
    """From which share of its largest value on a place looks at that word."""
    keep_background: bool = False
    """Whether latents of all other places are the inverted source's at each level, as Prompt-to-Prompt's LocalBlend."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keep_background and not self.blend_word:
            raise RequestError("keep_background keeps what is not blend_word's, and there is none; say blend_word too")

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source, and for words that are not in a prompt."""
        first, step = inputs.clip.first, backbone.temporal_stride

        def causal() -> ReferenceAttention:
            return ReferenceAttention(first_and_previous(first, step), FrameBank(frozenset({first})))

        alignment, blended, _ = self.aligned(inputs, self.blend_word)
        inverted = self.inverted(
            inputs, backbone, under_hooks(backbone, self.denoiser(inputs, backbone, 1.0), causal())
        )
        cross, itself = inverted.level(self.cross_until), inverted.level(self.self_until)
        rows, columns = inverted.inversion.trajectory[0].shape[-2:]
        looked = WordMaps(tokens=blended, size=(rows, columns))

        def maps() -> SourceHooks:
            words, places = record_words(), record_places()
            mask = looked.place_mask(self.blend_threshold) if blended else None
            few = partial(LimitedHook, most_places=WORD_PLACES)
            put_in = (
                few(hook=CrossMapControl(record=words, alignment=alignment), above=cross),
                few(hook=SelfMapControl(record=places, mask=mask), above=itself),
            )
            seen = (causal(), few(hook=words), few(hook=places), *([looked] if blended else []))
            return SourceHooks(seen, (causal(), *put_in), (words.calls, places.calls))

        look = in_windows(inputs, backbone, guided(backbone.denoise_branches, 1.0), self.overlap)
        edit = self.denoiser(inputs, backbone, inputs.cfg_scale, wanted_first(backbone.denoise_branches))
        step_hook = local_blend(inverted, [looked], self.blend_threshold) if self.keep_background else None
        return inverted.walked(beside_source(backbone, edit, look, inverted, maps), step_hook)
