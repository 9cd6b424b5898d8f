"""Adapter folders: adapter.safetensors with only what a tuning changed, and adapter.json, which says of what model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from recast.errors import WeightsError
from recast.files import disk_told, whole_folder
from recast.model.metadata import json_object
from recast.model.tensors import read_header
from recast.networks.temporal import is_over_time
from recast.networks.weight_changes import CHANGES, WeightChange

FACTS, TENSORS = "adapter.json", "adapter.safetensors"
SPATIAL = "spatial"
"""The subfolder of an adapter's folder for the layers that are not over time, where the two were trained apart."""
NEW = "new"
"""How a weight is changed that the base model does not have."""
SUBJECT, OFFSET = "subject", "offset"
"""The name of what a subject's token adds to its class, and how it is changed."""
Change = Literal["whole", "lora", "spectral", "new", "offset"]


@checked_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class AdapterInfo:
    """What an adapter is: of which model, what it changes, and how it was made. The folder's adapter.json."""

    schema_version: Literal[1] = 1
    base: dict[Literal["name", "digest"], str]
    """The model that was tuned: as it was named then, and the SHA-256 over its files."""
    method: str
    """What was trained: one-shot, lora, spectral, or a pattern of names."""
    changes: dict[str, Change]
    """Every weight that differs, by its name in the UNet, and how."""
    attention: Literal["own", "first", "first-previous", "latent-shift", "fine-coarse"]
    """What self-attention looks at."""
    positions: int | None
    """Frames that layers over time tell apart which the base model does not have; None where none were added."""
    layers: Literal["transformer", "simda", "shift-restricted", "shifted-channels"] = "transformer"
    """What these layers are; simda has adapters in the image model's own besides."""
    caption: str
    """What the clip was said to show."""
    steps: int
    """Steps that were trained."""
    settings: dict[str, bool | int | float | str | None] = field(default_factory=dict)
    """All settings of the tuning."""
    recast: str
    """Version that wrote it."""
    subject: dict[Literal["token", "class_name"], str] | None = None
    """The token that prompts name a customized subject by, and its class; None for tunings on a clip."""

    @property
    def scales(self) -> bool:
        """Whether the change may be scaled: new layers and another attention are there or not."""
        return self.positions is None and self.attention == "own"


@dataclass(frozen=True, eq=False)
class Adapter:
    """An adapter in memory. tensors: by NAME:PART, where PART is a part of the change or `new`."""

    info: AdapterInfo
    tensors: Mapping[str, Tensor]

    def change(self, name: str, base: Tensor) -> WeightChange:
        """The change of one weight, beside the frozen weight `base`."""
        change = CHANGES[self.info.changes[name]](base, rank=1)
        for part in change.PARTS:
            stored = self.tensors[f"{name}:{part}"]
            setattr(change, part, nn.Parameter(stored.to(base), requires_grad=False))
        return change

    def over_time(self, *, on: bool) -> "Adapter":
        """What it changes of layers over time, or of all others, as an adapter of its own."""
        changes = {name: how for name, how in self.info.changes.items() if is_over_time(name) is on}
        tensors = {key: tensor for key, tensor in self.tensors.items() if key.rpartition(":")[0] in changes}
        return Adapter(replace(self.info, changes=changes), tensors)

    @property
    def offset(self) -> Tensor | None:
        """What a subject's token adds to its class; None where it is read as a word."""
        return self.tensors.get(f"{SUBJECT}:{OFFSET}")

    def new_weights(self) -> dict[str, Tensor]:
        """The weights that the base model does not have, by name."""
        names = (name for name, how in self.info.changes.items() if how == NEW)
        return {name: self.tensors[f"{name}:{NEW}"] for name in names}


def write_adapter(adapter: Adapter, folder: Path, spatial: Adapter | None = None) -> None:
    """Writes the folder, all of it or nothing; one that is there gives way. Raises WriteError for a full disk.

    spatial: an adapter that was trained with it, for the subfolder of that name.
    """
    with disk_told(folder), whole_folder(folder) as part:
        _fill(adapter, part)
        if spatial is not None:
            (part / SPATIAL).mkdir()
            _fill(spatial, part / SPATIAL)


def read_info(folder: str | PathLike[str]) -> AdapterInfo:
    """What the adapter in a folder is. Raises WeightsError where there is none, or where it is of a newer form."""
    path = Path(folder)
    if not (path / FACTS).is_file():
        raise WeightsError(f"{path} is no adapter: it has no {FACTS}; name a folder that `recast tune` wrote")
    facts = json_object(path / FACTS)
    if facts.get("schema_version") != 1:
        version = facts.get("schema_version")
        raise WeightsError(f"{FACTS} is of version {version!r} and this recast reads version 1; update recast; {path}")
    try:
        return TypeAdapter(AdapterInfo).validate_python(facts)
    except ValidationError as fault:
        first = fault.errors()[0]
        raise WeightsError(f"{FACTS}, {'.'.join(map(str, first['loc']))}: {first['msg']}; {path}") from fault


def read_adapter(folder: str | PathLike[str]) -> Adapter:
    """The adapter in a folder. Raises WeightsError as `read_info` does, and where it is damaged."""
    path, info = Path(folder), read_info(folder)
    try:
        read_header(path / TENSORS)
        tensors = load_file(path / TENSORS)
    except (OSError, SafetensorError, ValueError) as fault:
        raise WeightsError(f"{TENSORS} cannot be read ({fault}); get the adapter again; {path}") from fault
    _check_tensors(info, tensors, path)
    return Adapter(info, tensors)


def adapters_in(folder: Path) -> list[Path]:
    """The adapters in a folder, by name; the folder itself where it is one."""
    if (folder / FACTS).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{FACTS}"))


def _fill(adapter: Adapter, folder: Path) -> None:
    tensors = {name: tensor.cpu().contiguous() for name, tensor in adapter.tensors.items()}
    save_file(tensors, folder / TENSORS, metadata={"format": "pt"})
    facts: dict[str, Any] = TypeAdapter(AdapterInfo).dump_python(adapter.info, mode="json")
    (folder / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _check_tensors(info: AdapterInfo, tensors: Mapping[str, Tensor], path: Path) -> None:
    parts = {how: CHANGES[how].PARTS if how in CHANGES else (how,) for how in set(info.changes.values())}
    named = {f"{name}:{part}" for name, how in info.changes.items() for part in parts[how]}
    if named != tensors.keys():
        odd = min(named ^ tensors.keys())
        raise WeightsError(f"{FACTS} and {TENSORS} do not fit each other, as in {odd}; get the adapter again; {path}")
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise WeightsError(f"{name} holds NaN or Inf; the file is damaged or its tuning diverged; {path}")
