"""Fidelity of a model's components: reconstruction by its autoencoder, and estimated depth."""

from fractions import Fraction
from math import log10
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recast.conditions import EXTRACTORS
from recast.conditions.depth import normalized
from recast.conditions.image import picture
from recast.editing.loaded import Model
from recast.types import Clip, Frames, Maps
from recast.video.read import Window, opened, read
from recast.video.resize import resized, working_size

FRAMES = 8
"""Frames that are looked at of a clip, and of a sequence with masks."""
PSNR_SIDE = 128
"""Short side of the pictures that go through an autoencoder, in px, whatever a model works at: larger are easier."""
BAND = 0.5
"""How wide a subject's surroundings are, as a share of the side of a square as large as the subject."""


def psnr(frames: Frames, others: Frames, where: Bool[Tensor, "t h w"] | None = None) -> float:
    """Peak signal-to-noise ratio in dB, of the error over all frames, or of the pixels of `where`; 99 for equal ones.

    There must be some such pixel.
    """
    # A frame at a time, for a clip in double precision takes 24 bytes a pixel.
    pairs = zip(frames, others, strict=True)
    squared = torch.stack([(one.double() - other.double()).square().mean(dim=0) for one, other in pairs])
    error = float((squared if where is None else squared[where]).mean()) / 255**2
    return min(99.0, -10 * log10(error)) if error else 99.0


def correlation(maps: Maps, others: Maps) -> float:
    """Pearson's, over all frames and pixels; 0 where one of them is constant."""
    x, y = (each.double() - each.double().mean() for each in (maps, others))
    length = float(x.norm() * y.norm())
    return float((x * y).sum()) / length if length else 0.0


def nearness(depth: Float[Tensor, "h w"], subject: Bool[Tensor, "h w"], rest: Bool[Tensor, "h w"]) -> float:
    """The chance that a pixel of the subject is nearer than one of the rest: area under the ROC curve, ties half."""
    inside, outside = depth[subject].contiguous(), depth[rest].sort().values
    below = torch.searchsorted(outside, inside)
    below_or_same = torch.searchsorted(outside, inside, right=True)
    return float((below + below_or_same).double().mean()) / 2 / len(outside)


def surroundings(subject: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """A band around the subject, half as wide as a square of its area, down to its lowest pixel.

    What lies before the feet of a standing thing is nearer than it, by rights.
    """
    reach = max(1, round(BAND * float(subject.sum()) ** 0.5))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    band = torch.from_numpy(cv2.dilate(subject.numpy().astype(np.uint8), kernel) > 0) & ~subject
    band[int(subject.any(dim=1).nonzero().max()) + 1 :] = False
    return band


def autoencoded(clip: Clip, model: Model) -> dict[str, float]:
    """PSNR of the clip through the model's autoencoder."""
    return {"psnr": psnr(clip.frames, model.backbone.decode(model.backbone.encode(clip.frames)))}


def depth_seen(clip: Clip, inverse_depth: Maps, model: Model) -> dict[str, float]:
    """Correlation of the clip's depth, as an edit is conditioned on it, with the truth brought to 0..1 the same way."""
    seen = EXTRACTORS["depth"](model.folder, model.device)(clip)
    return {"depth": correlation(seen.maps, normalized(inverse_depth))}


def small_clip(path: Path, multiple: int) -> Clip:
    """The first frames of a file, at the size for PSNR, with sides that are multiples of so many px."""
    source = opened(path)
    size = working_size(source.size, PSNR_SIDE, multiple)
    return read(source, Window(max_frames=FRAMES, size=size))


def masked(folder: Path, model: Model) -> dict[str, float]:
    """How surely the depth estimator sees the subject nearer, over frames spread through images/ with masks/.

    The sequence is looked at as an edit would, whole. A frame whose mask is empty, or all of it, is passed over; none
    left gives no figure.
    """
    masks = {path.stem: path for path in (folder / "masks").iterdir()}
    images = [path for path in sorted((folder / "images").iterdir()) if path.stem in masks]
    if not images:
        return {}
    multiple, short = model.backbone.pixel_multiple, model.folder.metadata.short_side
    rows, columns = picture(str(images[0])).shape[-2:]
    size = working_size((rows, columns), short, multiple)
    frames = torch.cat([resized(picture(str(path))[None], size) for path in images])
    maps = EXTRACTORS["depth"](model.folder, model.device)(Clip(frames, fps=Fraction(25))).maps
    spread = np.linspace(0, len(images) - 1, min(FRAMES, len(images))).round().astype(int)
    seen = [_subject_seen(maps[i, 0], picture(str(masks[images[i].stem]))) for i in spread]
    found = [each for each in seen if each]
    return {name: float(np.mean([each[name] for each in found])) for name in ("nearer", "nearest") if found}


def _subject_seen(depth: Float[Tensor, "h w"], mask: Tensor) -> dict[str, float]:
    white = (mask.amax(dim=0, keepdim=True) > 0).to(torch.uint8).mul(255).expand(3, -1, -1)
    subject = resized(white[None], (len(depth), depth.shape[1]))[0, 0] > 127
    if not 0 < int(subject.sum()) < subject.numel():
        return {}
    return {"nearer": nearness(depth, subject, surroundings(subject)), "nearest": nearness(depth, subject, ~subject)}
