"""What methods have alike that put the source's maps of words into an edit: Prompt-to-Prompt, arXiv:2208.01626."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Annotated

import torch
from pydantic import Field

from recast.conditions.word_alignment import ALIGNMENTS
from recast.denoising import DenoiseInputs, StepHook
from recast.errors import RequestError, known
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.walks import InversionKnobs, InvertedInputs, SourceHooks
from recast.networks.attention_recipes import References
from recast.networks.hooks import Hook
from recast.networks.map_control import (
    WORD_PLACES,
    Alignment,
    CrossMapControl,
    SelfMapControl,
    WordMaps,
    record_places,
    record_words,
)
from recast.networks.recorded_features import LimitedHook
from recast.types import Latents

Places = tuple[int, ...]
"""Of tokens among those of a prompt."""


@dataclass(frozen=True, kw_only=True)
class WordKnobs(GuidanceKnobs):
    """What a method inherits that gives an edit the source's maps, by words; its own knobs are fields beside these."""

    align: str = "refine"
    """How words are aligned: refine keeps the source's maps of words that both prompts have; replace takes them word
    by word, for prompts of as many words."""
    reweight_word: str = ""
    """A word of the wanted prompt whose maps are multiplied by `reweight`."""
    reweight: Annotated[float, Field(ge=-10, le=100)] = 1.0
    """What its maps are multiplied by; the published examples have 10."""
    cross_until: UnitInterval = 0.8
    """The share of the steps, from the first on, that take the source's maps of words."""
    self_until: UnitInterval = 0.8
    """The share of the steps, from the first on, that take the source's maps of self-attention."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known("way to align words", self.align, ALIGNMENTS)
        if (self.reweight != 1) != bool(self.reweight_word):
            given = f"reweight is {self.reweight:g} and reweight_word is {self.reweight_word!r}"
            raise RequestError(f"{given}; one does nothing without the other, say both")

    def aligned(
        self, inputs: DenoiseInputs, source_word: str = "", target_word: str = ""
    ) -> tuple[Alignment | None, Places, Places]:
        """Which tokens stand for which, None for those in the same place; and the places of a word of each prompt.

        No places for no word. Raises RequestError for words that are not there, or of a model that reads no prompt.
        """
        source, target = inputs.source.words if inputs.source else None, inputs.condition.words
        _, reweighted = word_places(inputs, "", self.reweight_word)
        places = word_places(inputs, source_word, target_word)
        if source is None or target is None:
            return None, (), ()
        alignment = ALIGNMENTS[self.align](source, target)
        return alignment.reweighted(reweighted, self.reweight) if reweighted else alignment, *places


def word_places(inputs: DenoiseInputs, source_word: str, target_word: str) -> tuple[Places, Places]:
    """The places of a word of each prompt, none for no word.

    Raises RequestError for words that are not there, or of a model that reads no prompt.
    """
    source, target = inputs.source.words if inputs.source else None, inputs.condition.words
    named = " and ".join(repr(word) for word in (source_word, target_word) if word)
    if named and (source is None or target is None):
        raise RequestError(f"this model does not read one prompt, so no map is a word's; leave {named} out")
    theirs = source.of_word(source_word) if source and source_word else ()
    return theirs, target.of_word(target_word) if target and target_word else ()


@dataclass(frozen=True, kw_only=True)
class BlendKnobs:
    """What a method inherits that keeps the source's latents away from words."""

    blend_word: str = ""
    """A word of the source prompt: places that look at neither it nor `edited_word` keep the source's latents; none do
    if not said."""
    edited_word: str = ""
    """The word of the wanted prompt that stands in its place."""
    blend_threshold: UnitInterval = 0.3
    """From which share of its largest value on a place looks at a word."""
    blend_from: UnitInterval = 0.2
    """The share of the steps before latents are kept."""


@dataclass(frozen=True, kw_only=True)
class FittedBlendKnobs(BlendKnobs, InversionKnobs, WordKnobs):
    """What a method inherits that edits beside a walk by fitted null tokens, and keeps its latents away from words."""

    fit_iterations: Annotated[int, Field(ge=0, le=100)] = 10
    """Of Adam on the null tokens, at each level; 0 leaves them, and the source's walk, as they are."""


def maps_beside(
    knobs: WordKnobs,
    source: InvertedInputs,
    alignment: Alignment | None,
    *,
    seen: Sequence[WordMaps],
    made: Sequence[WordMaps],
    over: Callable[[], tuple[Hook, ...]] = tuple,
) -> SourceHooks:
    """The source's maps of words and, in coarse layers, of places, for the wanted content of an edit beside it.

    seen, made: look at a word in the source's pass and in the edit's. over: attention over frames, made for each.
    """
    words, places = record_words(), record_places()
    few = partial(LimitedHook, most_places=WORD_PLACES)  # for both kinds, in the published code
    edit = (
        *over(),
        *made,
        few(hook=CrossMapControl(record=words, alignment=alignment), above=source.level(knobs.cross_until)),
        few(hook=SelfMapControl(record=places, branch=0), above=source.level(knobs.self_until)),
    )
    return SourceHooks((*over(), *seen, few(hook=words), few(hook=places)), edit, (words.calls,))


def looked_at(source: InvertedInputs, *words: Places) -> tuple[list[WordMaps], ...]:
    """For each word one look at it, in pictures of the latents' size; none for a word that was not named."""
    rows, columns = source.inversion.trajectory[0].shape[-2:]
    return tuple([WordMaps(tokens=places, size=(rows, columns))] if places else [] for places in words)


def local_blend(
    source: InvertedInputs,
    looked: Sequence[WordMaps],
    threshold: float,
    below: float = inf,
    references: Callable[[Sequence[int]], References] | None = None,
) -> StepHook:
    """The source's latents in place of those outside of the words' masks, which are those of the level just left.

    below: the noise level of the first step that is blended. references: of the clip's frames, see `WordMaps.mask`.
    """
    inputs = source.inputs
    assert inputs.condition.frames is not None, "the inputs number their frames"
    frames = inputs.condition.frames.tolist()
    others = references(frames) if references else None

    def step_hook(x: Latents, sigma: float, /) -> Latents:
        left = min(level for level, _ in looked[0].sums if level is not None and level > sigma)
        if left <= below:
            mask = torch.stack([each.mask(left, frames, threshold, others) for each in looked]).amax(0)
            x = torch.lerp(source.inversion.at(sigma), x, mask)
        return inputs.step_hook(x, sigma)

    return step_hook
