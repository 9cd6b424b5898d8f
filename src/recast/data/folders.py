"""Opens the folders of `--data`: shards, caches of worlds, pools of rendered pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from recast.data.examples import ExampleSource
from recast.data.latent_cache import LatentCache
from recast.data.renders import RenderedDataset
from recast.errors import RequestError


def opened(folders: Sequence[Path]) -> tuple[list[ExampleSource], list[RenderedDataset]]:
    """Sources of examples and pools of pictures, in the order of the folders.

    A folder that only contains such folders stands for all of them. Raises RequestError for one that contains none.
    """
    sources: list[ExampleSource] = []
    pools: list[RenderedDataset] = []
    for folder in folders:
        found = [part for part in _parts(folder) if _opened(part, sources, pools)]
        if not found:
            raise RequestError(
                f"{folder} holds no shards (manifest.parquet), caches (latents.npy) or pools (frames.npy); "
                "make shards with recast curate"
            )
    return sources, pools


def _parts(folder: Path) -> Iterator[Path]:
    yield folder
    if folder.is_dir():
        yield from sorted(part for part in folder.iterdir() if part.is_dir())


def _opened(folder: Path, sources: list[ExampleSource], pools: list[RenderedDataset]) -> bool:
    if (folder / "manifest.parquet").exists():
        from recast.data import shards

        sources.extend(shards.opened(folder))
    elif (folder / "latents.npy").exists() and (folder / "embeddings.npy").exists():
        sources.append(LatentCache.opened(folder))
    elif (folder / "clips.jsonl").exists():
        pools.append(RenderedDataset.opened(folder))
    else:
        return False
    return True
