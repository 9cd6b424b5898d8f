"""A fitted substrate in a folder, whole or not at all, and a fit that was stopped, which goes on from there."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from einops import rearrange
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from recast.files import disk_told, run_lock, whole_file, whole_folder
from recast.progress import Report, unreported
from recast.substrates.descent import State
from recast.substrates.fit import Fit
from recast.substrates.layers import Canvas, Layer, Substrate, as_pixels

FORMAT = 2
"""Of the folder, and of what the fit comes to; another one is fitted anew."""
LAYERS, ABOUT, STATE = "layers.safetensors", "about.json", "fit.safetensors"
KEEP_SECONDS = 20.0
NAMES = ("background", "foreground")


def picture_names(count: int) -> tuple[str, ...]:
    """What the pictures of so many layers are called, without their ending."""
    return NAMES[:count] if count > 1 else ("canonical",)


def fitted_in(folder: Path, fit_of_clip: Callable[[], Fit], report: Report = unreported) -> Substrate:
    """The substrate in `folder`; where none is there it is fitted, and kept there with its pictures as PNG files.

    A fit that is cancelled, or killed, goes on from what it had kept, at most a while before. Raises RequestError where
    another run is fitting there, WriteError for a full disk.
    """
    held = _read(folder / LAYERS)
    if held is not None and (folder / ABOUT).is_file():
        return _substrate(held, json.loads((folder / ABOUT).read_text("utf-8")))
    work = folder.with_name(f"{folder.name}.fit")
    with disk_told(folder):
        work.mkdir(parents=True, exist_ok=True)
        with run_lock(work):
            fit = fit_of_clip()
            made = fit.run(report, _Keeper(work / STATE).keep, _read(work / STATE))
            with whole_folder(folder) as part:
                _write(part, made, fit)
        shutil.rmtree(work, ignore_errors=True)
    return made


class _Keeper:
    """Writes the state of a fit now and then, and when it is told that the fit stops."""

    def __init__(self, path: Path) -> None:
        self._path, self._last = path, time.monotonic()

    def keep(self, state: State, *, ending: bool = False) -> None:
        if ending or time.monotonic() - self._last >= KEEP_SECONDS:
            with whole_file(self._path) as part:
                save_file({name: value.contiguous() for name, value in state.items()}, part)
            self._last = time.monotonic()


def _write(folder: Path, made: Substrate, fit: Fit) -> None:
    tensors = {}
    for number, layer in enumerate(made.layers):
        parts = {"picture": layer.picture, "places": layer.places, "alpha": layer.alpha}
        tensors |= {f"{name}.{number}": value.contiguous() for name, value in parts.items()}
    save_file(tensors, folder / LAYERS)
    for name, layer in zip(picture_names(len(made.layers)), made.layers, strict=True):
        Image.fromarray(as_image(layer.picture)).save(folder / f"{name}.png")
    errors = [round(each, 2) for each in made.error_db(fit.shown)]
    about = {"layers": len(made.layers), "reference": made.reference, "frames": len(made), "psnr_db": errors}
    (folder / ABOUT).write_text(json.dumps(about), "utf-8")


def as_image(picture: Canvas) -> np.ndarray:
    """A picture of colours 0..1 as 8-bit numbers [h w 3]."""
    return rearrange(as_pixels(picture), "c h w -> h w c").numpy()


def _read(path: Path) -> State | None:
    """Tensors of a file; None where it is not there or damaged, for then they are made anew."""
    try:
        return load_file(path) if path.is_file() else None
    except (OSError, ValueError, SafetensorError):
        return None


def _substrate(held: State, about: dict[str, int]) -> Substrate:
    layers = [
        Layer(held[f"picture.{number}"], held[f"places.{number}"], held[f"alpha.{number}"])
        for number in range(about["layers"])
    ]
    return Substrate(tuple(layers), about["reference"])
