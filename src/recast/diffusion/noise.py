"""Noise that frames share in part, for walks to start from.

Every start here has unit variance in each element, so latents have the noise level that the network expects, except
where frequencies are mixed. Frames are known by their index in the source: windows and stretches of a clip agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import hypot

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from recast.denoising import DenoiseInputs
from recast.errors import RequestError
from recast.types import Latents

NoiseDraw = Callable[[Sequence[int], int], Latents]
"""Standard normal noise of frames by their index in the source; another for each number."""
Warp = Callable[[Float[Tensor, "c y x"], int], tuple[Float[Tensor, "c y x"], Bool[Tensor, "1 y x"]]]
"""Noise of the frame before carried to a frame, by its place in the clip, and where something was carried to."""
SHARED = -1
"""The number of the noise that all frames share."""


def noise_draw(inputs: DenoiseInputs, like: Latents) -> NoiseDraw:
    """The noise of an edit's frames, as `DenoiseInputs.noise` draws it, for any frames of the source."""
    lone = replace(
        inputs,
        clip=replace(inputs.clip, frames=inputs.clip.frames[:1]),
        condition=inputs.condition.at(torch.zeros(1, dtype=torch.long)),
        source=None,
    )

    def draw(frames: Sequence[int], number: int) -> Latents:
        alone = [replace(lone, clip=replace(lone.clip, first=each)) for each in frames]
        return torch.cat([each.noise(like[:1], number) for each in alone])

    return draw


def shared_noise(draw: NoiseDraw, frames: Sequence[int]) -> Latents:
    """One noise for all frames."""
    return draw([0], SHARED).expand(len(frames), -1, -1, -1)


def mixed_noise(draw: NoiseDraw, frames: Sequence[int], alpha: float = 1.0) -> Latents:
    """A part that all frames share and a part of each frame's own. PYoCo, arXiv:2305.10474, equation 5.

    alpha: 0 is noise of its own, more is more alike: the covariance of two frames is alpha^2 / (1 + alpha^2).
    """
    share = share_of(alpha)
    return share * shared_noise(draw, frames) + (1 - share**2) ** 0.5 * draw(frames, 0)


def progressive_noise(draw: NoiseDraw, frames: Sequence[int], alpha: float = 2.0) -> Latents:
    """A part of the frame before's noise and a part of its own. PYoCo, equation 6.

    The covariance of frames n apart is (alpha^2 / (1 + alpha^2))^(n / 2). It begins at frame 0 of the source, so that
    any stretch agrees with the whole: a late stretch draws the noise of every frame before it.
    """
    share, wanted = share_of(alpha), set(frames)
    made, current = {}, torch.zeros(())
    for frame in range(max(frames) + 1):
        fresh = draw([frame], 0)[0]
        current = share * current + (1 - share**2) ** 0.5 * fresh if frame else fresh
        if frame in wanted:
            made[frame] = current
    return torch.stack([made[frame] for frame in frames])


def residual_noise(own: Latents, changed: Bool[Tensor, "t 1 y x"]) -> Latents:
    """Each frame's own noise where it changed, and the frame before's where it did not. Control-A-Video, 2305.13840.

    changed: the first frame's is not read; see `changed_places`.
    """
    noise = [own[0]]
    for fresh, moved in zip(own[1:], changed[1:], strict=True):
        noise.append(torch.where(moved, fresh, noise[-1]))
    return torch.stack(noise)


def changed_places(
    pixels: Float[Tensor, "t 3 h w"], size: tuple[int, int], threshold: float = 0.1
) -> Bool[Tensor, "t 1 y x"]:
    """Where a frame differs from the one before by at least `threshold`, at the latents' size; everywhere in the first.

    pixels: 0..1. The difference is the mean over colours and over the pixels of a latent. The published code has .1 of
    pixels of -1..1 before they are shrunk.
    """
    apart = (pixels[1:] - pixels[:-1]).abs().mean(1, keepdim=True)
    small = torch.nn.functional.adaptive_avg_pool2d(apart, size)
    return torch.cat([torch.ones(1, 1, *size, dtype=torch.bool, device=pixels.device), small >= threshold])


def warped_noise(own: Latents, warp: Warp) -> Latents:
    """The frame before's noise carried along, and the frame's own where nothing was carried to.

    warp: by the nearest place. Means of several places would have less than unit variance.
    """
    noise = [own[0]]
    for index, fresh in enumerate(own[1:], start=1):
        carried, covered = warp(noise[-1], index)
        noise.append(torch.where(covered, carried, fresh))
    return torch.stack(noise)


def shuffled_frames(count: int, window: int, stride: int, seed: int) -> list[int]:
    """For each frame of a source the frame whose noise it takes: FreeNoise, arXiv:2310.15169, section 3.3.

    The first `window` frames have noise of their own. Each stretch of `stride` frames that follows takes that of the
    stretch a window before it, shuffled: every window that begins at a multiple of `stride` has the same noises.
    Raises RequestError for a stride that does not divide the window.
    """
    if not 0 < stride <= window or window % stride:
        raise RequestError(f"a stride of {stride} frames does not divide a window of {window}; choose one that does")
    frames = list(range(window))
    while len(frames) < count:
        rng = torch.Generator().manual_seed((seed * 1_000_003 + len(frames)) % 2**63)
        before = frames[len(frames) - window :][:stride]
        frames += [before[index] for index in torch.randperm(stride, generator=rng).tolist()]
    return frames[:count]


def shuffled_noise(draw: NoiseDraw, frames: Sequence[int], window: int, stride: int, seed: int) -> Latents:
    """Noise of a window repeated in other orders, so that windows far apart agree; see `shuffled_frames`."""
    taken = shuffled_frames(max(frames) + 1, window, stride, seed)
    return draw([taken[frame] for frame in frames], 0)


def gaussian_low_pass(shape: Sequence[int], stop: float = 0.25, stop_time: float = 0.25) -> Float[Tensor, "t y x"]:
    """FreeInit's Gaussian filter over frequencies of frames, rows and columns, in the order of `fftn`.

    stop: the share of the highest frequency at which it has fallen to exp(-1/2), along rows and columns; stop_time:
    along frames. 0 lets nothing through.
    """
    return torch.exp(-_distance(shape, stop, stop_time).square() / 2)


def butterworth_low_pass(
    shape: Sequence[int], order: int = 4, stop: float = 0.25, stop_time: float = 0.25
) -> Float[Tensor, "t y x"]:
    """FreeInit's Butterworth filter, one half at the stop frequency; otherwise as `gaussian_low_pass`."""
    return 1 / (1 + _distance(shape, stop, stop_time) ** (2 * order))


def frequency_mixed(low: Latents, high: Latents, low_pass: Float[Tensor, "t y x"]) -> Latents:
    """The low frequencies of one noise and the high ones of another. FreeInit, arXiv:2312.07537, equation 8.

    Of independent noises the variance is the mean over frequencies of f^2 + (1 - f)^2 with f the filter.
    """
    weights = rearrange(low_pass, "t y x -> t 1 y x").to(low)
    axes = (0, 2, 3)
    mixed = weights * torch.fft.fftn(low.float(), dim=axes) + (1 - weights) * torch.fft.fftn(high.float(), dim=axes)
    return torch.fft.ifftn(mixed, dim=axes).real.to(low)


def share_of(alpha: float) -> float:
    """The weight of what is shared; its square and that of what is not sum to 1."""
    if alpha < 0:
        raise RequestError(f"alpha of shared noise is {alpha:g}; 0 shares nothing, and more shares more")
    return alpha / hypot(1, alpha)


def _distance(shape: Sequence[int], stop: float, stop_time: float) -> Float[Tensor, "t y x"]:
    """Of each frequency from 0, in units of the stop frequencies; infinite where one of these is 0."""
    assert len(shape) == 3, "frames, rows and columns"
    axes = [2 * torch.fft.fftfreq(count).abs() for count in shape]
    time, rows, columns = torch.meshgrid(*axes, indexing="ij")
    if not stop or not stop_time:
        return torch.full_like(time, torch.inf)
    return ((time / stop_time).square() + (rows / stop).square() + (columns / stop).square()).sqrt()
