"""What is known of a prompt besides its tokens: which of them spell which word."""

from dataclasses import dataclass

from recast.errors import RequestError


@dataclass(frozen=True)
class PromptTokens:
    """How the tokens of a prompt spell its words.

    pieces: of the vocabulary, by place, from the start token to the end token. words: each with the places of its
    pieces, in order. places: of the encoder, padding included.
    """

    pieces: tuple[str, ...]
    words: tuple[tuple[str, tuple[int, ...]], ...]
    places: int

    def of_word(self, word: str) -> tuple[int, ...]:
        """The places of a word, of every time that it stands there. Raises RequestError for a word that does not."""
        found = [place for name, at in self.words for place in at if name == word.lower()]
        if not found:
            there = ", ".join(name for name, _ in self.words) or "no word"
            raise RequestError(f"the prompt has no word {word!r}; it has {there}")
        return tuple(found)
