"""Spoilt copies of a small model folder: which file, how, and whether a model with it may still be opened."""

import json
import os
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from recast.model.numbers import UNBOUNDED

Spoil = Callable[[Path], None]


@dataclass(frozen=True)
class FolderMutant:
    """One way to spoil a folder. must_refuse: no model may come of it; else it may be refused or opened."""

    name: str
    spoil: Spoil
    must_refuse: bool = True


def weight_files(folder: Path) -> list[Path]:
    """The files of weights in a model folder."""
    return sorted(folder.glob("*/*.safetensors"))


def config_files(folder: Path) -> list[Path]:
    """Its JSON files, but for a tokenizer's own."""
    return sorted(file for file in folder.rglob("*.json") if file.name != "tokenizer.json")


def headed(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with such a header, right or wrong."""
    return struct.pack("<Q", len(header) if length is None else length) + header + body


def entry(dtype: object = "F32", shape: object = (1,), offsets: object = (0, 4)) -> dict[str, object]:
    """What a header says of a tensor."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


HEADERS: dict[str, bytes] = {
    "nothing": b"",
    "short": b"\x04\0\0",
    "length beyond the file": headed(b"{}", length=2**63),
    "length of all memory": headed(b"{}", length=2**40),
    "no object": headed(b"[]"),
    "no JSON": headed(b"{" * 50),
    "nested deeply": headed(b'{"a":' * 100_000),
    "no tensors": headed(b"{}"),
    "only metadata": headed(b'{"__metadata__":{}}'),
    "a pickle": b"\x80\x04\x95" + bytes(100),
    "a zip": b"PK\x03\x04" + bytes(100),
    "named twice": headed(
        b'{"a":' + json.dumps(entry()).encode() + b',"a":' + json.dumps(entry()).encode() + b"}", bytes(4)
    ),
    "many tensors": headed(json.dumps({f"t{i}": entry(shape=[0], offsets=[0, 0]) for i in range(100_000)}).encode()),
} | {
    f"header {name}": headed(json.dumps({"a": about}).encode(), bytes(8))
    for name, about in {
        "of no entry": 3,
        "without shape": {"dtype": "F32", "data_offsets": [0, 8]},
        "with more": entry(shape=[2], offsets=[0, 8]) | {"x": 1},
        "of an unknown dtype": entry("F7", [2], [0, 8]),
        "of pointers": entry("P64", [1], [0, 8]),
        "of bool": entry("BOOL", [8], [0, 8]),
        "of whole numbers": entry("I32", [2], [0, 8]),
        "of a huge shape": entry(shape=[0, 2**62], offsets=[0, 8]),
        "of a shape that overflows": entry(shape=[2**32, 2**32], offsets=[0, 8]),
        "of a negative shape": entry(shape=[-2], offsets=[0, 8]),
        "of a shape of fractions": entry(shape=[2.0], offsets=[0, 8]),
        "of a shape of truth": entry(shape=[True, 2], offsets=[0, 8]),
        "of too many axes": entry(shape=[1] * 64 + [2], offsets=[0, 8]),
        "beyond the end": entry(shape=[4], offsets=[0, 16]),
        "backwards": entry(shape=[2], offsets=[8, 0]),
        "with a gap": entry(shape=[1], offsets=[4, 8]),
        "with a rest": entry(shape=[1], offsets=[0, 4]),
        "with negative offsets": entry(shape=[2], offsets=[-8, 0]),
        "with three offsets": entry(shape=[2], offsets=[0, 4, 8]),
    }.items()
}
"""What stands in place of a file of weights."""
NO_NUMBERS = (2_000_000_000, 10**400, float("nan"), float("inf"))
"""No network has these anywhere."""
VALUES: tuple[Any, ...] = (*NO_NUMBERS, 0, -1, 1e-300, "a", [], {}, None, True)


def rewritten(path: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    """A file of weights with other values."""
    held = load_file(path)
    change(held)
    save_file(held, path, metadata={"format": "pt"})


def folder_mutants(folder: Path, count: int, seed: int = 0) -> Iterator[FolderMutant]:
    """All ways by hand, then random ones, `count` in all."""
    rng = random.Random(seed)
    known = list(by_hand(folder))
    rng.shuffle(known)
    yield from known[:count]
    for number in range(count - len(known)):
        yield bytes_turned(rng.choice(weight_files(folder) + config_files(folder)).relative_to(folder), seed + number)


def by_hand(folder: Path) -> Iterator[FolderMutant]:
    """Everything that is done on purpose."""
    for file in (each.relative_to(folder) for each in weight_files(folder)):
        for name, data in HEADERS.items():
            yield FolderMutant(f"{file}: {name}", lambda at, f=file, d=data: _put(at / f, d))
        yield FolderMutant(f"{file}: a pipe", lambda at, f=file: _pipe(at / f))
        yield FolderMutant(f"{file}: endless", lambda at, f=file: _link(at / f, "/dev/zero"))
        yield FolderMutant(f"{file}: gone", lambda at, f=file: (at / f).unlink())
        yield FolderMutant(f"{file}: cut", lambda at, f=file: os.truncate(at / f, (at / f).stat().st_size - 3))
        for value in (float("nan"), float("inf")):
            yield FolderMutant(f"{file}: one {value}", lambda at, f=file, v=value: rewritten(at / f, _one(v)))
        yield FolderMutant(f"{file}: all 0", lambda at, f=file: rewritten(at / f, _all_zero))
        yield FolderMutant(f"{file}: one lost", lambda at, f=file: rewritten(at / f, lambda held: held.pop(max(held))))
        yield FolderMutant(f"{file}: bool", lambda at, f=file: rewritten(at / f, _truth))
    for file in (each.relative_to(folder) for each in config_files(folder)):
        yield FolderMutant(f"{file}: a pipe", lambda at, f=file: _pipe(at / f))
        yield FolderMutant(f"{file}: endless", lambda at, f=file: _link(at / f, "/dev/zero"))
        yield FolderMutant(f"{file}: no JSON", lambda at, f=file: _put(at / f, b'{"a": '))
        yield FolderMutant(f"{file}: a list", lambda at, f=file: _put(at / f, b"[1]"))
        yield FolderMutant(f"{file}: huge", lambda at, f=file: _put(at / f, b'{"a": "' + b"x" * 2**26 + b'"}'))
        yield from _numbers(folder, file)


def _numbers(folder: Path, file: Path) -> Iterator[FolderMutant]:
    config = json.loads((folder / file).read_text())
    numeric = [key for key, value in config.items() if isinstance(value, int | float) and not isinstance(value, bool)]
    for key in numeric:
        for value in VALUES:
            yield FolderMutant(
                f"{file}: {key} is {str(value)[:12]}",
                lambda at, f=file, k=key, v=value: _set(at / f, k, v),
                value in NO_NUMBERS and not (key in UNBOUNDED and isinstance(value, int)),
            )


def bytes_turned(file: Path, seed: int) -> FolderMutant:
    """A few bytes of a file's head turned over: of weights in their header, of JSON anywhere."""

    def spoil(at: Path) -> None:
        rng, data = random.Random(seed), bytearray((at / file).read_bytes())
        end = min(len(data), 8 + int.from_bytes(data[:8], "little")) if file.suffix == ".safetensors" else len(data)
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(end)] = rng.randrange(256)
        _put(at / file, bytes(data))

    return FolderMutant(f"{file}: bytes {seed}", spoil, must_refuse=False)


def _put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _set(path: Path, key: str, value: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))


def _one(value: float) -> Callable[[dict[str, np.ndarray]], None]:
    def change(held: dict[str, np.ndarray]) -> None:
        name = max(name for name in held if held[name].dtype.kind == "f")
        held[name] = held[name].copy()
        held[name].flat[0] = value

    return change


def _all_zero(held: dict[str, np.ndarray]) -> None:
    held.update({name: np.zeros_like(each) for name, each in held.items()})


def _truth(held: dict[str, np.ndarray]) -> None:
    held.update({name: each.astype(bool) for name, each in held.items()})
