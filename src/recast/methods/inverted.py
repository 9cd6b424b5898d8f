"""The clip taken up the noise levels, for methods that start from there, and a warning where it would not come back."""

import warnings
from collections.abc import Callable
from functools import partial
from math import hypot

import torch

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs, Denoiser
from recast.diffusion.inversion import Inversion, ddim_inversion, reconstruction_psnr
from recast.diffusion.schedule import finish
from recast.errors import RecastWarning, RequestError

LEAST_PSNR = 25.0
"""In dB. Image autoencoders reconstruct at 26 or so: below this, more is lost by inversion than by them."""


def inverted(
    inputs: DenoiseInputs,
    backbone: Backbone,
    denoise: Denoiser,
    sigmas: list[float],
    *,
    refinements: int = 0,
    invert: Callable[..., Inversion] | None = None,
) -> Inversion:
    """The clip's latents at each level, under `inputs.source`. Warns where the walk back would lose the source.

    invert: another way up than DDIM's, which is made anew `refinements` times a step. Calls
    `inputs.inversion_hook` after each step. Raises RequestError for inputs without a source.
    """
    if inputs.source is None:
        raise RequestError("inversion needs to know what the clip shows; say --source-prompt")
    # The walk back goes through `finish`, so the way up starts from what `finish` takes to the source.
    start = backbone.encode(inputs.clip.frames) * hypot(1, sigmas[-1])
    way = invert or partial(ddim_inversion, refinements=refinements)
    inversion = way(denoise, start, sigmas, inputs.source, step_hook=inputs.inversion_hook)
    psnr = inversion_psnr(inversion, backbone)
    if not psnr >= LEAST_PSNR:  # an inversion that diverged has no number
        refined = "a lower --strength" if invert else f"--set refinements={max(3, 2 * refinements)}"
        warnings.warn(
            f"the walk back from the inverted clip would give the source back at {psnr:.0f} dB only, by an estimate, "
            f"where {LEAST_PSNR:.0f} keeps it; try {refined} or more --steps",
            RecastWarning,
            stacklevel=2,
        )
    return inversion


def inversion_psnr(inversion: Inversion, backbone: Backbone) -> float:
    """How well inversion and the walk back reproduce the source, in dB over pixels, by `Inversion.error`.

    Of the frame that is missed most, beside that frame encoded and decoded: it costs two frames' decoding and no walk.
    """
    if not inversion.error.any():
        return reconstruction_psnr(inversion.error, inversion.error)
    worst = int(inversion.error.square().mean((1, 2, 3)).nan_to_num(torch.inf).argmax())
    pair = torch.stack([inversion.trajectory[-1][worst], inversion.reconstructed[worst]])
    # One by one: where frames share a latent, each is decoded as a clip's first, which gives one frame.
    source, reconstructed = (backbone.decode(each) for each in finish(pair, inversion.sigmas[-1]).split(1))
    return reconstruction_psnr(source, reconstructed, peak=255.0)
