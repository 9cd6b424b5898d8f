"""The files of a model folder's component: which of them hold weights, and what is refused before or after reading.

Checked by content, since a pickle may bear any name.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast.errors import WeightsError
from recast.model.metadata import json_object
from recast.model.tensors import read_header

_WEIGHT_FILE = re.compile(r"(model|diffusion_pytorch_model)(\.fp16)?(-\d{5}-of-\d{5})?\.safetensors")
_TEXTS = frozenset({".json", ".model", ".txt"})
_VOCABULARY, MOST_TOKENS = "vocab.json", 2**24
MOST_TEXT_BYTES = 2**26
"""Of a file that a tokenizer reads."""
_PICKLES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
_ONLY_WAY = re.compile(r"((encoder|decoder)\.)?conv_(in|out)\.weight")
"""Layers that all of a picture passes through: no network begins with zeros there."""


def check_values(name: str, path: Path, weights: Mapping[str, Any]) -> None:
    """Raises WeightsError for weights that are no numbers, and for those through which nothing passes."""
    for weight, tensor in weights.items():
        bad = int((~tensor.isfinite()).sum()) if tensor.is_floating_point() else 0
        if bad:
            wrong = f"{bad} of {tensor.numel()} values of {weight} are NaN or infinite"
            raise WeightsError(f"{name}: {wrong}; the file is damaged or its training diverged: get another; {path}")
    products = {weight: bool(tensor.any()) for weight, tensor in weights.items() if tensor.ndim > 1}
    empty = [weight for weight, some in products.items() if not some and _ONLY_WAY.fullmatch(weight)]
    if empty or (products and not any(products.values())):
        which = f"all values of {empty[0]} are 0" if empty else "all its weights are 0"
        raise WeightsError(f"{name}: {which}, so nothing passes through it; get another; {path}")


def weight_files(name: str, path: Path) -> list[Path]:
    """The safetensors files of a component, whole by their headers; plain ones rather than their fp16 variants.

    Raises WeightsError where there are none, or damaged ones.
    """
    held = sorted(file for file in path.iterdir() if _WEIGHT_FILE.fullmatch(file.name) and file.is_file())
    chosen = [file for file in held if ".fp16" not in file.name] or held
    pickles = sorted(file.name for file in path.iterdir() if file.suffix.lower() in _PICKLES)
    if not chosen and pickles:
        raise WeightsError(f"{name} has {pickles[0]}, which can run code when read; convert it to safetensors; {path}")
    if not chosen:
        raise WeightsError(f"{name} has no safetensors file; it has {held_in(path)}; get the whole folder; {path}")
    for file in held:
        try:
            read_header(file)
        except (OSError, ValueError) as fault:
            wrong = f"{name}: {file.name} ({file.stat().st_size} bytes) is no whole safetensors file"
            raise WeightsError(f"{wrong} ({fault}); get it again; {path}") from fault
    return chosen


def check_files(name: str, path: Path) -> None:
    """Raises WeightsError for what is no file that can be read whole, and for an index that names files elsewhere."""
    for file in path.iterdir():
        if not (file.is_file() or file.is_dir()):
            raise WeightsError(f"{name} holds {file.name}, which is no regular file; remove it; {path}")
        if file.suffix in _TEXTS and file.stat().st_size > MOST_TEXT_BYTES:
            raise WeightsError(f"{name}: {file.name} has more than {MOST_TEXT_BYTES} bytes; get it again; {path}")
    ids = json_object(path / _VOCABULARY).values() if (path / _VOCABULARY).is_file() else ()
    if any(type(number) is not int or not 0 <= number < MOST_TOKENS for number in ids):
        raise WeightsError(f"{name}: {_VOCABULARY} has words whose number is none below {MOST_TOKENS}; {path}")
    for file in path.glob("*.safetensors.index*.json"):
        parts = json_object(file).get("weight_map")
        named = set(parts.values()) if isinstance(parts, dict) and all(map(_is_text, parts.values())) else {""}
        strange = sorted(each for each in named if not _WEIGHT_FILE.fullmatch(each) or not (path / each).is_file())
        if strange:
            raise WeightsError(f"{name}: {file.name} names {strange[0][:80]!r}, which is no weight file here; {path}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def held_in(path: Path) -> str:
    """Names of what is in a folder, for a message."""
    return ", ".join(sorted(held.name for held in path.iterdir())[:12]) or "nothing"
