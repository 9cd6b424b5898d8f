"""Caches of clips as latents, with the conditions of networks that read several, by name."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.data.renders import RenderedDataset
from recast.data.triplets import TripletDataset
from recast.files import disk_told, whole_folder
from recast.types import Frames

LATENTS, CAPTIONS, CONDITIONS = "latents", "captions.json", "conditions"
SOURCE = "clip"
"""Name of the latents of the clip to edit; see `recast.networks.conditioned`."""
Encode = Callable[[Float[Tensor, "t 3 h w"]], Float[Tensor, "t 4 y x"]]
"""Pictures of -1..1 to latents of unit variance."""
Conditioner = Callable[[RenderedDataset, int], Tensor]
"""A dataset and the number of a clip to a condition: maps of 0..1, [t c h w], or a vector a frame, [t d]."""


@dataclass(frozen=True, eq=False)
class VideoCache:
    """Cached clips of one size with their captions; arrays are memory-mapped.

    latents: fp16 [n t 4 y x], unit variance. conditions: by name: maps as uint8 [n t c h w], 0..255 for 0..1; vectors
    and latents as fp16 [n t ...]. captions: several of each clip.
    """

    latents: np.ndarray
    conditions: Mapping[str, np.ndarray]
    captions: Sequence[Sequence[str]]

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def frames(self) -> int:
        """Of each clip."""
        return self.latents.shape[1]

    def clean(self, clip: int, span: slice) -> Float[Tensor, "t 4 y x"]:
        """Latents of a stretch of a clip, in fp32."""
        return torch.from_numpy(self.latents[clip, span].astype(np.float32))

    def condition(self, name: str, clip: int, span: slice) -> Tensor:
        """The condition of that name, in fp32: maps of 0..1, vectors, or latents."""
        held = self.conditions[name]
        values = torch.from_numpy(held[clip, span].astype(np.float32))
        return values / 255 if held.dtype == np.uint8 else values

    @classmethod
    def opened(cls, folder: Path) -> "VideoCache":
        """The cache in `folder`."""
        arrays = {path.stem: np.load(path, mmap_mode="r") for path in sorted((folder / CONDITIONS).glob("*.npy"))}
        captions = json.loads((folder / CAPTIONS).read_text("utf-8"))
        return cls(np.load(folder / f"{LATENTS}.npy", mmap_mode="r"), arrays, captions)


def fill(folder: Path, pool: RenderedDataset, encode: Encode, conditioners: Mapping[str, Conditioner]) -> None:
    """Writes the cache of a whole pool, with its conditions by name, where it is not there yet."""
    if not folder.exists():
        rows = (
            (
                encode(_pixels(pool.frames[clip])),
                {name: condition(pool, clip) for name, condition in conditioners.items()},
            )
            for clip in range(len(pool))
        )
        _write(folder, len(pool), rows, pool.captions)


def fill_triplets(folder: Path, triplets: TripletDataset, encode: Encode) -> None:
    """Writes the cache of triplets where it is not there yet: edited clips, conditioned on the clips to edit."""
    if not folder.exists():
        pairs = ((encode(_pixels(pair[1])), {SOURCE: encode(_pixels(pair[0]))}) for pair in triplets.frames)
        _write(folder, len(triplets), pairs, triplets.instructions)


def shown(pool: RenderedDataset, clip: int) -> Frames:
    """A clip's frames."""
    return rearrange(torch.from_numpy(np.array(pool.frames[clip])), "t h w c -> t c h w")


def _pixels(frames: np.ndarray) -> Float[Tensor, "t 3 h w"]:
    return rearrange(torch.from_numpy(np.array(frames)).float() / 127.5 - 1, "t h w c -> t c h w")


def _write(
    folder: Path, count: int, rows: Iterable[tuple[Tensor, Mapping[str, Tensor]]], captions: Sequence[Sequence[str]]
) -> None:
    with disk_told(folder), whole_folder(folder) as part:
        (part / CONDITIONS).mkdir()
        arrays: dict[str, np.memmap] = {}
        for number, (latents, conditions) in enumerate(rows):
            for name, values in {
                LATENTS: latents,
                **{f"{CONDITIONS}/{each}": value for each, value in conditions.items()},
            }.items():
                held = _stored(values, is_map=name not in (LATENTS, f"{CONDITIONS}/{SOURCE}"))
                if name not in arrays:
                    arrays[name] = np.lib.format.open_memmap(
                        part / f"{name}.npy", mode="w+", dtype=held.dtype, shape=(count, *held.shape)
                    )
                arrays[name][number] = held
        for array in arrays.values():
            array.flush()
        (part / CAPTIONS).write_text(json.dumps(captions) + "\n", "utf-8")


def _stored(values: Tensor, *, is_map: bool) -> np.ndarray:
    if is_map and values.ndim == 4:
        return (255 * values).round().clamp(0, 255).byte().numpy()
    return values.half().numpy()
