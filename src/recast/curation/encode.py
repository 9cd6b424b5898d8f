"""Second pass: the selected clips, resized to their bucket, captioned, conditioned and written into shards."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from einops import rearrange

from recast.curation import captions
from recast.curation.buckets import Size, fitted
from recast.curation.conditioning import conditioner, levels_of, true_maps
from recast.curation.materials import SourceKind
from recast.curation.scan import THUMBS_EACH, Candidate, thumbnail
from recast.curation.settings import Settings
from recast.curation.shots import clips
from recast.data.storage import Sample, conditioning_of, members_of, steps_of, write_shard, write_text
from recast.errors import RecastError
from recast.types import Frames, Maps
from recast.video.read import opened

FACTS = ("bucket", "frames", "seconds", "fps", "width", "height", "hash", "scores")
"""Fields of a candidate that are copied into the manifest."""
EARLY_SECONDS = 1.0
"""Decoding starts this long before the first clip, so that rounding of times loses no frame."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A clip at its bucket's size, with its metadata. maps: true inverse depth of a world, else None."""

    candidate: Candidate
    frames: Frames
    caption: str | None
    maps: Maps | None = None


@dataclass(frozen=True)
class EncodeJob:
    """Writes one shard. candidates: ordered, those of one source adjacent. rows: the JSON file of manifest rows."""

    candidates: tuple[Candidate, ...]
    settings: Settings
    target: Path
    rows: Path

    def __call__(self) -> None:
        """Writes the shard, then its rows; the rows' file marks the shard as complete."""
        thumbs: list[tuple[str, str, str | None]] = []
        rows = write_shard(self.target, self._samples(thumbs))
        write_text(self.rows, json.dumps({"rows": rows, "thumbs": thumbs}))

    def crashed(self) -> None:
        """Raises RecastError: the first pass could read these files, so this is no bad input."""
        sources = ", ".join(dict.fromkeys(each.source for each in self.candidates))
        raise RecastError(f"encoding ended the process, at {self.target.name}; leave out what it is made of: {sources}")

    def _samples(self, thumbs: list[tuple[str, str, str | None]]) -> Iterator[Sample]:
        for (matter, _), group in groupby(self.candidates, key=lambda each: (each.matter, each.source)):
            for cut in (_rendered if matter is SourceKind.WORLD else _read)(list(group), self.settings):
                if len(thumbs) < THUMBS_EACH:
                    thumbs.append((cut.candidate.key, thumbnail(cut.frames[len(cut.frames) // 2]), cut.caption))
                yield sample(cut, self.settings)


def sample(cut: Cut, settings: Settings) -> Sample:
    """The members of a clip: its frames, and its conditioning where a model is set."""
    candidate = cut.candidate
    levels = () if settings.model is None else levels_of(candidate.key, settings.levels)
    about = {"caption": cut.caption, "source": candidate.source, "start": candidate.start, "stride": candidate.stride}
    row = {
        **about,
        **{name: getattr(candidate, name) for name in FACTS},
        "caption": cut.caption,
        "levels": list(levels),
    }
    if settings.model is None:
        return Sample(candidate.key, members_of(cut.frames, about, settings.pictures), row)
    networks = conditioner(settings.model, settings.device)
    maps = networks.maps(cut.frames) if cut.maps is None else cut.maps
    example = networks.example(cut.frames, maps, levels, cut.caption)
    about |= {"levels": levels, "keep_all": networks.encoder.keep_all}
    members = members_of(cut.frames, about, settings.pictures, steps_of(maps))
    return Sample(candidate.key, members | conditioning_of(example), row)


def _read(candidates: list[Candidate], settings: Settings) -> Iterator[Cut]:
    first = candidates[0]
    path, bucket = Path(first.source), _bucket(first)
    source, caption = opened(path, settings.on_damage), captions.beside(path)
    places = {candidate.span: candidate for candidate in candidates}
    found = 0
    for span, held in clips(source, places, max(0.0, first.seconds - EARLY_SECONDS)):
        found += 1
        frames = torch.cat([fitted(frame.pixels[None], bucket, source.sample_aspect) for frame in held])
        yield Cut(places[span], frames, caption or _seen(frames, settings))
    if found < len(candidates):
        raise RecastError(f"the source changed while it was curated: {path}; run it again, into another folder")


def _rendered(candidates: list[Candidate], settings: Settings) -> Iterator[Cut]:
    from recast.world import as_filmed, rendered, sampled

    for candidate in candidates:
        bucket, seed = _bucket(candidate), int(candidate.source.removeprefix("world:"))
        footage = rendered(sampled(seed), candidate.frames, bucket.height, bucket.width, 1 / candidate.fps)
        footage = as_filmed(footage, settings.filmed)
        frames = rearrange(torch.from_numpy(footage.frames), "t h w c -> t c h w")
        yield Cut(candidate, frames, footage.caption, true_maps(footage.inverse_depth) if settings.true_depth else None)


def _seen(frames: Frames, settings: Settings) -> str | None:
    if settings.captioner is None:
        return None
    return captions.captioner(settings.captioner, settings.device)(frames[len(frames) // 2])


def _bucket(candidate: Candidate) -> Size:
    width, height = candidate.bucket.split("x")
    return Size(int(width), int(height))
