"""A study as one document: pairs of edits, and for each rater their order and sides."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from recast.errors import MediaError, RequestError, known
from recast.files import write_synced

PLAN, CLIPS = "study.json", "clips"
QUESTION = "Which video better represents the caption?"
"""Gen-1's."""
RATERS = 5
CHECK_SHARE = 10
"""One attention check to so many pairs, and MIN_CHECKS at least."""
MIN_CHECKS = 3
COLOURS = {"grey": (128, 128, 128), "red": (200, 30, 30), "green": (30, 160, 50), "blue": (30, 60, 200)}
"""Of clips of one colour, which attention checks ask for: with their caption the answer is plain."""


@dataclass(frozen=True)
class StudyEdit:
    """An edit that some tool made. way: what made it. source, edited: files."""

    clip: str
    prompt: str
    way: str
    source: Path
    edited: Path


@dataclass(frozen=True)
class StudyPair:
    """Two clips to choose between. name: tells nothing of them. first, second: what made them, empty in a check.

    films: of both, by their names in the folder CLIPS. source: likewise. check: whether the first is the right answer.
    """

    name: str
    clip: str
    prompt: str
    first: str
    second: str
    source: str
    films: tuple[str, str]
    check: bool = False


@dataclass(frozen=True)
class StudySeat:
    """What one rater is shown. items: pairs by name, in order, and whether the second is on the left."""

    items: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class StudyPlan:
    """All of a study but its answers. raters: of each pair."""

    question: str
    seed: int
    raters: int
    pairs: tuple[StudyPair, ...]
    seats: tuple[StudySeat, ...]

    @classmethod
    def opened(cls, folder: Path) -> "StudyPlan":
        """The plan in a study's folder. Raises MediaError where there is none that can be read."""
        try:
            return TypeAdapter(cls).validate_json((folder / PLAN).read_bytes())
        except (OSError, ValidationError) as fault:
            why = str(fault).splitlines()[0]
            raise MediaError(f"the study cannot be read ({why}); make one by `recast study build`: {folder}") from fault

    def save(self, folder: Path) -> None:
        """Writes it into a study's folder."""
        write_synced(folder / PLAN, TypeAdapter(StudyPlan).dump_json(self, indent=1).decode() + "\n")

    def pair(self, name: str) -> StudyPair:
        """The pair of this name. Raises RequestError for none."""
        by_name = {each.name: each for each in self.pairs}
        if name not in by_name:
            raise RequestError(f"the study has no pair {name[:40]!r}; it has {len(by_name)}, such as {min(by_name)}")
        return by_name[name]


@dataclass(frozen=True)
class StudyConfig:
    """How a study is made. against: one way that is held against each other one, all against all if empty.

    per_rater: pairs that a rater sees, checks not counted; None for all. most: pairs, drawn at random; None for all.
    """

    question: str = QUESTION
    raters: int = RATERS
    per_rater: int | None = None
    against: str = ""
    most: int | None = None
    seed: int = 0


def drawn_pairs(edits: Sequence[StudyEdit], config: StudyConfig) -> list[tuple[StudyEdit, StudyEdit]]:
    """Every two edits of one clip and prompt by the ways that are held against each other.

    Raises RequestError for fewer than two ways, or none that have a clip and prompt in common.
    """
    ways = list(dict.fromkeys(each.way for each in edits))
    if len(ways) < 2:
        raise RequestError(f"a study holds at least two ways to edit against each other, and this has {len(ways)}")
    if config.against:
        known("way to edit in the study", config.against, ways)
    groups: dict[tuple[str, str], list[StudyEdit]] = {}
    for each in edits:
        groups.setdefault((each.clip, each.prompt), []).append(each)
    pairs = [
        pair
        for group in groups.values()
        for pair in combinations(group, 2)
        if pair[0].way != pair[1].way and config.against in ("", pair[0].way, pair[1].way)
    ]
    if not pairs:
        raise RequestError("no two ways to edit have a clip and prompt in common; nothing can be held against another")
    if config.most is not None and config.most < len(pairs):
        kept = sorted(random.Random(config.seed).sample(range(len(pairs)), config.most))
        pairs = [pairs[number] for number in kept]
    return pairs


def seats(pairs: Sequence[StudyPair], config: StudyConfig) -> tuple[StudySeat, ...]:
    """For each rater the pairs in an order of their own, on sides of their own, with all attention checks among them.

    Of a pair's raters half see the first on the left, or as near to half as their number lets.
    """
    rng = random.Random(config.seed + 1)
    asked, checks = ([each.name for each in pairs if each.check is kind] for kind in (False, True))
    count = min(config.per_rater or len(asked), len(asked))
    groups = ceil(len(asked) / count)
    sides = {name: _sides(config.raters, rng) for name in asked}
    made: list[StudySeat] = []
    for rater in range(config.raters):
        order = rng.sample(asked, len(asked))
        for group in range(groups):
            shown = [(name, sides[name][rater]) for name in order[group::groups]]
            shown += [(name, rng.random() < 0.5) for name in checks]
            made.append(StudySeat(tuple(rng.sample(shown, len(shown)))))
    return tuple(made)


def check_count(pairs: int, per_rater: int | None) -> int:
    """Attention checks that each rater sees."""
    return max(MIN_CHECKS, round(min(per_rater or pairs, pairs) / CHECK_SHARE))


def opaque_names(count: int, rng: random.Random) -> Iterator[str]:
    """Names in no order that anybody could read."""
    yield from (f"{number:08x}" for number in rng.sample(range(16**8), count))


def _sides(raters: int, rng: random.Random) -> list[bool]:
    held = [number % 2 == 1 for number in range(raters)]
    turned = rng.random() < 0.5
    return rng.sample([each != turned for each in held], raters)
