"""The clip as an edit sees it: read at the size to work at, with its structures."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from recast.conditions import Extractor
from recast.editing.loaded import Model
from recast.editing.progress import Stage, no_progress, stage
from recast.editing.resolve import ResolvedEdit
from recast.progress import ProgressCallback
from recast.types import Clip, Structure
from recast.video.cuts import cuts
from recast.video.read import cut, read


@dataclass(frozen=True, eq=False)
class Prepared:
    """A clip at the size to work at, and its structures: what edits of one stretch, size and kinds of structure share.

    structures: in the order in which they were named; none where the model reads none. cuts: indices of the frames that
    begin another shot than the one before.
    """

    clip: Clip
    structures: tuple[Structure, ...]
    cuts: tuple[int, ...] = ()

    @property
    def shots(self) -> "list[Prepared]":
        """Each shot for itself."""
        return [self._part(slice(*ends)) for ends in pairwise([0, *self.cuts, len(self.clip)])]

    def _part(self, span: slice) -> "Prepared":
        clip = Clip(self.clip.frames[span], self.clip.fps, self.clip.first + span.start)
        return Prepared(clip, tuple(replace(each, maps=each.maps[span]) for each in self.structures))


def prepare(resolved: ResolvedEdit, model: Model, watch: ProgressCallback = no_progress) -> Prepared:
    """The clip at the size to work at, and its structure."""
    return prepared_of(read_clip(resolved, watch), resolved, model, watch)


def prepared_of(clip: Clip, resolved: ResolvedEdit, model: Model, watch: ProgressCallback = no_progress) -> Prepared:
    """A clip that was read, its cuts, and the structures of each shot."""
    with stage(Stage.STRUCTURE, watch):
        whole = Prepared(clip, (), tuple(cuts(clip.frames, resolved.request.cuts)))
        shots, seers = [shot.clip for shot in whole.shots], extractors(resolved, model)
        seen = {kind: _joined([extractor(shot) for shot in shots]) for kind, extractor in seers.items()}
    return replace(whole, structures=with_made(resolved, model, clip, seen))


def with_made(resolved: ResolvedEdit, model: Model, clip: Clip, seen: Mapping[str, Structure]) -> tuple[Structure, ...]:
    """Structures that were seen in a clip, and those that the user made, in the order in which they were named."""
    named = resolved.structures if model.backbone.structure_kinds else ()
    return tuple(resolved.made[each.kind].of(clip) if each.kind in resolved.made else seen[each.kind] for each in named)


def _joined(parts: list[Structure]) -> Structure:
    return replace(parts[0], maps=torch.cat([part.maps for part in parts]))


def read_clip(resolved: ResolvedEdit, watch: ProgressCallback = no_progress, most: int | None = None) -> Clip:
    """The clip at the size to work at, of the stretch that was asked for. most: no more frames than that."""
    source, window = resolved.source, replace(resolved.stretch, size=resolved.size)
    counts = [count for count in (window.max_frames, most) if count is not None]
    window = replace(window, max_frames=min(counts, default=None))
    with stage(Stage.READ, watch):
        return cut(source, window) if isinstance(source, Clip) else read(source, window)


def extractors(resolved: ResolvedEdit, model: Model) -> dict[str, Extractor]:
    """Of the structures that are seen in the clip, by kind; none where the network reads none."""
    named = resolved.structures if model.backbone.structure_kinds else ()
    return {each.kind: model.extractor(each.kind) for each in named if each.kind not in resolved.made}
