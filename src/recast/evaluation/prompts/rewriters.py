"""From a caption to prompts of edits: by templates, or by a language model at an endpoint that the user names."""

import random
import re
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from recast.conditions.vocabulary import FAMILIES
from recast.evaluation.endpoint import ChatEndpoint

Kind = Literal["style", "environment", "subject"]
KINDS: tuple[Kind, ...] = ("style", "environment", "subject")
LOOKS = (
    "watercolour painting",
    "pencil sketch",
    "claymation",
    "oil painting",
    "anime style",
    "charcoal drawing",
    "neon lights, cyberpunk",
    "comic book drawing",
)
PLACES = (
    "in a snowy field in winter",
    "on a beach at sunset",
    "in a desert",
    "in a dense forest",
    "on a city street at night",
    "in the mountains in fog",
    "in a meadow in the rain",
    "in a living room",
)
UNFIT = frozenset(["animal", "bird", "human", "men", "people", "person", "vehicle", "women"])
"""Words of those families that are too many things, or too many at once, to stand for another."""
SUBJECTS = tuple(family - UNFIT for family in FAMILIES[:5])
"""Families of animals, birds, people, and what rides and floats: the first word of one is taken for the subject."""
_PLACE = re.compile(
    r"\b(?:in front of|in|on|at|over|along|across|through|before|beside|near|inside|around|down|up|under|past|above)"
    r"\s+(?:an?|the)\b"
)
_WORD = re.compile(r"[^\W\d_]+")
_QUESTION = """A video shows: {caption}
Write {count} prompts of edits of that video: what the edited video should show, in at most 20 plain words each.
Keep what happens and how the camera moves. Kinds: "style" changes the look of all, "environment" the surroundings,
"subject" the main subject. Use the kinds {kinds} in turn.
Answer with one JSON object and nothing else: {{"prompts": [{{"kind": "style", "prompt": "..."}}]}}"""


def plain(text: str) -> str:
    """A text as one line, for validators. Raises ValueError for what is no line of plain words."""
    text = " ".join(text.split())
    if not text.isprintable() or not _WORD.search(text):
        raise ValueError("a prompt is one line of plain words")
    return text


class EditPrompt(BaseModel):
    """What an edit is asked to show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    prompt: Annotated[str, Field(min_length=3, max_length=300), AfterValidator(plain)]


class EditPrompts(BaseModel):
    """An endpoint's answer."""

    model_config = ConfigDict(extra="forbid")

    prompts: Annotated[list[EditPrompt], Field(min_length=1, max_length=100)]


@runtime_checkable
class Rewriter(Protocol):
    """Makes prompts of edits from what a clip shows."""

    def __call__(self, caption: str, kinds: tuple[Kind, ...], each: int, /) -> list[EditPrompt]:
        """At most `each` prompts of each kind; fewer where it knows no more. No two are alike, none is the caption."""
        ...


@dataclass(frozen=True)
class TemplateRewriter:
    """By templates, offline: a look behind the caption, another place for its place, another word for its subject.

    English. It reads no grammar: the place is what follows the last "in a", "along the" and so on, and the subject
    is the first word of a known family. A caption without such a word gets no prompts of kind subject. The same
    caption and seed give the same prompts.
    """

    seed: int = 0

    def __call__(self, caption: str, kinds: tuple[Kind, ...], each: int) -> list[EditPrompt]:
        """As Rewriter has it."""
        text = caption.strip().rstrip(".")
        text = text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
        rng = random.Random(f"{self.seed} {caption}")
        made = {"style": _styles, "environment": _environments, "subject": _subjects}
        listed = [EditPrompt(kind=kind, prompt=words) for kind in kinds for words in made[kind](text, rng)[:each]]
        return _distinct(listed, caption)


@dataclass(frozen=True)
class EndpointRewriter:
    """By a language model. What is sent is the caption, inside a fixed question."""

    endpoint: ChatEndpoint

    def __call__(self, caption: str, kinds: tuple[Kind, ...], each: int) -> list[EditPrompt]:
        """As Rewriter has it; prompts that were not asked for are left out."""
        question = _QUESTION.format(caption=caption, count=each * len(kinds), kinds=", ".join(kinds))
        given = _distinct(self.endpoint.ask(question, EditPrompts).prompts, caption)
        return [prompt for kind in kinds for prompt in [p for p in given if p.kind == kind][:each]]


def _styles(text: str, rng: random.Random) -> list[str]:
    return [f"{text}, {look}" for look in rng.sample(LOOKS, len(LOOKS))]


def _environments(text: str, rng: random.Random) -> list[str]:
    places = [place.start() for place in _PLACE.finditer(text) if place.start()]
    before = text[: places[-1]].rstrip(" ,") if places else text
    return [f"{before} {each}" for each in rng.sample(PLACES, len(PLACES))]


def _subjects(text: str, rng: random.Random) -> list[str]:
    for found in _WORD.finditer(text):
        family = next((held for held in SUBJECTS if found[0].lower() in held), None)
        if family is not None:
            others = sorted(family - {found[0].lower()})
            return [_exchanged(text, found, each) for each in rng.sample(others, len(others))]
    return []


def _exchanged(text: str, found: re.Match[str], other: str) -> str:
    before = text[: found.start()]
    article = re.search(r"\b(an?)\s+$", before, re.IGNORECASE)
    if article:
        right = "an" if other[0] in "aeiou" else "a"
        before = before[: article.start()] + (right.title() if article[1][0].isupper() else right) + " "
    return before + other + text[found.end() :]


def _distinct(prompts: list[EditPrompt], caption: str) -> list[EditPrompt]:
    seen = {caption.strip().lower()}
    kept = []
    for each in prompts:
        if each.prompt.lower() not in seen:
            seen.add(each.prompt.lower())
            kept.append(each)
    return kept
