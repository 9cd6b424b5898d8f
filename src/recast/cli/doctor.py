"""`recast doctor`: reports what is installed, what is missing, and whether an edit works."""

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from recast.cli.flags import FLAGS, Json
from recast.cli.table import tell
from recast.editing.request import Request
from recast.errors import RecastError

PACKAGES = ("torch", "diffusers", "transformers", "safetensors", "av", "opencv-python-headless", "numpy", "pydantic")
ENCODERS = ("libx264", "libx265", "libvpx-vp9", "libsvtav1", "mpeg4", "prores_ks", "gif", "aac", "libopus")
SELF_TEST_FRAMES, SELF_TEST_SIDE = 4, 64


def doctor(
    model: Annotated[str, typer.Option(*FLAGS["model"].names, metavar=FLAGS["model"].metavar)] = "pocket",
    *,
    as_json: Json = False,
) -> None:
    """Report versions, device, codecs and model, and try a small edit; exit code 1 where something is wrong."""
    packages = _packages()
    checks = {"model": lambda: _model(model), "edit": lambda: _self_test(model)}
    found: dict[str, object] = {"system": _system(), "packages": packages, "device": _device()}
    found |= {"training": _training(), "encoders": _encoders()}
    outcomes = {name: _outcome(check) for name, check in checks.items()}
    healthy = all(good for good, _ in outcomes.values()) and all(packages.values())
    found |= {name: ("" if good else "FAILED: ") + message for name, (good, message) in outcomes.items()}
    if as_json:
        print(json.dumps(found | {"healthy": healthy}))
    else:
        tell(found)
        print("\nall is well" if healthy else "\nsomething is wrong; see above")
    if not healthy:
        raise typer.Exit(1)


def _outcome(check: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, check()
    except RecastError as error:
        return False, " ".join(str(error).split())


def _system() -> dict[str, str]:
    return {"recast": version("recast-video"), "python": platform.python_version(), "os": platform.platform(terse=True)}


def _packages() -> dict[str, str | None]:
    def here(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return {name: here(name) for name in PACKAGES}


def _device() -> dict[str, object]:
    import torch

    from recast.engine.device import chosen_device

    chosen = chosen_device("auto")
    name = torch.cuda.get_device_name() if chosen.type == "cuda" else platform.processor() or platform.machine()
    return {"chosen": str(chosen), "name": name, "threads": torch.get_num_threads(), "cores": os.cpu_count()}


def _training() -> dict[str, object]:
    """How fast large matrix products are here, and the precision that training and caches take for it."""
    from recast.engine.device import chosen_device
    from recast.engine.precision import chosen_precision, matrix_rates

    rates = matrix_rates(chosen_device("auto").type)
    shown_rates = {f"{name} GFLOP/s": float(f"{rate / 1e9:.3g}") for name, rate in rates.items()}
    return {"precision": chosen_precision(rates), **shown_rates}


def _encoders() -> list[str]:
    import av

    return [name for name in ENCODERS if name in av.codecs_available]


def _model(name: str) -> str:
    from recast.editing.record import digest
    from recast.model.folder import ModelFolder

    folder = ModelFolder.found(name)
    return f"{name} is whole, sha256 {digest(folder.path)[:16]}"


def _self_test(name: str) -> str:
    from recast.editing.edit import edit
    from recast.editing.loaded import Model
    from recast.video.read import opened

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source", Path(folder) / "edited.mp4"
        _draw(source)
        request = Request.asked(source=source, target=target, prompt="a red ball", steps=2, model=name)
        edit(request, Model.loaded(name))
        frames = opened(target).num_frames
    took = f"{frames} of {SELF_TEST_FRAMES} frames in {time.monotonic() - began:.1f} s"
    if frames != SELF_TEST_FRAMES:
        raise RecastError(f"the self-test wrote {took}")
    return took


def _draw(folder: Path) -> None:
    from PIL import Image, ImageDraw

    folder.mkdir()
    for index in range(SELF_TEST_FRAMES):
        picture = Image.new("RGB", (SELF_TEST_SIDE, SELF_TEST_SIDE), "skyblue")
        ImageDraw.Draw(picture).ellipse((8 + 4 * index, 20, 32 + 4 * index, 44), fill="tomato")
        picture.save(folder / f"{index:02d}.png")
