"""A network of a model folder built and filled with its weights, by its own class, in the number format asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.model.metadata import json_object

if TYPE_CHECKING:
    import torch


def loaded(
    kind: type, path: Path, weight_files: list[Path], dtype: "torch.dtype | None" = None
) -> tuple[Any, list[str], list[str]]:
    """A network, the names of its weights that the files lack, and those that they have besides.

    Libraries fill the first with random numbers, leave the others out, and go on. dtype: fp32 where not said.
    """
    import torch

    reader, precision = kind, dtype or torch.float32
    if not hasattr(reader, "from_pretrained"):
        entries = {key: value for key, value in json_object(path / "config.json").items() if not key.startswith("_")}
        network = reader(**entries)
        missing, _ = _filled(network, weight_files)
        return network.to(precision), missing, []
    # The two libraries call the same wish by different names.
    diffusers = kind.__module__.startswith("diffusers")
    if diffusers and getattr(reader, "_keep_in_fp32_modules", None):
        return _mixed(reader, path, weight_files, precision)
    named = {"torch_dtype" if diffusers else "dtype": precision}
    variant = "fp16" if ".fp16" in weight_files[0].name else None
    safely: Any = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    network, report = reader.from_pretrained(str(path), variant=variant, **safely, **named)
    # Files of transformers' networks hold heads that are not asked for; diffusers' are saved by the class that reads.
    return network, list(report["missing_keys"]), list(report["unexpected_keys"]) if diffusers else []


def _mixed(
    kind: Any,  # noqa: ANN401 -- diffusers' own type
    path: Path,
    weight_files: list[Path],
    dtype: "torch.dtype",
) -> tuple[Any, list[str], list[str]]:
    """A network of a class that keeps some layers in fp32, which diffusers itself reads only with accelerate."""
    from diffusers.models.modeling_utils import no_init_weights

    with no_init_weights(), _by_default(dtype):
        network = kind.from_config(json_object(path / "config.json"))
    kept = set(kind._keep_in_fp32_modules)
    for name, weight in network.named_parameters():
        if kept & set(name.split(".")):
            weight.data = weight.data.float()
    missing, left_over = _filled(network, weight_files)
    passed_over = kind._keys_to_ignore_on_load_unexpected or []
    return network, missing, [name for name in left_over if not any(each in name for each in passed_over)]


def _filled(network: Any, weight_files: list[Path]) -> tuple[list[str], list[str]]:  # noqa: ANN401 -- any module
    """Fills a network file by file; the names of weights that no file has, and of those that it has no place for."""
    from safetensors.torch import load_file

    missing, left_over = set(network.state_dict()), []
    for file in weight_files:
        held = load_file(file)
        left_over += network.load_state_dict(held, strict=False).unexpected_keys
        missing -= held.keys()
    return sorted(missing), left_over


@contextmanager
def _by_default(dtype: "torch.dtype") -> Iterator[None]:
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
