"""The header of a safetensors file, read and checked before anything is allocated for what it describes.

The format: 8 bytes that say how long the header is, the header as a JSON object, and the tensors' bytes without gaps
(https://github.com/huggingface/safetensors, README, "Format"). The library checks much of this too; what it lets
through is refused here: a hundred thousand tensors, none of any size, kinds of numbers that no network is read in.
"""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

MOST_HEADER_BYTES = 2**24
MOST_TENSORS = 20_000
MOST_AXES = 8
MOST_IN_AN_AXIS = 2**31 - 1
ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4}
"""Kinds of numbers that are read, with their size."""
COUNTED_BY = ("position_ids", "num_batches_tracked", "relative_position_index")
"""Ends of the names of tensors that may hold whole numbers: no weights, but what layers keep to look up."""


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of a file. dtype: a name in ITEM_BYTES. begin, end: its bytes, counted from the end of the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(path: Path) -> list[TensorEntry]:
    """The tensors of a file, in the order of their bytes. Raises ValueError that says what is wrong with it.

    OSError where it cannot be opened. No more than the header is read.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not S_ISREG(facts.st_mode):
            raise ValueError("it is no regular file")
        length = int.from_bytes(file.read(8), "little")
        if facts.st_size < 8 or length > facts.st_size - 8:
            raise ValueError(f"it has {facts.st_size} bytes and its header should have {length}")
        if length > MOST_HEADER_BYTES:
            raise ValueError(f"its header of {length} bytes is more than {MOST_HEADER_BYTES}")
        header = _parsed(file.read(length))
    header.pop("__metadata__", None)
    if not 0 < len(header) <= MOST_TENSORS:
        raise ValueError(f"it holds {len(header)} tensors, and 1 to {MOST_TENSORS} are read")
    entries = sorted((_entry(name, about) for name, about in header.items()), key=lambda each: each.begin)
    _check_layout(entries, facts.st_size - 8 - length)
    return entries


def _parsed(text: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("its header names something twice")
        return dict(pairs)

    try:
        header = json.loads(text, object_pairs_hook=once)
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header


def _entry(name: str, about: object) -> TensorEntry:
    if not isinstance(about, dict) or set(about) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name[:80]!r} has no dtype, shape and data_offsets, or more than these")
    dtype, shape, offsets = about["dtype"], about["shape"], about["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise ValueError(f"{name[:80]!r} is of {str(dtype)[:20]!r}; read are {', '.join(ITEM_BYTES)}")
    if dtype.startswith("I") and not name.endswith(COUNTED_BY):
        raise ValueError(f"{name[:80]!r} holds whole numbers, and weights are fractions")
    if not _is_counts(shape, 1, MOST_IN_AN_AXIS) or len(shape) > MOST_AXES:
        raise ValueError(f"{name[:80]!r} is of an impossible shape, {str(shape)[:80]}")
    if not _is_counts(offsets, 0, 2**62) or len(offsets) != 2:
        raise ValueError(f"{name[:80]!r} lies at an impossible place, {str(offsets)[:80]}")
    begin, end = offsets
    if end - begin != math.prod(shape) * ITEM_BYTES[dtype]:
        raise ValueError(f"{name[:80]!r} has {end - begin} bytes, not those of its shape {tuple(shape)} in {dtype}")
    return TensorEntry(name, dtype, tuple(shape), begin, end)


def _is_counts(value: object, least: int, most: int) -> bool:
    return isinstance(value, list) and all(type(each) is int and least <= each <= most for each in value)


def _check_layout(entries: list[TensorEntry], size: int) -> None:
    """Raises ValueError unless the tensors lie one behind the other, from the first byte to the last."""
    place = 0
    for entry in entries:
        if entry.begin != place:
            raise ValueError(f"{entry.name[:80]!r} begins at byte {entry.begin}, not at {place} where it should")
        place = entry.end
    if place != size:
        raise ValueError(f"its tensors end at byte {place} of {size}")
