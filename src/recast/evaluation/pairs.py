"""`recast.evaluate`: edits in files, by whatever tool, measured beside their sources."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor

from recast.conditions.clip_pair import ClipPair
from recast.conditions.perceptual import PerceptualDistance
from recast.conditions.vocabulary import unknown
from recast.editing.mask import Mask
from recast.editing.progress import no_progress
from recast.engine.device import chosen_device
from recast.errors import MediaError, RequestError, ShapeError, known
from recast.evaluation import METRICS
from recast.evaluation.endpoint import ChatEndpoint
from recast.evaluation.pair_scores import EditedPair, PairEncoders, PairFigures, measured_pair
from recast.evaluation.vision_judge import EndpointJudge
from recast.progress import ProgressCallback
from recast.types import Clip
from recast.video.read import Window, cut, opened, read
from recast.video.sequence import EXTENSIONS

Media = Clip | str | PathLike[str]
Size = tuple[int, int]
BESIDE = frozenset({".csv", ".json", ".md", ".txt", ".yaml", ".yml"})
"""Files that lie beside clips and are none."""


@dataclass(frozen=True)
class PairConfig:
    """How an edit is measured.

    prompt: what it was asked to show; without, nothing is said of words. source_prompt: what the source shows, for
    frame accuracy and directional similarity. mask: a picture, video or folder; white is where the edit was to be, or
    with edit="outside" black. encoder: a model, or the folder of a CLIPModel, that measures in place of the package's
    own networks. ask, ask_model: a chat-completion endpoint, and a vision-language model there, which is shown frames
    and asked whether they show the words. preference: the folder of a CLIPModel such as PickScore's. lpips: that of an
    LPIPS, for what the mask leaves. max_frames: of both clips. on_damage: of either, fail, warn or repeat. device:
    auto, cpu, cuda or mps.
    Raises RequestError for a value that it has not.
    """

    prompt: str | None = None
    source_prompt: str | None = None
    mask: str | PathLike[str] | None = None
    edit: str = "inside"
    encoder: str | None = None
    ask: str | None = None
    ask_model: str = ""
    preference: str | None = None
    lpips: str | None = None
    max_frames: int | None = None
    on_damage: str = "fail"
    device: str = "auto"

    def __post_init__(self) -> None:
        known("side of a mask", self.edit, ("inside", "outside"))
        if any(words is not None and not words.strip() for words in (self.prompt, self.source_prompt)):
            raise RequestError("a prompt without words says nothing; leave it out, and nothing is measured of words")
        if self.source_prompt and not self.prompt:
            raise RequestError("a source prompt is compared with the words of the edit; give those too, by -p")
        if (self.ask or self.preference) and not self.prompt:
            raise RequestError("questions and preferences are about the words of the edit; give those too, by -p")
        if self.ask_model and not self.ask:
            raise RequestError(f"{self.ask_model} is a model at an endpoint; name that too, by --ask URL")
        if self.lpips and self.mask is None:
            raise RequestError("LPIPS is of what was to stay; give --mask too, a black one where all was")
        Window(max_frames=self.max_frames)

    @classmethod
    def asked(cls, **settings: object) -> "PairConfig":
        """From settings by name. Raises RequestError for one that there is not."""
        for name in settings:
            known("setting of a measurement", name, [each.name for each in fields(cls)])
        given: Any = settings
        return cls(**given)


@dataclass(frozen=True)
class PairScores:
    """One edit measured beside its source.

    source, edited: their names, empty for clips from memory. frames, size: how many were compared, and at which rows
    and columns. figures: by the names of METRICS, of the edit; `figures.source` are those of the source itself.
    notes: what readers should know of the comparison.
    """

    source: str
    edited: str
    frames: int
    size: Size
    figures: PairFigures
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        """A measure of the edit. Raises RequestError for one that was not taken."""
        return self.figures.edit[known("measure of this edit", name, self.figures.edit)]

    def to_json(self) -> dict[str, Any]:
        """Everything, in JSON's types."""
        measures = {
            name: {
                "edit": value,
                "source": self.figures.source.get(name),
                "by": self.figures.by.get(name),
                **{key: asdict(METRICS[name])[key] for key in ("unit", "better")},
            }
            for name, value in self.figures.edit.items()
        }
        about = {"source": self.source, "edited": self.edited, "frames": self.frames, "size": list(self.size)}
        return about | {"notes": list(self.notes), "measures": measures}


def evaluate(source: Media, edited: Media, *, watch: ProgressCallback = no_progress, **settings: object) -> PairScores:
    """Measures an edit beside its source: files, folders of pictures, or clips; any tool may have made them.

    settings: fields of `PairConfig`, such as prompt="a clay dog", source_prompt="a dog", mask="mask.png".
    Clips of different sizes are compared at the smaller of both, with a note. Raises ShapeError for different numbers
    of frames, RequestError, MediaError and WeightsError for what cannot be read.
    """
    config = PairConfig.asked(**settings)
    wish = config.on_damage
    first, second = (each if isinstance(each, Clip) else opened(each, wish) for each in (source, edited))
    size = min(first.size, second.size, key=lambda each: each[0] * each[1])
    window = Window(max_frames=config.max_frames, size=size)
    clips = [cut(each, window) if isinstance(each, Clip) else read(each, window) for each in (first, second)]
    counts = [len(each) for each in clips]
    if counts[0] != counts[1]:
        raise ShapeError(
            f"the source has {counts[0]} frames and the edit {counts[1]}, and they are compared one by one; make them "
            f"alike, or measure the first {min(counts)} with --max-frames {min(counts)}; {_name(edited)}"
        )
    encoders = _encoders(config)
    kept = None if config.mask is None else _kept(config, first.size, clips[0])
    pair = EditedPair(clips[0].frames, clips[1].frames, config.prompt, config.source_prompt, kept)
    figures = measured_pair(pair, encoders, lambda done, total: watch("measure", done, total))
    notes = tuple(_notes((first.size, second.size), pair, encoders))
    return PairScores(_name(source), _name(edited), counts[0], size, figures, notes)


def _encoders(config: PairConfig) -> PairEncoders:
    judge = EndpointJudge(ChatEndpoint(config.ask, config.ask_model)) if config.ask else None
    preference = ClipPair.opened(config.preference, chosen_device(config.device)) if config.preference else None
    lpips = PerceptualDistance.opened(config.lpips, chosen_device(config.device)) if config.lpips else None
    return replace(PairEncoders.opened(config.encoder, config.device), asked=judge, preference=preference, lpips=lpips)


def file_pairs(source: Path, edited: Path, mask: Path | None) -> list[tuple[Path, Path, Path | None]]:
    """Source, edit and mask of each edit in a folder, by name without ending; a mask of no folder serves all.

    Raises RequestError for edits without a source, and for names that stand twice; MediaError for no clips.
    """
    sources, edits = _by_stem(source), _by_stem(edited)
    alone = [name for name in edits if name not in sources]
    if alone:
        held = ", ".join(sources)
        raise RequestError(f"{edited} has {', '.join(alone)}, and {source} has no source of that name; it has {held}")
    masks = _by_stem(mask) if mask is not None and holds_clips(mask) else {}
    return [(sources[name], edits[name], masks.get(name) if masks else mask) for name in edits]


def holds_clips(path: Path) -> bool:
    """Whether it is a folder of clips, and no clip itself, as a folder of pictures is."""
    return path.is_dir() and not any(each.suffix.lower() in EXTENSIONS for each in path.iterdir() if each.is_file())


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise MediaError(f"edits are in a folder, so their sources are too; this is none: {folder}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() in BESIDE:
            continue
        name = path.name if path.is_dir() else path.stem
        if name in found:
            raise RequestError(f"{path.name} and {found[name].name} have one name; leave one of them; {folder}")
        found[name] = path
    if not found:
        raise MediaError(f"there is no clip in the folder {folder}")
    return found


def _kept(config: PairConfig, source_size: Size, clip: Clip) -> Bool[Tensor, "t h w"]:
    """Where the mask asks for no edit at all, at the clip's size: a pixel that it only touches may change."""
    assert config.mask is not None
    mask = Mask(Path(config.mask), source_size, inside=config.edit == "inside")
    planes = (plane[None, None] for plane in mask.frames(clip.first, len(clip)))
    at_size = [F.interpolate(each, clip.size, mode="bilinear", antialias=True) for each in planes]
    return torch.cat(at_size)[:, 0] <= 0


def _notes(sizes: tuple[Size, Size], pair: EditedPair, encoders: PairEncoders) -> Iterator[str]:
    if sizes[0] != sizes[1]:
        here, there = (f"{columns}x{rows}" for rows, columns in sizes)
        rows, columns = pair.source.shape[-2:]
        yield f"the source is {here} and the edit {there}: compared at {columns}x{rows}"
    if pair.kept is not None and not pair.kept.any():
        yield "the mask leaves no pixel that was to stay"
    strange = unknown(f"{pair.words or ''} {pair.source_words or ''}", encoders.pair.known_words)
    if strange:
        yield f"{encoders.pair.name} does not know {', '.join(strange)}; --encoder names a CLIPModel that does"


def _name(media: Media) -> str:
    return "" if isinstance(media, Clip) else str(media)
