"""Shards as datasets: random access to samples by their byte offsets, without unpacking."""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from recast.data.examples import Example
from recast.data.manifest import manifest
from recast.data.storage import MANIFEST, maps_of
from recast.errors import RequestError
from recast.types import Frames, Maps


@dataclass(frozen=True, eq=False)
class Bucket:
    """Samples of one size and one number of frames, of one folder or several: a `Source`.

    frames: of each sample; 1 for pictures. size: height and width in pixels. rows: the manifests' rows, as a pyarrow
    table, with the folder of each. Files are opened for each sample, so that processes may share a bucket.
    """

    frames: int
    size: tuple[int, int]
    rows: Any

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> dict[str, Any]:
        """A sample's row of the manifest."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return self.rows.slice(index, 1).to_pylist()[0]

    def example(self, index: int) -> Example:
        """The example of a sample. Raises RequestError for a sample that is damaged or has no conditioning."""
        row = self.row(index)
        if not row["levels"]:
            raise RequestError(f"{row['folder']} was curated without conditioning; curate it with --model")
        moments, structure, embeddings = (
            torch.from_numpy(_array(row, f"{name}.npy")) for name in ("moments", "structure", "embeddings")
        )
        return Example(moments, structure, tuple(row["levels"]), embeddings, row["caption"])

    def shown(self, index: int) -> Frames:
        """The frames of a sample. Raises RequestError for a sample that is damaged or stored without frames."""
        return torch.stack([self.picture(index, frame) for frame in range(self.frames)])

    def picture(self, index: int, frame: int) -> UInt8[Tensor, "3 h w"]:
        """One frame. Raises as `shown` does."""
        row = self.row(index)
        names = [member["name"] for member in row["members"] if member["name"].endswith((".jpg", ".png"))]
        if not names:
            raise RequestError(f"{row['folder']} was curated without pictures; curate it with --pictures jpg")
        image = np.array(Image.open(io.BytesIO(_bytes(row, names[frame]))).convert("RGB"))
        return rearrange(torch.from_numpy(image), "h w c -> c h w")

    def depth(self, index: int) -> Maps:
        """Inverse depth, 0..1 over the clip, 1 nearest. Raises RequestError for a sample without depth, or damaged."""
        return maps_of(_array(self.row(index), "depth.npy"))


def opened(*folders: str | PathLike[str]) -> list[Bucket]:
    """The buckets of one or several folders of shards, smallest clips first.

    Raises RequestError for a folder without a manifest, and for a missing or truncated shard.
    """
    with_folders = [_checked(Path(folder)) for folder in folders]
    assert with_folders, "there is nothing to open"
    import pyarrow as pa

    table = pa.concat_tables(with_folders, promote_options="default")
    return list(_grouped(table))


def _grouped(table: Any) -> Iterator[Bucket]:  # noqa: ANN401
    import pyarrow.compute as pc

    kinds = {(row["frames"], row["bucket"]) for row in table.select(["frames", "bucket"]).to_pylist()}
    for frames, bucket in sorted(kinds, key=lambda kind: (kind[0], _sides(kind[1]))):
        rows = table.filter((pc.field("frames") == frames) & (pc.field("bucket") == bucket))
        width, height = _sides(bucket)
        yield Bucket(frames, (height, width), rows.combine_chunks())


def _checked(folder: Path) -> Any:  # noqa: ANN401
    """The manifest's table with the folder in each row, once every shard is present and long enough for its samples."""
    table = manifest(folder / MANIFEST)
    import pyarrow as pa
    import pyarrow.compute as pc

    members = table["members"].combine_chunks()
    # Parents are counted from the slice's start, as the shards' column is.
    shard = table["shard"].combine_chunks().take(pc.call_function("list_parent_indices", [members]))
    flat = pc.call_function("list_flatten", [members])
    ends = pc.call_function("add", [flat.field("offset"), flat.field("size")])
    needed = pa.table({"shard": shard, "end": ends}).group_by("shard").aggregate([("end", "max")])
    for row in needed.to_pylist():
        _check(folder, row["shard"], row["end_max"])
    return table.append_column("folder", pa.array([str(folder)] * len(table), pa.string()))


def _check(folder: Path, name: str, needed: int) -> None:
    if Path(name).name != name:
        raise RequestError(f"the manifest names {name!r}, which lies outside its folder: {folder / MANIFEST}")
    path = folder / name
    if not path.is_file():
        raise RequestError(f"the shard {name} is missing; copy it again: {folder}")
    if path.stat().st_size < needed:
        held = f"{path.stat().st_size} bytes of at least {needed}"
        raise RequestError(f"the shard {name} is cut off: {held}; copy it again: {folder}")


def _sides(bucket: str) -> tuple[int, int]:
    width, height = bucket.split("x")
    return int(width), int(height)


def _bytes(row: dict[str, Any], name: str) -> bytes:
    member = next((member for member in row["members"] if member["name"] == name), None)
    place = f"sample {row['key']} of {row['shard']} in {row['folder']}"
    if member is None:
        raise RequestError(f"there is no {name} in {place}")
    with (Path(row["folder"]) / row["shard"]).open("rb") as file:
        file.seek(member["offset"])
        data = file.read(member["size"])
    if len(data) != member["size"] or zlib.crc32(data) != member["crc32"]:
        raise RequestError(f"{name} is damaged in {place}; copy the shard again, or curate anew")
    return data


def _array(row: dict[str, Any], name: str) -> np.ndarray:
    try:
        return np.lib.format.read_array(io.BytesIO(_bytes(row, name)), allow_pickle=False)
    except ValueError as fault:
        raise RequestError(f"{name} is no plain array in sample {row['key']} of {row['shard']}: {fault}") from fault
