"""`recast world`: a clip of a procedural world, with its true depth and masks."""

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.flags import Flag, Json, Overwrite, Quiet, flagged
from recast.editing.request import Request
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.types import Clip
    from recast.world import Footage

WISHES: dict[str, Flag] = {
    "environment": Flag(("--environment",), "WORD", about="Where it is, such as 'snowy field'."),
    "time": Flag(("--time",), "WORD", about="The hour, such as night."),
    "weather": Flag(("--weather",), "WORD", about="The weather, such as fog."),
    "look": Flag(("--look",), "WORD", about="How it is drawn, such as watercolor; plain is a photograph."),
    "kinds": Flag(("--subject",), "WORD", repeated=True, about="What moves in it, such as dog; the main one first."),
    "colours": Flag(("--colour",), "WORD", repeated=True, about="The subjects' colours, in their order."),
    "move": Flag(("--move",), "WORD", about="How the camera moves, such as orbit."),
}
"""What can be wished of a world, by `recast.world.sampled`'s names; the rest is drawn from the seed."""

Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="OUT", help="A video, or a name without ending for PNG files.")
]
Depth = Annotated[
    Path | None, typer.Option("--depth", metavar="OUT", help="Also write its inverse depth; white is near.")
]
Masks = Annotated[
    Path | None, typer.Option("--masks", metavar="OUT", help="Also write where its subjects are, in white.")
]


@flagged(*WISHES, among=WISHES)
def world(  # noqa: PLR0913 -- each is a flag
    output: Output,
    *,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Draws all that is not wished.")] = 0,
    frames: Annotated[int, typer.Option("--frames", min=1, max=256, help="How many frames.")] = 16,
    fps: Annotated[int, typer.Option("--fps", min=1, max=1000, help="Frames a second.")] = 10,
    size: Annotated[str, typer.Option("--size", metavar="WxH", help="Width and height in pixels.")] = "512x288",
    depth: Depth = None,
    masks: Masks = None,
    filmed: Annotated[bool, typer.Option("--filmed", help="As a camera films it: focus, exposure, noise.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    **wished: object,
) -> None:
    """Render a clip of a procedural world, to try edits on. A word that it does not know is answered with the known."""
    sides = Request.asked(size=size).size
    if not isinstance(sides, tuple):
        raise RequestError(f"size is {size!r}; it should be WIDTHxHEIGHT, such as 512x288")
    targets = {name: path for name, path in (("frames", output), ("depth", depth), ("masks", masks)) if path}

    from recast.editing.checks import check_target
    from recast.video.write import save_clip
    from recast.world import as_filmed, rendered, sampled

    for target in targets.values():
        check_target(Request.asked(target=target, overwrite=overwrite))
    scene = sampled(seed, **{name: value for name, value in wished.items() if value})
    footage = rendered(scene, frames, sides[1], sides[0], 1 / fps)
    clips = clips_of(as_filmed(footage) if filmed else footage, fps)
    for name, target in targets.items():
        save_clip(clips[name], target, overwrite=overwrite)
    if as_json:
        print(
            json.dumps({"outputs": {name: str(target) for name, target in targets.items()}, "caption": footage.caption})
        )
    elif not quiet:
        print(f"{output}: {frames} frames of {footage.caption}", file=sys.stderr)


def clips_of(footage: "Footage", fps: int) -> dict[str, "Clip"]:
    """What footage holds, each as a clip: its frames, its depth, white nearest, and its masks, white on any subject."""
    import torch
    from einops import rearrange, repeat

    from recast.types import Clip

    near = footage.inverse_depth - footage.inverse_depth.min()
    grey = {"depth": (255 * near / max(near.max(), 1e-6)).round(), "masks": 255 * (footage.masks > 0)}
    planes = {name: torch.from_numpy(plane).to(torch.uint8) for name, plane in grey.items()}
    frames = {"frames": rearrange(torch.from_numpy(footage.frames), "t h w c -> t c h w")}
    frames |= {name: repeat(plane, "t h w -> t c h w", c=3) for name, plane in planes.items()}
    return {name: Clip(clip, Fraction(fps)) for name, clip in frames.items()}
