"""Null tokens fitted to each frame, maps of words, and latents kept outside of them: Edit-A-Video, arXiv:2303.07945."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.guidance import guided
from recast.diffusion.null_text import NullTextFit, fixed_branches_once, with_null_text
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import beside_source, fitted_walk, in_windows, wanted_first
from recast.methods.words import FittedBlendKnobs, local_blend, looked_at, maps_beside
from recast.networks.attention_recipes import causal_in_pass
from recast.types import Condition, Latents


@dataclass(frozen=True, kw_only=True)
class EditAVideo(FittedBlendKnobs):
    """Inverts the clip, fits null tokens to each frame by which guidance walks back to it, and edits beside that walk.

    arXiv:2303.07945. The edit is guided away from the fitted tokens too, so that what the prompt leaves as it is comes
    back under the full guidance. It takes the maps of the source's walk, of words that both prompts have and, in coarse
    layers, of places, and with `blend_word` its latents too, but where that word is: a frame's mask is of its own map
    of the word, averaged with those of the first frame and of the frame before (sparse-causal blending), so that what
    is kept does not jump. Meant for a network tuned on the clip (`recast tune --train tune-a-video`), which brings its
    attention and layers over time; runs on any with attention hooks and gradients. The published guidance is 7.5
    (--cfg). Network evaluations of a frame: 2 a step to invert it, 1 and a backward pass for each iteration and 2 more
    to fit the tokens, 3 to edit it. Draws nothing, so the seed changes nothing.

    Differs: the source's walk is over before the edit begins, and is looked at again at each level; maps are shares of
    their largest value where they are averaged; a mask is of the level at hand, not of all before it; each step up is
    made anew once (`refinements`; the paper: not at all). Shares of the steps are those of Prompt-to-Prompt.
    """

    paper: ClassVar[str] = "Edit-A-Video, arXiv:2303.07945"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})

    self_until: UnitInterval = 0.4
    """The share of the steps, from the first on, that take the source's maps of places."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source, and for words that are not in a prompt."""
        alignment, theirs, ours = self.aligned(inputs, self.blend_word, self.edited_word)
        apart = replace(inputs, source=inputs.source and frame_by_frame(inputs.source))
        inverted = self.inverted(apart, backbone, self.denoiser(inputs, backbone, 1.0))
        walk = self.denoiser(inputs, backbone, inputs.cfg_scale, fixed_branches_once(backbone.denoise_branches))
        null_text, source = fitted_walk(inverted, walk, NullTextFit(iterations=self.fit_iterations))
        seen, made = looked_at(source, theirs, ours)
        look = in_windows(inputs, backbone, guided(backbone.denoise_branches, 1.0), self.overlap)
        edit = self.denoiser(inputs, backbone, inputs.cfg_scale, wanted_first(backbone.denoise_branches))
        hooks = partial(maps_beside, self, source, alignment, seen=seen, made=made)
        blend, below = [*seen, *made], source.level(self.blend_from)
        step_hook = local_blend(source, blend, self.blend_threshold, below, causal_in_pass) if blend else None
        return source.walked(with_null_text(beside_source(backbone, edit, look, source, hooks), null_text), step_hook)


def frame_by_frame(condition: Condition) -> Condition:
    """The same with null tokens of each frame's own, as they are fitted apart."""
    assert condition.frames is not None, "the inputs number their frames"
    uncond = condition.uncond
    return condition if uncond.ndim == 3 else replace(condition, uncond=uncond.expand(len(condition.frames), -1, -1))
