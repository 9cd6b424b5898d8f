"""The keys of a model folder's configurations that choose code or another place to load from: a closed list of answers.

transformers and diffusers read these files before any weight and follow what they say: attention kernels, quantizers
and backbones by the name of a repository, classes by the name of a file. Keys of shape and number are left to them.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recast.errors import WeightsError
from recast.model.metadata import json_object
from recast.model.numbers import wrong_number

ATTENTION = frozenset({"eager", "sdpa"})
"""Implementations that are part of transformers itself. All others may be names of repositories with code."""

_IMPLEMENTATION = re.compile(r"_?(attn|experts)_implementation(_internal)?")
_ELSEWHERE = frozenset(
    {
        "allow_all_kernels",
        "auto_map",
        "backbone",
        "backbone_kwargs",
        "base_model_name_or_path",
        "compression_config",
        "configuration_files",
        "custom_generate",
        "custom_pipeline",
        "custom_pipelines",
        "custom_revision",
        "kernel_config",
        "quantization",
        "quantization_config",
        "transformers_weights",
        "trust_remote_code",
        "use_kernels",
        "use_pretrained_backbone",
        "use_timm_backbone",
    }
)
"""Keys that may only be empty: null, false, or nothing in them."""

_CLASSES: dict[str, re.Pattern[str]] = {
    "_class_name": re.compile(r"\w+"),
    "feature_extractor_type": re.compile(r"\w+(FeatureExtractor|ImageProcessor(Fast|Pil)?)"),
    "image_processor_type": re.compile(r"\w+ImageProcessor(Fast|Pil)?"),
    "model_type": re.compile(r"(?!timm)[\w-]+"),
    "processor_class": re.compile(r"\w+"),
    "tokenizer_class": re.compile(r"\w+"),
}
"""Keys that name a class, and what such a name looks like: of the library itself, never of a file or a repository."""

_ADAPTER = "adapter_config.json"


def check_configs(name: str, folder: Path) -> None:
    """Raises WeightsError where a configuration in a component's folder asks for code, or for files from elsewhere."""
    if (folder / _ADAPTER).exists():
        raise WeightsError(f"{name} is an adapter of another model ({_ADAPTER}), which recast does not load; {folder}")
    for path in sorted(folder.glob("*config*.json")):
        for key, value in _entries(json_object(path)):
            wrong = wrong_number(key, value)
            if wrong is not None:
                raise WeightsError(f"{name}: in {path.name}, {key} {wrong}; get the folder again; {folder}")
            if not _is_harmless(key, value):
                asked = f"{path.name}: {key} is {str(value)[:80]!r}"
                raise WeightsError(
                    f"{name} asks to run code from elsewhere ({asked}), which recast never does; "
                    f"remove that entry if you trust the rest; {folder}"
                )


def _entries(config: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 -- whatever JSON holds
    """Every key with its value, at any depth."""
    waiting = [config]
    while waiting:
        held = waiting.pop()
        if isinstance(held, dict):
            yield from held.items()
            waiting += held.values()
        elif isinstance(held, list):
            waiting += held


def _is_harmless(key: str, value: object) -> bool:
    if not value:
        return True
    if _IMPLEMENTATION.fullmatch(key):
        # A dictionary says it for each sub-configuration.
        chosen = list(value.values()) if isinstance(value, dict) else [value]
        return all(each is None or (isinstance(each, str) and each in ATTENTION) for each in chosen)
    if key in _CLASSES:
        named = value if isinstance(value, list) else [value]
        return all(isinstance(each, str) and _CLASSES[key].fullmatch(each) is not None for each in named)
    return key not in _ELSEWHERE
