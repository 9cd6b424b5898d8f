"""An edit measured beside its source, whatever made it: two clips, what was asked for, and the networks that look."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property

from jaxtyping import Bool, Float
from torch import Tensor

from recast.conditions import EXTRACTORS
from recast.conditions.clip_pair import ClipPair
from recast.conditions.edges import EdgeExtractor
from recast.conditions.flow import ClipFlow, flow_between
from recast.conditions.perceptual import PerceptualDistance
from recast.conditions.vision import VisionEncoder, is_vision
from recast.engine.device import chosen_device
from recast.evaluation.judge.judge import Judge
from recast.evaluation.metrics.appearance import sharpness
from recast.evaluation.metrics.consistency import FrameEncoder, all_pairs, centred, neighbours, warp_along
from recast.evaluation.metrics.direction import directional_similarity
from recast.evaluation.metrics.edges import edge_agreement
from recast.evaluation.metrics.fidelity import correlation
from recast.evaluation.metrics.flicker import flicker
from recast.evaluation.metrics.frame_accuracy import frame_accuracy
from recast.evaluation.metrics.kept import kept_scores
from recast.evaluation.metrics.motion import end_point_error
from recast.evaluation.metrics.perceptual import kept_lpips
from recast.evaluation.metrics.pick_score import pick_score
from recast.evaluation.metrics.prompt import prompt_consistency
from recast.evaluation.metrics.structure import PlaceEncoder, structure_distance
from recast.evaluation.vision_judge import VisionJudge, asked_scores
from recast.model.folder import ModelFolder
from recast.progress import Report
from recast.types import Clip, Frames
from recast.video.resize import resized, working_size

Figures = dict[str, float]
InverseDepth = Float[Tensor, "t 1 rows columns"]
"""At another size than the frames."""
RATE = Fraction(24)
"""Frames a second for extractors, which look at no times."""
EMBEDDED = "pocket"
"""The model in the package, whose parts measure where no others are named."""
FLOW_BY = "DIS"
DEPTH_MULTIPLE = 32
"""Sides that its depth estimator looks at are multiples of so many px."""


@dataclass(frozen=True, eq=False)
class PairEncoders:
    """The networks that measure. frames: frame consistency. places: structure distance. pair: what words are held to.

    depth: from frames to inverse depth, at the size that the model works at. places_name, depth_name: as results call
    these two; the others say it. asked: answers questions. preference: PickScore's. lpips: LPIPS. These three are None
    where none is named.
    """

    frames: FrameEncoder
    places: PlaceEncoder
    pair: ClipPair
    places_name: str
    depth: Callable[[Frames], InverseDepth]
    depth_name: str
    asked: VisionJudge | None = None
    preference: ClipPair | None = None
    lpips: PerceptualDistance | None = None

    @classmethod
    @cache
    def opened(cls, encoder: str | None, device: str) -> "PairEncoders":
        """Those of the package; with `encoder`, a CLIP pair in place of the judge and of the package's pair.

        A vision network that knows no words, such as DINOv2, is in the place of the judge alone. Opened once a
        process. Raises WeightsError, and RequestError for a device that is not there.
        """
        where, folder = chosen_device(device), ModelFolder.found(EMBEDDED)
        vision = VisionEncoder.opened(encoder, where) if encoder and is_vision(encoder) else None
        pair = ClipPair.opened(EMBEDDED if vision else encoder or EMBEDDED, where)
        seer = vision or (pair if encoder else Judge.opened())
        extractor, side = EXTRACTORS["depth"](folder, where), folder.metadata.short_side

        def depth(frames: Frames) -> InverseDepth:
            size = working_size((frames.shape[-2], frames.shape[-1]), side, DEPTH_MULTIPLE)
            return extractor(Clip(resized(frames, size), RATE)).maps

        level = f"{seer.name}, last layer" if encoder else "recast judge, coarsest level"
        return cls(seer, seer, pair, level, depth, f"depth estimator of {EMBEDDED}")


@dataclass(frozen=True, eq=False)
class EditedPair:
    """A source and its edit: clips of one length and size.

    words, source_words: what the edit was asked to show, and what the source shows. kept: where nothing was to change.
    """

    source: Frames
    edited: Frames
    words: str | None = None
    source_words: str | None = None
    kept: Bool[Tensor, "t h w"] | None = None

    def __post_init__(self) -> None:
        assert self.source.shape == self.edited.shape, f"{self.source.shape} beside {self.edited.shape}"

    @cached_property
    def flow(self) -> ClipFlow:
        """The source's."""
        return ClipFlow.of(self.source)


@dataclass(frozen=True)
class PairFigures:
    """What was measured, by the names of METRICS. source: of the source itself. by: which network told a measure."""

    edit: Figures
    source: Figures
    by: dict[str, str]


def measured_pair(pair: EditedPair, encoders: PairEncoders, report: Report) -> PairFigures:
    """All measures that there are frames, words and a mask for; those of one clip are of the source too."""
    edits, sources, named_by = {}, {}, {}
    parts = (_steadiness, _sharpness, _content, _structure, _kept)
    for done, part in enumerate(parts):
        report(done, len(parts))
        for edit, source, by in part(pair, encoders):
            edits |= edit
            sources |= source
            named_by |= dict.fromkeys(edit, by) if by else {}
    report(len(parts), len(parts))
    return PairFigures(edits, sources, named_by)


Told = Iterator[tuple[Figures, Figures, str]]
"""Figures of the edit and of the source, and the name of what told them."""


def _steadiness(pair: EditedPair, encoders: PairEncoders) -> Told:
    if len(pair.source) < 2:
        return
    edit, source = (encoders.frames.embeddings(frames) for frames in (pair.edited, pair.source))
    yield _of_vectors(edit), _of_vectors(source), encoders.frames.name
    plain = ({"pixels": neighbours(centred(each)), "flicker": flicker(each)} for each in (pair.edited, pair.source))
    yield next(plain), next(plain), ""
    edit, source = (warp_along(frames, pair.flow) for frames in (pair.edited, pair.source))
    if edit is not None and source is not None:
        yield {"warp": 1e3 * edit}, {"warp": 1e3 * source}, FLOW_BY


def _of_vectors(vectors: Tensor) -> Figures:
    return {"frames": neighbours(vectors), "frame_pairs": all_pairs(vectors)}


def _sharpness(pair: EditedPair, _encoders: PairEncoders) -> Told:
    yield {"sharpness": sharpness(pair.edited)}, {"sharpness": sharpness(pair.source)}, ""


def _content(pair: EditedPair, encoders: PairEncoders) -> Told:
    if pair.words is None:
        return
    words = encoders.pair.embedded(pair.words)
    edited, source = (encoders.pair.embeddings(frames) for frames in (pair.edited, pair.source))
    edit, before = ({"prompt": prompt_consistency(words, each)} for each in (edited, source))
    if pair.source_words is not None:
        shown = encoders.pair.embedded(pair.source_words)
        edit["frame_accuracy"] = frame_accuracy(words, shown, edited)
        before["frame_accuracy"] = frame_accuracy(words, shown, source)
        edit["direction"] = directional_similarity(words, shown, edited, source)
    yield edit, before, encoders.pair.name
    if encoders.preference is not None:
        seer = encoders.preference
        edit, before = ({"pick": pick_score(seer, pair.words, frames)} for frames in (pair.edited, pair.source))
        yield edit, before, seer.name
    if encoders.asked is not None:
        yield asked_scores(encoders.asked, pair.edited, pair.words, pair.source_words), {}, encoders.asked.name


def _structure(pair: EditedPair, encoders: PairEncoders) -> Told:
    both = pair.edited, pair.source
    if len(pair.source) > 1:
        moved = flow_between(pair.edited[:-1], pair.edited[1:])
        yield {"motion": end_point_error(moved, pair.flow.forward)}, {}, FLOW_BY
    depths = [encoders.depth(frames) for frames in both]
    yield {"depth_agreement": correlation(*depths)}, {}, encoders.depth_name
    edges = [EdgeExtractor()(Clip(frames, RATE)).maps for frames in both]
    yield {"edge_agreement": edge_agreement(*edges)}, {}, "Canny"
    places = [encoders.places.places(frames) for frames in both]
    yield {"structure": 1e3 * structure_distance(*places)}, {}, encoders.places_name


def _kept(pair: EditedPair, encoders: PairEncoders) -> Told:
    if pair.kept is None:
        return
    yield kept_scores(pair.edited, pair.source, pair.kept), {}, ""
    if encoders.lpips is not None:
        found = kept_lpips(encoders.lpips, pair.edited, pair.source, pair.kept)
        yield {} if found is None else {"kept_lpips": found}, {}, encoders.lpips.name
