"""Questions about what a clip shows, to a vision-language model: yes or no, and one of two (FiVE, arXiv:2503.13684)."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict

from recast.evaluation.endpoint import ChatEndpoint
from recast.types import Frames

SHOWN_FRAMES = 4
"""Frames that the model is shown, evenly spaced, as PNG."""
_TOP = "These are {count} frames of one video, in order. "
_YES_NO = (
    _TOP
    + "Do they show this: {text}? Answer with one JSON object and nothing else: "
    + '{{"answer": "yes"}} or '
    + ('{{"answer": "no"}}.')
)
_CHOICE = (
    _TOP
    + "Which describes them better? A: {first} B: {second} Answer with one JSON object and nothing else: "
    + ('{{"answer": "A"}} or {{"answer": "B"}}.')
)


class YesNo(BaseModel):
    """An answer to a question."""

    model_config = ConfigDict(extra="forbid")

    answer: Literal["yes", "no"]


class AOrB(BaseModel):
    """An answer to a choice."""

    model_config = ConfigDict(extra="forbid")

    answer: Literal["A", "B"]


@runtime_checkable
class VisionJudge(Protocol):
    """What can be asked about the frames of a clip."""

    @property
    def name(self) -> str:
        """What results call it."""
        ...

    def shows(self, frames: Frames, text: str, /) -> bool:
        """Whether they show what the words say."""
        ...

    def prefers(self, frames: Frames, first: str, second: str, /) -> bool:
        """Whether the first words describe them better than the second."""
        ...


@dataclass(frozen=True)
class EndpointJudge:
    """A vision-language model at an endpoint that the user names, which is sent frames and words."""

    endpoint: ChatEndpoint

    @property
    def name(self) -> str:
        """As VisionJudge has it."""
        return self.endpoint.name

    def shows(self, frames: Frames, text: str) -> bool:
        """As VisionJudge has it."""
        shown = _spread(frames)
        return self.endpoint.ask(_YES_NO.format(count=len(shown), text=text), YesNo, shown).answer == "yes"

    def prefers(self, frames: Frames, first: str, second: str) -> bool:
        """As VisionJudge has it. Asked in both orders, and so only where both answers agree: many models favour A."""
        shown = _spread(frames)
        answers = [
            self.endpoint.ask(_CHOICE.format(count=len(shown), first=one, second=other), AOrB, shown).answer
            for one, other in ((first, second), (second, first))
        ]
        return answers == ["A", "B"]


def asked_scores(judge: VisionJudge, frames: Frames, words: str, source_words: str | None) -> dict[str, float]:
    """asked: 1 where the frames show the words and, if these are known, not the source's. picked: as `prefers`."""
    found = {"asked": float(judge.shows(frames, words) and not (source_words and judge.shows(frames, source_words)))}
    if source_words:
        found["picked"] = float(judge.prefers(frames, words, source_words))
    return found


def _spread(frames: Frames) -> list[torch.Tensor]:
    picks = torch.linspace(0, len(frames) - 1, min(SHOWN_FRAMES, len(frames))).round().long()
    return list(frames[picks])
