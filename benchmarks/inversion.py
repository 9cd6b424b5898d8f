"""What inversion and the walk back lose: `python benchmarks/inversion.py --model pocket-words --worlds 8 --steps 50`.

For each world, PSNR of the decoded result against what the autoencoder alone makes of the clip: without guidance, and,
for the first --guided worlds, at --guidance as plain DDIM and with fitted null tokens (null-text inversion), which
takes most of the time. Prints a row of JSON for each, then means with intervals.
"""

import argparse
import json

import numpy as np
import torch

from recast.conditions.content import ContentInput, Medium
from recast.diffusion.guidance import guided
from recast.diffusion.inversion import ddim_inversion, reconstruction_psnr
from recast.diffusion.null_text import null_text_inversion, with_null_text
from recast.diffusion.samplers import ddim
from recast.editing.loaded import Model
from recast.evaluation.cases.worlds import case
from recast.evaluation.intervals import mean
from recast.evaluation.trials import FPS, frames_of
from recast.types import Clip, Condition


def measured(number: int, model: Model, frames: int, steps: int, scale: float | None) -> dict[str, float]:
    """PSNR of each way back, in dB; without guidance alone where there is no scale."""
    backbone, shown = model.backbone, case(number, model.backbone.short_side, frames)
    clip = Clip(frames_of(shown.source), FPS)
    tokens = backbone.encode_content([ContentInput(Medium.WORDS, shown.source_words)])
    channels = backbone.structure_channels(model.extractor("depth")(clip))
    condition = Condition(tokens, backbone.null_tokens(), channels, torch.arange(frames))
    clean, sigmas = backbone.encode(clip.frames), backbone.sigmas(steps)
    plain = guided(backbone.denoise_branches, 1.0)
    inversion = ddim_inversion(plain, clean, sigmas, condition)
    ways = {"unguided": plain}
    if scale is not None:
        strong = guided(backbone.denoise_branches, scale)
        fitted = null_text_inversion(strong, inversion, condition)
        ways |= {f"guided {scale:g}": strong, "null-text": with_null_text(strong, fitted)}
    decoded = backbone.decode(clean)
    return {
        name: reconstruction_psnr(
            decoded, backbone.decode(ddim(way, inversion.trajectory[0], sigmas, condition)), peak=255
        )
        for name, way in ways.items()
    }


def main() -> None:
    """Prints the rows, then the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pocket-words")
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument("--guided", type=int, default=8, help="worlds that are walked back with guidance too")
    asked = parser.parse_args()
    model, rows = Model.loaded(asked.model), []
    for number in range(asked.first, asked.first + asked.worlds):
        scale = asked.guidance if number < asked.first + asked.guided else None
        rows.append(measured(number, model, asked.frames, asked.steps, scale))
        print(json.dumps({"world": number} | {name: round(value, 2) for name, value in rows[-1].items()}), flush=True)
    for name in rows[0]:
        print(name, mean([row[name] for row in rows if name in row], np.random.default_rng(0)))


if __name__ == "__main__":
    main()
