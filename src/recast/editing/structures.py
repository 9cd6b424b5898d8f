"""Structures as a request names them: a kind, a weight behind a colon, and the share of the walk behind an at sign."""

import re
from dataclasses import dataclass

from recast.conditions import EXTRACTORS
from recast.errors import RequestError, known
from recast.types import Kind

_NUMBER = r"\d+\.?\d*|\.\d+"
_NAMED = re.compile(rf"(?P<kind>\w+)(?::(?P<weight>{_NUMBER}))?(?:@(?P<start>{_NUMBER})-(?P<stop>{_NUMBER}))?")
MOST_WEIGHT = 10.0


@dataclass(frozen=True)
class NamedStructure:
    """One structure that is kept: its kind, its weight 0..10, and the share of a full walk in which it acts, 0..1."""

    kind: Kind
    weight: float = 1.0
    within: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def parsed(cls, text: str) -> "NamedStructure":
        """From text such as depth, depth:0.8 or edges:0.5@0-0.6. Raises RequestError for what it cannot be."""
        found = _NAMED.fullmatch(text.strip())
        if found is None:
            raise RequestError(f"structure {text!r} is not understood; write KIND, KIND:WEIGHT or KIND:WEIGHT@FROM-TO")
        known("structure", found["kind"], list(Kind))
        weight, start, stop = (float(found[name] or usual) for name, usual in _USUAL.items())
        if weight > MOST_WEIGHT:
            raise RequestError(f"structure {text!r} has weight {weight:g}; weights go from 0 to {MOST_WEIGHT:g}")
        if not 0 <= start < stop <= 1:
            raise RequestError(f"structure {text!r} acts from {start:g} to {stop:g}; shares rise, from 0 to 1")
        return cls(Kind(found["kind"]), weight, (start, stop))


_USUAL = {"weight": "1", "start": "0", "stop": "1"}


def check_structure(kind: str) -> None:
    """Raises RequestError for a kind that is not seen in a clip, and has to be given."""
    if kind not in EXTRACTORS:
        seen = ", ".join(EXTRACTORS)
        raise RequestError(
            f"{kind} is not seen in a clip here ({seen} are); give it as a video, a folder or a picture: "
            f"--structure-from {kind}=FILE"
        )


def named_structures(texts: tuple[str, ...]) -> tuple[NamedStructure, ...]:
    """All that a request names. Raises RequestError for none, and for one kind named twice."""
    named = tuple(map(NamedStructure.parsed, texts))
    kinds = [each.kind for each in named]
    if not kinds or len(set(kinds)) != len(kinds):
        raise RequestError(f"structures are {', '.join(kinds) or 'none'}; name at least one, and each kind once")
    return named
