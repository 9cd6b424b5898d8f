"""From one prompt to scenes, prompts over time and boxes over time: by a language model at an endpoint.

After VideoDirectorGPT (arXiv:2309.15091) and MovieFactory (2306.07257), whose scenes share a subject, DirecT2V
(2305.14330) and Free-Bloom (2309.14494), whose frames have a prompt each, and LLM-grounded Video Diffusion
(2309.17444), whose things have boxes. What is asked here is shorter
than what they publish.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeVar, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from recast.editing.motion_files import Unit
from recast.evaluation.prompts.rewriters import plain

Form = TypeVar("Form", bound=BaseModel)
MOST_SCENES, MOST_MOMENTS = 50, 60
_KEY_IN_WORDS = re.compile(r"(?:^|,)\s*\d+(?:\.\d+)?s?\s*:")
_WORDS = re.compile(r"[^\W_]+")
_ONLY = "Answer with one JSON object and nothing else: "
_SCENES = (
    """A video is to show: {prompt}
Plan it as {count} scenes, which are made one after the other. "subject": who or what all scenes share, in at most 12
plain words that say how it looks. "prompt" of each scene: what happens and where, in at most 20 plain words, without
the subject's looks, which are put before it. "seconds": how long it lasts, 1 to 10.
"""
    + _ONLY
    + '{{"subject": "a red dog", "scenes": [{{"prompt": "runs through snow", "seconds": 2}}]}}'
)
_MOMENTS = (
    """A clip of {seconds:g} seconds shows: {prompt}
Describe what is to be seen at {count} moments, evenly spaced from its start to its end: each a whole prompt of at most
25 plain words, which repeats who and where, and changes only what moves or changes.
"""
    + _ONLY
    + '{{"prompts": ["...", "..."]}} with {count} prompts.'
)
_BOXES = (
    """A clip of {seconds:g} seconds shows: {prompt}
Say where its main things are at {count} moments, evenly spaced from its start to its end. "words": one to three words
that stand in the sentence above. "boxes": [left, top, right, bottom] at each moment, as shares of the frame from 0 to
1, left of right and top above bottom; things move and change size as they would before a still camera.
"""
    + _ONLY
    + '{{"objects": [{{"words": "dog", "boxes": [[0.1, 0.5, 0.4, 0.9]]}}]}} with {count} boxes for each thing.'
)


def _keyless(text: str) -> str:
    """Words that may stand in a schedule, where "12:" behind a comma would begin another key."""
    text = plain(text)
    if _KEY_IN_WORDS.search(text):
        raise ValueError("a prompt has no number with a colon at its start or behind a comma")
    return text


PlainWords = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_keyless)]


@runtime_checkable
class HoldsContext(Protocol):
    """What pydantic gives validators, as far as it is read here; its own type cannot be checked at runtime."""

    @property
    def context(self) -> Any:  # noqa: ANN401 -- what `ChatEndpoint.ask` was given
        """What was asked for, by name."""
        ...


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlannedScene(_Answer):
    """What happens in one scene, without the subject that all share."""

    prompt: PlainWords
    seconds: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)]


class PlannedScenes(_Answer):
    """Scenes that share a subject; as many as were asked for."""

    subject: PlainWords
    scenes: Annotated[tuple[PlannedScene, ...], Field(min_length=1, max_length=MOST_SCENES)]

    @field_validator("scenes")
    @classmethod
    def _as_many(cls, scenes: tuple[PlannedScene, ...], info: HoldsContext) -> tuple[PlannedScene, ...]:
        return _counted(scenes, "scenes", info)


class PlannedPrompts(_Answer):
    """What is to be seen at moments evenly spaced over a clip; as many as were asked for."""

    prompts: Annotated[tuple[PlainWords, ...], Field(min_length=1, max_length=MOST_MOMENTS)]

    @field_validator("prompts")
    @classmethod
    def _as_many(cls, prompts: tuple[str, ...], info: HoldsContext) -> tuple[str, ...]:
        return _counted(prompts, "prompts", info)


class PlannedThing(_Answer):
    """Words of the prompt, and where what they name is at each moment."""

    words: PlainWords
    boxes: Annotated[tuple[tuple[Unit, Unit, Unit, Unit], ...], Field(min_length=1, max_length=MOST_MOMENTS)]

    @field_validator("words")
    @classmethod
    def _in_the_prompt(cls, words: str, info: HoldsContext) -> str:
        there = _words_of((info.context or {}).get("prompt", words))
        strange = sorted(_words_of(words) - there)
        if strange:
            raise ValueError(f"{strange[0]!r} is no word of the sentence")
        return words

    @field_validator("boxes")
    @classmethod
    def _are_boxes(cls, boxes: tuple[tuple[float, ...], ...], info: HoldsContext) -> tuple[tuple[float, ...], ...]:
        if any(left >= right or top >= bottom for left, top, right, bottom in boxes):
            raise ValueError("a box is left, top, right, bottom, with left < right and top < bottom")
        return _counted(boxes, "boxes", info)


class PlannedBoxes(_Answer):
    """Where the main things of a clip are."""

    objects: Annotated[tuple[PlannedThing, ...], Field(min_length=1, max_length=10)]


@runtime_checkable
class Planner(Protocol):
    """Plans clips. Raises RecastError where it cannot."""

    def scenes(self, prompt: str, count: int, /) -> PlannedScenes:
        """As many scenes that share a subject."""
        ...

    def prompts(self, prompt: str, seconds: float, count: int, /) -> PlannedPrompts:
        """Prompts at moments evenly spaced over a clip."""
        ...

    def boxes(self, prompt: str, seconds: float, count: int, /) -> PlannedBoxes:
        """Boxes at moments evenly spaced over a clip, of what words of the prompt name."""
        ...


@runtime_checkable
class Asks(Protocol):
    """What answers questions in a form: `ChatEndpoint.ask`, or its answers as they were kept."""

    def __call__(self, question: str, form: type[Form], *, context: object = None) -> Form:
        """The answer. Raises RecastError where there is none of that form."""
        ...


@dataclass(frozen=True)
class LanguagePlanner:
    """By a language model, which is sent the prompt inside a fixed question."""

    ask: Asks

    def scenes(self, prompt: str, count: int) -> PlannedScenes:
        """As Planner has it."""
        return self.ask(_SCENES.format(prompt=prompt, count=count), PlannedScenes, context={"scenes": count})

    def prompts(self, prompt: str, seconds: float, count: int) -> PlannedPrompts:
        """As Planner has it."""
        question = _MOMENTS.format(prompt=prompt, seconds=seconds, count=count)
        return self.ask(question, PlannedPrompts, context={"prompts": count})

    def boxes(self, prompt: str, seconds: float, count: int) -> PlannedBoxes:
        """As Planner has it."""
        question = _BOXES.format(prompt=prompt, seconds=seconds, count=count)
        return self.ask(question, PlannedBoxes, context={"boxes": count, "prompt": prompt})


Counted = TypeVar("Counted", bound=tuple[Any, ...])


def _counted(given: Counted, name: str, info: HoldsContext) -> Counted:
    wanted = (info.context or {}).get(name, len(given))
    if len(given) != wanted:
        raise ValueError(f"{len(given)} {name} were given and {wanted} asked for")
    return given


def _words_of(text: str) -> set[str]:
    return set(_WORDS.findall(text.lower()))
