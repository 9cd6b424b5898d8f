"""Shards: tar files in webdataset's format, with the byte offset of every member."""

import io
import json
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8, UInt16
from PIL import Image

from recast.data.examples import Example
from recast.errors import RecastError
from recast.files import disk_told, hidden_part, whole_file
from recast.types import Frames, Maps

MANIFEST, SUMMARY, REPORT = "manifest.parquet", "curation.json", "report.html"
PICTURES: dict[str, dict[str, Any]] = {
    "jpg": {"format": "JPEG", "subsampling": 0},
    "png": {"format": "PNG"},
    "none": {},
}
"""Formats of frames, with Pillow's options."""

DEPTH_STEPS = 65535
"""Inverse depth of 0..1 is stored as integers up to this."""
_HEADER = tarfile.BLOCKSIZE


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample of a shard. members: contents by name without the key, such as 000.jpg or moments.npy."""

    key: str
    members: dict[str, bytes]
    row: dict[str, Any]


def members_of(
    frames: Frames, about: dict[str, Any], pictures: str, depth: UInt16[np.ndarray, "t h w"] | None = None
) -> dict[str, bytes]:
    """The members of a clip without its conditioning: a JSON object, its frames and its depth."""
    members = {"json": json.dumps(about, ensure_ascii=False, sort_keys=True).encode()}
    if pictures != "none":
        shown = rearrange(frames, "t c h w -> t h w c").numpy()
        members |= {f"{number:03d}.{pictures}": picture(image, pictures) for number, image in enumerate(shown)}
    return members if depth is None else members | {"depth.npy": array(depth)}


def conditioning_of(example: Example) -> dict[str, bytes]:
    """The members of an example: moments, structure latents and embeddings."""
    return {
        f"{name}.npy": array(getattr(example, name).numpy().astype(np.float16))
        for name in ("moments", "structure", "embeddings")
    }


def picture(image: UInt8[np.ndarray, "h w 3"], kind: str, quality: int = 95) -> bytes:
    """A frame as the bytes of a picture file; `kind` of PICTURES. quality: of JPEG, 1..95."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, quality=quality, **PICTURES[kind])
    return file.getvalue()


def array(values: np.ndarray) -> bytes:
    """An array as the bytes of an .npy file. Nothing is ever pickled."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
    return file.getvalue()


def steps_of(maps: Maps) -> UInt16[np.ndarray, "t h w"]:
    """Maps of 0..1 as integers, 65535 for 1."""
    return np.round(rearrange(maps, "t 1 h w -> t h w").numpy().astype(np.float64) * DEPTH_STEPS).astype(np.uint16)


def maps_of(steps: UInt16[np.ndarray, "t h w"]) -> Maps:
    """Maps of 0..1 from integers; the inverse of `steps_of`."""
    return torch.from_numpy(steps.astype(np.float32) / DEPTH_STEPS)[:, None]


def write_shard(target: Path, samples: Iterable[Sample]) -> list[dict[str, Any]]:
    """Writes samples as a tar file, atomically; returns their manifest rows with the members' offsets.

    The same samples give the same bytes. Raises RecastError where the disk is full or cannot be written.
    """
    rows = []
    try:
        with (
            disk_told(target),
            whole_file(target, hidden_part(target)) as place,
            tarfile.open(place, "w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for sample in samples:
                placed = [_written(tar, sample.key, name, data) for name, data in sample.members.items()]
                rows.append({**sample.row, "key": sample.key, "shard": target.name, "members": placed})
    except OSError as error:
        raise RecastError(f"the shard could not be written ({error.strerror}): {target}; run it again") from error
    return rows


def write_text(target: Path, text: str) -> None:
    """Writes a text file atomically."""
    with disk_told(target), whole_file(target, hidden_part(target)) as place:
        place.write_text(text, "utf-8")


def _written(tar: tarfile.TarFile, key: str, name: str, data: bytes) -> dict[str, Any]:
    # A fresh TarInfo has no owner and no time, so that the bytes depend on the samples alone.
    info = tarfile.TarInfo(f"{key}.{name}")
    info.size = len(data)
    offset = tar.offset + _HEADER
    tar.addfile(info, io.BytesIO(data))
    return {"name": name, "offset": offset, "size": len(data), "crc32": zlib.crc32(data)}
