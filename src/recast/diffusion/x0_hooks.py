"""Changes of the predicted clean latents (x0) before a step is taken: functions from a denoiser to a denoiser.

A walk that goes on from changed clean latents keeps the noise that fits them: (x - x0) / sigma is computed anew by
the sampler, as in MeDM (arXiv:2308.10079), ControlVideo (arXiv:2305.13077) and Rerender A Video (arXiv:2306.07954).
"""

from collections.abc import Callable
from math import inf

from jaxtyping import Float
from torch import Tensor

from recast.denoising import Denoiser
from recast.errors import RequestError
from recast.types import Condition, Latents, Maps

Change = Callable[[Latents], Latents]
"""Other clean latents for all frames of a pass."""
Statistics = Float[Tensor, "t c 1 1"]
Encode = Callable[[Float[Tensor, "t 3 h w"]], Latents]
Decode = Callable[[Latents], Float[Tensor, "t 3 h w"]]
"""`Backbone.encode_pixels` and `Backbone.decode_pixels`: pixels of -1..1."""


def changed(denoise: Denoiser, change: Change, within: tuple[float, float] = (0.0, inf)) -> Denoiser:
    """The denoiser with its answers changed at noise levels above the first of `within` and up to the second."""

    def changed_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
        clean = denoise(x, sigma, condition)
        return change(clean) if within[0] < sigma <= within[1] else clean

    return changed_denoise


def interval(sigmas: list[float], start: float, end: float) -> tuple[float, float]:
    """The noise levels of a share of a walk, as `changed` takes them: 0 and 1 are all of its steps.

    A step belongs to it whose upper level does; equal shares are no step.
    Raises RequestError for a start after the end.
    """
    if start > end:
        raise RequestError(
            f"a share of the walk starts at {start:g} and ends at {end:g}; it must not end before it starts"
        )
    steps = len(sigmas) - 1
    low, high = sigmas[round(end * steps)], sigmas[round(start * steps)]
    return low, high


def match_statistics(latents: Latents, reference: Float[Tensor, "#t c y x"]) -> Latents:
    """Each channel of each frame with the mean and the deviation of the reference's. AdaIN, arXiv:1703.06868, eq. 8.

    reference: one frame for all, or one for each.
    """
    mean, std = (part(latents) for part in (_mean, _deviation))
    return (latents - mean) / std * _deviation(reference) + _mean(reference)


def encode_compensated(pixels: Float[Tensor, "t 3 h w"], encode: Encode, decode: Decode) -> Latents:
    """Latents that decode to nearly these pixels: E(p) + (E(p) - E(D(E(p)))). arXiv:2306.07954, equation 8.

    What a round trip through the autoencoder loses is added beforehand, so that repeated trips fade less.
    """
    once = encode(pixels)
    return once + (once - encode(decode(once)))


def through_pixels(change: Callable[[Maps], Maps], encode: Encode, decode: Decode) -> Change:
    """A change of pixels of -1..1 as one of latents: z + E(change(D(z))) - E(D(z)).

    Only what the change makes passes through the autoencoder, so that its loss does not add up over steps: what changes
    nothing gives the same latents, bit for bit.
    """

    def changed_pixels(latents: Latents) -> Latents:
        pixels = decode(latents)
        return latents + (encode(change(pixels)) - encode(pixels))

    return changed_pixels


def _mean(latents: Latents) -> Statistics:
    return latents.mean(dim=(-2, -1), keepdim=True)


def _deviation(latents: Latents) -> Statistics:
    return (latents.var(dim=(-2, -1), keepdim=True, correction=0) + 1e-5).sqrt()
