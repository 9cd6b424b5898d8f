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
    """What an entry may hold, by its name. wanted: in words, behind "it should be". needed: null is refused too.

    one: a list is refused.
    """

    name: re.Pattern[str]
    holds: Callable[[float], bool]
    wanted: str
    needed: bool = False
    one: bool = False


RULES = (
    NumberRule(re.compile(r"(.*_)?(eps|epsilon)"), lambda n: 0 < n <= 0.1, "above 0 and at most .1", one=True),
    NumberRule(re.compile(r"num_train_timesteps"), lambda n: 1 <= n <= 100_000, "1 to 100000", needed=True, one=True),
    NumberRule(re.compile(r"steps_offset"), lambda n: 0 <= n <= 1000, "0 to 1000", one=True),
    NumberRule(re.compile(r"beta_(start|end)"), lambda n: 0 < n < 1, "between 0 and 1", one=True),
    NumberRule(re.compile(r"trained_betas"), lambda n: 0 < n <= 1, "above 0 and at most 1"),
    NumberRule(re.compile(r"scaling_factor"), lambda n: 0 < n <= 1e4, "above 0", one=True),
    NumberRule(re.compile(r"resample"), lambda n: 0 <= n <= 5, "0 to 5", needed=True, one=True),
    NumberRule(re.compile(r"rescale_factor|image_std"), lambda n: 0 < n <= 1e4, "above 0", needed=True),
    NumberRule(re.compile(r"image_mean"), lambda n: abs(n) <= 1e4, "within 10000 of 0", needed=True),
    NumberRule(re.compile(r"(.*_)?(layers|blocks|heads|stages)(_per_block)?"), lambda n: 0 <= n <= 512, "at most 512"),
    NumberRule(re.compile(r"(norm_num_)?groups"), lambda n: 1 <= n <= 4096, "1 to 4096"),
    NumberRule(re.compile(r"initializer_(range|factor)"), lambda n: 0 <= n <= 100, "0 to 100"),
    NumberRule(re.compile(r"eos_token_id"), lambda n: n >= 0, "0 or more", one=True),
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
    rules = [rule for rule in RULES if rule.name.fullmatch(key)]
    if not isinstance(value, list):
        return _wrong(value, rules)
    if len(value) > MOST_IN_A_LIST:
        return f"has {len(value)} entries and at most {MOST_IN_A_LIST} are read"
    if any(rule.one or (rule.needed and not value) for rule in rules):
        return f"is {str(value)[:20]}; it should be a number, {rules[0].wanted}"
    return next((wrong for wrong in (_wrong(number, rules) for number in value) if wrong), None)


def _wrong(number: object, rules: list[NumberRule]) -> str | None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        needed = next((rule.wanted for rule in rules if rule.needed), None)
        return needed and f"is {str(number)[:20]!r}; it should be a number, {needed}"
    if not -MOST <= number <= MOST:
        return f"is {str(number)[:20]}; it should be a number of at most {MOST}"
    wanted = next((rule.wanted for rule in rules if not rule.holds(number)), None)
    return wanted and f"is {number:.6g}; it should be {wanted}"
