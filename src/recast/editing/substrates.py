"""A clip in a file as its substrate: fitted once and kept beside the file, edited, and rendered back."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from recast.conditions.image import picture
from recast.conditions.warping import Shares
from recast.editing.mask import Mask
from recast.editing.progress import no_progress
from recast.editing.record import Record, digest
from recast.errors import RequestError, ShapeError, known
from recast.progress import ProgressCallback
from recast.substrates.between import at_size
from recast.substrates.carriers import CARRIERS, SHAPE, CarrierInputs
from recast.substrates.found import SUBSTRATES, fit_of
from recast.substrates.keys import EditedKey, keyed
from recast.substrates.layers import Substrate
from recast.substrates.painted import repainted
from recast.substrates.stored import FORMAT, fitted_in, picture_names
from recast.types import Frames
from recast.video.encode import kind_of
from recast.video.output import check_free, is_folder
from recast.video.read import Source, Window, frames, opened, read
from recast.video.resize import resized, working_size
from recast.video.write import writing

SHORT_SIDE = 192
"""Short side in pixels at which a clip is fitted, and flow and patches are found."""
PASSES = 40
Image = UInt8[Tensor, "3 h w"]


@dataclass(frozen=True)
class SubstrateRequest:
    """How a clip is fitted. mask: of the foreground of an atlas. cache: the folder to keep fits in; beside the clip."""

    source: Path
    mask: Path | None = None
    short_side: int = SHORT_SIDE
    passes: int = PASSES
    cache: Path | None = None

    def folder(self, kind: str) -> Path:
        """Where this clip's substrate of a kind is kept: named by what it is made of."""
        about = [FORMAT, kind, self.short_side, self.passes, digest(self.source), self.mask and digest(self.mask)]
        name = f"{kind}-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}"
        beside = self.source.with_name(f"{self.source.name}.substrates") if self.cache is None else self.cache
        return beside / name


@dataclass(frozen=True, eq=False)
class FittedClip:
    """A clip in a file with what is fitted to it when it is asked for."""

    request: SubstrateRequest
    watch: ProgressCallback = no_progress
    source: Source = field(init=False)
    small: Frames = field(init=False)

    def __post_init__(self) -> None:
        source = opened(self.request.source)
        size = working_size(source.size, self.request.short_side, 2)
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "small", read(source, Window(size=size)).frames)

    def substrate(self, kind: str) -> Substrate:
        """The clip's canonical image or atlas. Raises RequestError where there is none to find, or no place for it."""
        known("substrate", kind, SUBSTRATES)
        folder, mask = self.request.folder(kind), self._mask() if kind == "atlas" else None
        try:
            return fitted_in(
                folder,
                lambda: fit_of(self.small, kind, mask, self.request.passes),
                lambda done, total: self.watch("fit", done, total),
            )
        except PermissionError as error:
            raise RequestError(f"a fit cannot be kept in {folder.parent}; name a folder with --cache") from error

    def _mask(self) -> Shares | None:
        if self.request.mask is None:
            return None
        planes = Mask(self.request.mask, self.source.size).frames(0, len(self.small))
        return torch.cat([at_size(plane[None, None], self.small.shape[-2:]) for plane in planes])

    def written(self, target: Path, made: Iterator[Image], record: Record, *, overwrite: bool) -> tuple[str, ...]:
        """Writes frames with the clip's size, times and sound; returns what could not be kept."""
        with writing(target, self.source, Window(), record=record.to_json(), overwrite=overwrite) as writer:
            for number, (image, like) in enumerate(zip(made, frames(self.source, Window()), strict=True)):
                self.watch("write", number, len(self.small))
                writer.add(image, like)
            self.watch("write", len(self.small), len(self.small))
            return writer.notes


def propagate(
    request: SubstrateRequest | Path | str,
    keys: Mapping[int, Path | str],
    target: Path | str,
    *,
    by: str = "flow",
    shapes: Mapping[int, Path | str] | None = None,
    watch: ProgressCallback = no_progress,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Carries edited frames through a clip and writes it, with its size, times and sound. by: of CARRIERS.

    request: a clip's file, or a request that also says how it is fitted. keys: pictures of the clip's frames as they
    were edited, by the frames' numbers from 0 on. shapes: of `by="shape"`, pictures that are white where the subject is
    in an edited frame. Returns what could not be kept. Raises RequestError for a frame that is not there, and for the
    shape of a frame that is none of the keys; ShapeError for a picture of another aspect.
    """
    known("way to carry keyframes", by, CARRIERS)
    request = request if isinstance(request, SubstrateRequest) else SubstrateRequest(Path(request))
    target, keys = Path(target), {number: Path(each) for number, each in keys.items()}
    _check_target(target, overwrite=overwrite)
    if not keys:
        raise RequestError("there is no edited keyframe to carry; give one with --key FRAME=PICTURE")
    clip = FittedClip(request, watch)
    beyond = [key for key in keys if not 0 <= key < len(clip.small)]
    if beyond:
        raise RequestError(f"there is no frame {beyond[0]}: the clip has {len(clip.small)}, counted from 0")
    pictures = {key: _fitting(picture(str(path)), clip.source.size, path) for key, path in keys.items()}
    subjects = _subjects({number: Path(each) for number, each in (shapes or {}).items()}, pictures, by)
    wholes = frames(clip.source, Window())
    edited = {n: EditedKey(each.pixels, pictures[n]) for n, each in enumerate(wholes) if n in pictures}
    carrier = CARRIERS[by](CarrierInputs(clip.small, clip.substrate, subjects))
    made = (keyed(each.pixels, n, edited, carrier) for n, each in enumerate(frames(clip.source, Window())))
    asked = {"command": "propagate", "by": by, "keys": {str(key): str(path) for key, path in keys.items()}}
    if shapes:
        asked["shapes"] = {str(key): str(path) for key, path in shapes.items()}
    read_files = [*keys.values(), *map(Path, (shapes or {}).values())]
    return clip.written(target, made, _record(request, asked, read_files), overwrite=overwrite)


def render(
    request: SubstrateRequest,
    edited: Mapping[str, Path],
    target: Path,
    *,
    by: str = "canonical",
    watch: ProgressCallback = no_progress,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Renders a clip whose canonical image, or whose atlas's layers, were edited, and writes it as `propagate` does.

    edited: pictures by the names of layers: canonical, background, foreground. Raises RequestError for another name.
    """
    _check_target(target, overwrite=overwrite)
    clip = FittedClip(request, watch)
    substrate = clip.substrate(by)
    names = picture_names(len(substrate.layers))
    for name in edited:
        known("layer", name, names)
    canvases = [_canvas(name, substrate, index, edited) for index, name in enumerate(names)]
    wholes = enumerate(frames(clip.source, Window()))
    made = (repainted(each.pixels, number, substrate, canvases) for number, each in wholes)
    asked = {"command": "substrate render", "by": by, "edited": {name: str(path) for name, path in edited.items()}}
    return clip.written(target, made, _record(request, asked, [*edited.values()]), overwrite=overwrite)


def _check_target(target: Path, *, overwrite: bool) -> None:
    """Before there is slow work. Raises RequestError for a target that is there, or of an unknown kind."""
    if not is_folder(target):
        kind_of(target)
        check_free(target, overwrite)


def _canvas(name: str, substrate: Substrate, index: int, edited: Mapping[str, Path]) -> Image | None:
    if name not in edited:
        return None
    rows, columns = substrate.layers[index].picture.shape[-2:]
    return _fitting(picture(str(edited[name])), (rows, columns), edited[name], larger=True)


def _subjects(shapes: Mapping[int, Path], keys: Mapping[int, Image], by: str) -> dict[int, Float[Tensor, "1 1 h w"]]:
    """Where the subject is in keyframes, 0..1."""
    if shapes and by != SHAPE:
        raise RequestError(f"--shape says where a subject is for --by {SHAPE}, and this goes by {by}; leave it out")
    beside = sorted(shapes.keys() - keys.keys())
    if beside:
        raise RequestError(f"frame {beside[0]} has a shape and was not edited; give it with --key too")
    size = {key: (image.shape[-2], image.shape[-1]) for key, image in keys.items()}
    planes = {key: _fitting(picture(str(path)), size[key], path) for key, path in shapes.items()}
    return {key: (plane[None].float() / 255).mean(dim=1, keepdim=True) for key, plane in planes.items()}


def _fitting(image: Image, size: tuple[int, int], path: Path, *, larger: bool = False) -> Image:
    """The picture at a size; with `larger`, a picture of more pixels keeps them."""
    rows, columns = image.shape[-2:]
    if abs(columns * size[0] / rows - size[1]) > max(2, size[0] / rows):
        raise ShapeError(f"the picture is {columns}x{rows} and goes with {size[1]}x{size[0]}; keep its aspect: {path}")
    return image if larger and rows >= size[0] else resized(image[None], size)[0]


def _record(request: SubstrateRequest, asked: Mapping[str, object], pictures: list[Path]) -> Record:
    given = {"source": str(request.source), "mask": request.mask and str(request.mask)}
    read_files = [each for each in (request.source, request.mask, *pictures) if each is not None]
    worked = {"short_side": request.short_side, "passes": request.passes}
    inputs = {str(path): digest(path) for path in read_files}
    return Record(version("recast-video"), {**asked, **given}, {}, inputs, worked)
