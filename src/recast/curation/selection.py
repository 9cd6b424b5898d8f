"""Between the two passes: drops duplicates, and assigns candidates to shards."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recast.curation.copies import copies
from recast.curation.encode import EncodeJob
from recast.curation.scan import Candidate, Scan
from recast.curation.settings import Settings

COPIES = "copies"


@dataclass(frozen=True)
class Selection:
    """Candidates that are kept, in the sources' order, and copies, each with the candidate that it duplicates."""

    kept: tuple[Candidate, ...]
    copies: tuple[tuple[Candidate, Candidate], ...] = ()


def selected(scans: Iterable[Scan], settings: Settings) -> Selection:
    """All candidates but copies of earlier ones. Worlds are never copies: every seed renders a different scene."""
    candidates = [candidate for scan in scans for candidate in scan.candidates]
    if COPIES in settings.skip:
        return Selection(tuple(candidates))
    hashed = [candidate for candidate in candidates if candidate.hash]
    found = copies((bytes.fromhex(candidate.hash), candidate.source) for candidate in hashed)
    doubles = {each.key: (each, hashed[of]) for each, of in zip(hashed, found, strict=True) if of is not None}
    return Selection(tuple(each for each in candidates if each.key not in doubles), tuple(doubles.values()))


def shard_jobs(kept: Iterable[Candidate], settings: Settings, folder: Path, work: Path) -> Iterator[EncodeJob]:
    """A job for each shard: candidates of one bucket and one number of frames, in order."""
    groups: dict[tuple[int, str], list[Candidate]] = defaultdict(list)
    for candidate in kept:
        groups[candidate.frames, candidate.bucket].append(candidate)
    for (frames, bucket), among in sorted(groups.items()):
        for number, start in enumerate(range(0, len(among), settings.per_shard)):
            name = f"{'images' if frames == 1 else 'clips'}-{bucket}-{number:05d}"
            picked = tuple(among[start : start + settings.per_shard])
            yield EncodeJob(picked, settings, folder / f"{name}.tar", work / "rows" / f"{name}.json")
