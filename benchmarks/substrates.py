"""How near substrates come to real clips, and how fast: `python benchmarks/substrates.py CLIP[:KIND] ... --frames 40`.

A line for each clip: decibels over all pixels and of each layer, seconds of the processor, of the clock, and the rate
of fp32 products of this machine. --sheets DIR writes frames, reconstructions, errors and layers of each. --fields times
one step of descent on plain grids and the same on a hash grid (16 levels, as Instant-NGP), and fits nothing.
"""

import argparse
import time
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from recast.engine.precision import matrix_rates
from recast.substrates.found import fit_of
from recast.substrates.layers import Substrate
from recast.substrates.stored import as_image, picture_names
from recast.types import Maps
from recast.video.read import Window, opened, read
from recast.video.resize import working_size

LEVELS, ENTRIES, FEATURES = 16, 2**15, 2
PRIMES = torch.tensor([1, 2654435761, 805459861])


def main() -> None:
    """Parses the command line, fits each clip and prints its line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", help="a file, with :atlas or :canonical behind it")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--passes", type=int, default=40)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--fields", action="store_true")
    given = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, fp32 products {matrix_rates()['fp32'] / 1e9:.0f} GFLOP/s", flush=True)
    if given.fields:
        compare_fields()
    for named in given.clips:
        path, _, kind = named.partition(":")
        report(Path(path), kind or "canonical", given)


def report(path: Path, kind: str, given: argparse.Namespace) -> None:
    """Fits one clip, prints what came of it, and draws its sheet."""
    source = opened(path)
    size = working_size(source.size, given.size, 2)
    frames = read(source, Window(max_frames=given.frames, size=size)).frames
    used, began = time.process_time(), time.monotonic()
    fit = fit_of(frames, kind, passes=given.passes)
    made = fit.run()
    seconds = f"{time.process_time() - used:.0f} s of the processor, {time.monotonic() - began:.0f} s of the clock"
    errors = ", ".join(f"{each:.1f}" for each in made.error_db(fit.shown))
    print(
        f"{path.name} {kind} {len(frames)} frames {size[1]}x{size[0]}: dB all, layers {errors}; {seconds}", flush=True
    )
    if given.sheets:
        given.sheets.mkdir(parents=True, exist_ok=True)
        draw(made, fit.shown, given.sheets, f"{path.stem}-{kind}")


def draw(made: Substrate, shown: Maps, folder: Path, name: str) -> None:
    """Five frames, their reconstruction, four times the error, and the top layer's alpha; and the layers' pictures."""
    picks = torch.linspace(0, len(shown) - 1, 5).round().long()
    seen = made.rendered()
    rows = [shown, seen, 4 * (seen - shown).abs(), made.layers[-1].alpha.expand_as(shown)]
    sheet = torch.cat([torch.cat(list(row[picks]), dim=2) for row in rows], dim=1)
    Image.fromarray(as_image(sheet)).save(folder / f"{name}.png")
    for layer, part in zip(made.layers, picture_names(len(made.layers)), strict=True):
        Image.fromarray(as_image(layer.picture)).save(folder / f"{name}-{part}.png")


def compare_fields(frames: int = 4, size: tuple[int, int] = (192, 342)) -> None:
    """Times a forward and backward pass of the deformation of so many frames, by plain grids and by a hash grid."""
    grids = [torch.zeros(frames, 2, size[0] // step + 1, size[1] // step + 1, requires_grad=True) for step in (16, 4)]
    table = torch.zeros(LEVELS, ENTRIES, FEATURES, requires_grad=True)
    head = torch.nn.Sequential(torch.nn.Linear(LEVELS * FEATURES, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2))
    axes = [torch.linspace(0, 1, count) for count in (frames, *size)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)

    def plain() -> Tensor:
        resized = torch.nn.functional.interpolate
        return sum(resized(each, size, mode="bilinear", align_corners=True).square().mean() for each in grids)

    def hashed() -> Tensor:
        return head(encoded(points, table)).square().mean()

    for name, step in (("plain grids", plain), ("hash grid", hashed)):
        step().backward()
        used = time.process_time()
        for _ in range(2):
            step().backward()
        print(f"{name}: {(time.process_time() - used) / 2 / frames * 1000:.0f} ms of the processor a frame", flush=True)


def encoded(points: Float[Tensor, "n 3"], table: Float[Tensor, "l e f"]) -> Float[Tensor, "n d"]:
    """Features of points of the unit cube by a multi-resolution hash grid (arXiv:2201.05989, section 3)."""
    features = []
    for level, entries in enumerate(table):
        scaled = points * (16 * 1.38**level)
        low = scaled.floor()
        near, total = scaled - low, 0
        for corner in torch.cartesian_prod(*[torch.arange(2)] * 3):
            keys = (low.long() + corner) * PRIMES
            index = (keys[:, 0] ^ keys[:, 1] ^ keys[:, 2]) % len(entries)
            weight = torch.where(corner > 0, near, 1 - near).prod(dim=1, keepdim=True)
            total = total + weight * entries[index]
        features.append(total)
    return torch.cat(features, dim=1)


if __name__ == "__main__":
    main()
