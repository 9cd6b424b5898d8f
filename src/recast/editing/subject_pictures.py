"""Pictures of a subject and of its class, as a customization learns from them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from os import PathLike
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from recast.conditions.image import picture
from recast.editing.denoise import structured
from recast.editing.loaded import Model
from recast.editing.prepared import prepare
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.stages import generate
from recast.errors import RequestError
from recast.files import write_synced
from recast.progress import ProgressCallback
from recast.tuning.customize import CachedPicture
from recast.tuning.subjects import picture_tokens
from recast.types import Clip, Condition, Frames
from recast.video.resize import resized
from recast.video.sheet import saved

PICTURE_FILES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
PRIOR_FACTS = "prior.json"
FREEST = 7.0
"""t_s of the pictures that the model makes of a class: only the coarsest structure is the subject's."""


def picture_files(photos: Sequence[str | PathLike[str]]) -> list[Path]:
    """Picture files, and those in folders, by name. Raises RequestError for none."""
    found = []
    for path in map(Path, photos):
        inside = (each for each in path.iterdir() if each.suffix.lower() in PICTURE_FILES) if path.is_dir() else [path]
        found.extend(sorted(inside))
    if not found:
        raise RequestError("there are no pictures to learn the subject from; name 15 to 30, or a folder of them")
    return found


@dataclass(frozen=True, eq=False)
class PictureReader:
    """Reads pictures for a model: square, at one size, each with its own content and structure.

    request: names the model, structures and size. details: every t_s that structure is learned with.
    """

    model: Model
    request: Request
    details: tuple[float, ...]

    def frames(self, files: Sequence[Path]) -> Frames:
        """The middle square of each picture. Raises MediaError for a file that is none, RequestError for a size."""
        if isinstance(self.request.size, tuple):
            raise RequestError("pictures are learned as squares; say one side with --size, such as --size 256")
        multiple = self.model.backbone.pixel_multiple
        side = max(1, round((self.request.size or self.model.backbone.short_side) / multiple)) * multiple
        return torch.cat([_square(picture(str(path))[None], side) for path in files])

    def cached(self, frame: Frames, words: str) -> CachedPicture:
        """A picture [1 3 h w] as the network sees it; words: what it shows, for families that read words."""
        backbone, tokens = self.model.backbone, picture_tokens(self.model.backbone, words, frame)
        resolved = resolve(self._asked(frame), self.model, Clip(frame, Fraction(1)))
        prepared = prepare(resolved, self.model)
        bare = Condition(tokens, backbone.null_tokens(), frames=torch.zeros(1, dtype=torch.long))
        details = self.details if prepared.structures else self.details[:1]
        conditions = [structured(replace(resolved, detail=each), prepared, bare, self.model) for each in details]
        return CachedPicture(backbone.encode(prepared.clip.frames), tuple(conditions))

    def prior(self, folder: Path, own: Frames, class_name: str, count: int, watch: ProgressCallback) -> Frames:
        """So many pictures of the class, made by the model itself from its words, in coarse structures of `own`.

        They are made once and kept in `folder`. Raises RequestError where it holds pictures of something else.
        """
        side, words = own.shape[-1], ((class_name, 1.0),)
        self._begin(folder, {"class": class_name, "side": side, "seed": self.request.seed, "model": self.model.digest})
        made = []
        for number in range(count):
            watch("prior", number, count)
            path = folder / f"{number:05d}.png"
            if not path.exists():
                frame = own[number % len(own)][None]
                asked = self._asked(frame).updated(
                    words=words, method="gen1", seed=self.request.seed + number, structure_detail=FREEST
                )
                resolved = resolve(asked, self.model, Clip(frame, Fraction(1)))
                saved(generate(resolved, prepare(resolved, self.model), self.model).frames[0], path)
            made.append(_square(picture(str(path))[None], side))
        watch("prior", count, count)
        return torch.cat(made)

    def _asked(self, frame: Frames) -> Request:
        """At the picture's own size, whatever sizes the model takes for itself."""
        return self.request.updated(size=(frame.shape[-1], frame.shape[-2]))

    def _begin(self, folder: Path, facts: dict[str, object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path, text = folder / PRIOR_FACTS, json.dumps(facts, indent=1) + "\n"
        if not path.exists():
            write_synced(path, text)
        elif path.read_text("utf-8") != text:
            raise RequestError(f"{folder} holds pictures of another class, size, seed or model; remove it, or move it")


def _square(frames: Frames, side: int) -> UInt8[Tensor, "t 3 {side} {side}"]:
    rows, columns = frames.shape[-2:]
    short = min(rows, columns)
    top, left = (rows - short) // 2, (columns - short) // 2
    return resized(frames[..., top : top + short, left : left + short], (side, side))
