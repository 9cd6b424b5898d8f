"""A subject of one's own in prompts: a token that a customized model reads as its class and a learned offset."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from recast.conditions.blend import blended
from recast.conditions.content import ContentInput, Medium
from recast.errors import RequestError
from recast.types import Embedding, Frames


@dataclass(frozen=True)
class NamedSubject:
    """A word that stands for a subject, and the words of its class, such as sks and dog. Case does not count.

    Raises RequestError for a token that is not one word of letters, an empty class, and a token that is in the class.
    """

    token: str
    class_name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[^\W\d_]+", self.token):
            raise RequestError(f"the token is {self.token!r}; it should be one word of letters, such as sks")
        if not self.class_name.strip():
            raise RequestError("nothing says what kind of thing the subject is; write --class dog")
        if self.token.lower() in self.class_name.lower().split():
            raise RequestError(f"the token {self.token!r} is in its class {self.class_name!r}; take a word of its own")

    @property
    def named(self) -> str:
        """Token and class, as DreamBooth's prompts have them (arXiv:2208.12242, section 3.2)."""
        return f"{self.token} {self.class_name}"

    def split(self, text: str) -> list[str]:
        """The text before, between and behind the places where the token stands, alone or with its class behind it."""
        words = r"\s+".join(map(re.escape, self.class_name.split()))
        return re.split(rf"(?i)(?<!\w){re.escape(self.token)}(?:\s+{words})?(?!\w)", text)


@dataclass(frozen=True)
class EmbeddedWord:
    """A word that stands for embeddings that others learned (arXiv:2208.01618); `count` letters hold their places."""

    token: str
    count: int

    @property
    def class_name(self) -> str:
        """The letters."""
        return " ".join("a" * self.count)

    @property
    def named(self) -> str:
        """The same: it has no class."""
        return self.class_name

    def split(self, text: str) -> list[str]:
        """The text before, between and behind the places where the word stands."""
        return re.split(rf"(?i)(?<!\w){re.escape(self.token)}(?!\w)", text)


@runtime_checkable
class EmbeddingEncoder(Protocol):
    """Makes one content embedding of content inputs, and of frames; `ContentEncoders` is one."""

    def __call__(self, inputs: Sequence[ContentInput], seed: int) -> Embedding:
        """All inputs as one embedding."""
        ...

    def of_frames(self, frames: Frames) -> Embedding:
        """What frames show, as one embedding."""
        ...


@dataclass(frozen=True, eq=False)
class SubjectEncoder:
    """Encodes prompts as `own` does, the token as its class; where it stands, the offset is added to the embedding."""

    own: EmbeddingEncoder
    subject: NamedSubject
    offset: Embedding

    def __call__(self, inputs: Sequence[ContentInput], seed: int) -> Embedding:
        """All inputs as one embedding. Raises what the encoders raise."""
        return blended([(self._encoded(each, seed), each.weight) for each in inputs])

    @property
    def of_frames(self) -> Callable[[Frames], Embedding]:
        """What frames show: they hold no token."""
        return self.own.of_frames

    def _encoded(self, each: ContentInput, seed: int) -> Embedding:
        parts = self.subject.split(each.text) if each.medium is Medium.WORDS else [each.text]
        text = self.subject.class_name.join(parts)
        embedding = self.own([replace(each, text=text, weight=1.0)], seed)
        return embedding + self.offset.to(embedding) if len(parts) > 1 else embedding
