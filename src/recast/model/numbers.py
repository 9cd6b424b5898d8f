"""Numbers of a model folder's configurations: within what networks are built of, checked before one is built.

Rules go by how the libraries name their entries. What a rule lets through and is still too much is refused by
`recast.model.budget` while the network is built.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

MOST = 2**24
"""Of any whole number: a vocabulary has 2^19 entries at the most."""
MOST_IN_A_LIST = 10_000
UNBOUNDED = frozenset({"model_max_length"})
"""Entries that nothing is built of; tokenizers write 10^30 for no limit at all."""


@dataclass(frozen=True)
class NumberRule:
    """What an entry may hold, by its name. wanted: in words, behind "it should be". needed: null is refused too."""

    name: re.Pattern[str]
    holds: Callable[[float], bool]
    wanted: str
    needed: bool = False


RULES = (
    NumberRule(re.compile(r"(.*_)?(eps|epsilon)"), lambda n: 0 < n <= 0.1, "above 0 and at most .1"),
    NumberRule(re.compile(r"num_train_timesteps"), lambda n: 1 <= n <= 100_000, "1 to 100000", needed=True),
    NumberRule(re.compile(r"steps_offset"), lambda n: 0 <= n <= 1000, "0 to 1000"),
    NumberRule(re.compile(r"beta_(start|end)"), lambda n: 0 < n < 1, "between 0 and 1"),
    NumberRule(re.compile(r"trained_betas"), lambda n: 0 < n <= 1, "above 0 and at most 1"),
    NumberRule(re.compile(r"scaling_factor"), lambda n: 0 < n <= 1e4, "above 0"),
    NumberRule(re.compile(r"rescale_factor|image_std"), lambda n: 0 < n <= 1e4, "above 0", needed=True),
    NumberRule(re.compile(r"image_mean"), lambda n: abs(n) <= 1e4, "within 10000 of 0", needed=True),
    NumberRule(re.compile(r"(.*_)?(layers|blocks|heads|stages)(_per_block)?"), lambda n: 0 <= n <= 512, "at most 512"),
    NumberRule(re.compile(r"(norm_num_)?groups"), lambda n: 1 <= n <= 4096, "1 to 4096"),
    NumberRule(re.compile(r"initializer_(range|factor)"), lambda n: 0 <= n <= 100, "0 to 100"),
    NumberRule(re.compile(r"max_frames|motion_max_seq_length"), lambda n: 1 <= n <= 4096, "1 to 4096"),
    NumberRule(
        re.compile(r"(.*_)?(width|height|shortest_edge|longest_edge|size_divisor|patch_size|image_size)"),
        lambda n: 1 <= n <= 16_384,
        "1 to 16384",
    ),
)


def wrong_number(key: str, value: object) -> str | None:
    """What is wrong with an entry's numbers, as the end of a sentence; None where nothing is."""
    if key in UNBOUNDED:
        return None
    numbers = value if isinstance(value, list) else [value]
    if len(numbers) > MOST_IN_A_LIST:
        return f"has {len(numbers)} entries and at most {MOST_IN_A_LIST} are read"
    rules = [rule for rule in RULES if rule.name.fullmatch(key)]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            needed = next((rule.wanted for rule in rules if rule.needed), None)
            if needed:
                return f"is {str(number)[:20]!r}; it should be a number, {needed}"
        elif not -MOST <= number <= MOST:
            return f"is {str(number)[:20]}; it should be a number of at most {MOST}"
        else:
            wanted = next((rule.wanted for rule in rules if not rule.holds(number)), None)
            if wanted:
                return f"is {number:.6g}; it should be {wanted}"
    return None
