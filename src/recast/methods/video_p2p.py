"""A walk back by fitted null tokens, and an edit beside it with its maps of words: Video-P2P, arXiv:2303.04761."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.guidance import guided
from recast.diffusion.null_text import NullTextFit, fixed_branches_once
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import (
    beside_source,
    fitted_walk,
    in_windows,
    under_hooks,
    wanted_first,
)
from recast.methods.words import FittedBlendKnobs, local_blend, looked_at, maps_beside
from recast.networks.attention_recipes import FrameBank, ReferenceAttention, anchored
from recast.networks.hooks import Hook
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class VideoP2P(FittedBlendKnobs):
    """Inverts the clip, walks back to it by fitted null tokens, and beside that walk edits with its maps of words.

    arXiv:2303.04761. Guidance is decoupled: the source is guided away from null tokens that all frames share, fitted at
    each level so that the walk comes back to the clip; the edit is guided away from the null content as it is, so that
    it stays free. The edit takes the maps of the source's walk, of words that both prompts have and, in coarse layers,
    of places, and with `blend_word` its latents too, but where that word is. Self-attention looks at the first frame.
    Meant for a network tuned on the clip (`recast tune --train tune-a-video`); runs on any with attention hooks and
    gradients. Network evaluations of a frame: 2 a step to invert it, 1 and a backward pass for each iteration and 2
    more to fit the tokens, 3 to edit it. Draws nothing, so the seed changes nothing.

    Differs: the source's walk is over before the edit begins, and is looked at again at each level; a word's mask is
    of the level at hand, not of all before it; each step up is made anew once (`refinements`; the paper: not at all);
    layers over time stay on. The published code fits less closely from level to level.
    """

    paper: ClassVar[str] = "Video-P2P, arXiv:2303.04761"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})

    cross_until: UnitInterval = 0.2
    """The share of the steps, from the first on, that take the source's maps of words."""
    self_until: UnitInterval = 0.5
    """The share of the steps, from the first on, that take the source's maps of places."""
    frame_attention: bool = True
    """Whether self-attention looks at the first frame; if not it is the network's own, as it was tuned."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source, and for words that are not in a prompt."""
        alignment, theirs, ours = self.aligned(inputs, self.blend_word, self.edited_word)
        inverted = self.inverted(
            inputs, backbone, under_hooks(backbone, self.denoiser(inputs, backbone, 1.0), *self._over(inputs))
        )
        once = fixed_branches_once(backbone.denoise_branches)
        walk = under_hooks(backbone, self.denoiser(inputs, backbone, inputs.cfg_scale, once), *self._over(inputs))
        _, source = fitted_walk(inverted, walk, NullTextFit(iterations=self.fit_iterations))
        seen, made = looked_at(source, theirs, ours)
        look = in_windows(inputs, backbone, guided(backbone.denoise_branches, 1.0), self.overlap)
        edit = self.denoiser(inputs, backbone, inputs.cfg_scale, wanted_first(backbone.denoise_branches))
        hooks = partial(maps_beside, self, source, alignment, seen=seen, made=made, over=partial(self._over, inputs))
        blend, below = [*seen, *made], source.level(self.blend_from)
        step_hook = local_blend(source, blend, self.blend_threshold, below) if blend else None
        return source.walked(beside_source(backbone, edit, look, source, hooks), step_hook)

    def _over(self, inputs: DenoiseInputs) -> tuple[Hook, ...]:
        """Frame attention, with a memory of its own, where it is wanted."""
        first = inputs.clip.first
        frame = ReferenceAttention(anchored(first), FrameBank(frozenset({first})))
        return (frame,) if self.frame_attention else ()
