"""Walks of clips that are longer than a network sees: windows at each step, part after part, or keys first."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import hypot

import torch
from jaxtyping import Float
from torch import Tensor

from recast.denoising import Denoiser, Sampler, StepHook, unchanged
from recast.diffusion.excerpt import in_turn
from recast.diffusion.schedule import finish
from recast.diffusion.windows import windowed
from recast.errors import RequestError
from recast.types import Condition, Latents, Picks

FEWEST = 3
"""Frames of a window that has one between its ends."""
REUSED, FOLLOWED = 4.0, 0.4
"""VidRD's rho, how much of the part before's noise is reused, and the share of the steps in which it is followed."""


@dataclass(frozen=True, eq=False)
class LongWalk:
    """A walk from noise alone. denoise: sees at most `size` frames. start: of all frames, at level sigmas[0].

    overlap: frames that neighbouring windows share.
    step_hook: called after each step of each walk with the frames that are walked.
    """

    denoise: Denoiser
    sampler: Sampler
    start: Latents
    sigmas: list[float]
    condition: Condition
    size: int
    overlap: int
    step_hook: StepHook = unchanged

    def of(self, picks: Picks, start: Latents, hook: StepHook = unchanged) -> Latents:
        """Clean latents of these frames, walked as one. hook: called before the walk's own."""
        hooks = in_turn(hook, self.step_hook)
        x = self.sampler(self.denoise, start, self.sigmas, self.condition.at(picks), step_hook=hooks)
        return finish(x, self.sigmas[-1])


def overlapping(walk: LongWalk, *, even: bool = False) -> Latents:
    """All windows at each step, their answers averaged, more of windows that have a frame near their middle.

    even: all alike, which is Gen-L-Video's temporal co-denoising, arXiv:2305.18264.
    """
    joint = replace(walk, denoise=windowed(walk.denoise, walk.size, walk.overlap, even=even))
    return joint.of(torch.arange(len(walk.start)), walk.start)


def streamed(walk: LongWalk) -> Latents:
    """Part after part, each begun with the end of the one before, which is not changed any more. VidRD, 2309.03549.

    A part's first frames are the last ones of the part before: they have their noise, and in the first steps the
    latents that they had there, the k-th of n for (n - k) / n of FOLLOWED of the steps. The other frames' noise is that
    of the part before in reverse, mixed with their own. Differs: frames that two parts have are those of the first.
    """
    count, size, shared = len(walk.start), walk.size, walk.overlap
    numbers, parts = torch.arange(count), list[Latents]()
    noise, path = walk.start[:size], list[Latents]()
    for begin in range(0, max(1, count - shared), max(1, size - shared)):
        picks = numbers[begin : begin + size]
        if begin:
            fresh, past = walk.start[picks][shared:], noise.flip(0)[: len(picks) - shared]
            mixed = (REUSED * past + fresh) / hypot(REUSED, 1)
            noise = torch.cat([noise[size - shared :], mixed])
        held, path = _followed(path, shared), [noise]
        clean = walk.of(picks, noise, in_turn(held, _kept_in(path)))
        parts.append(clean[shared:] if begin else clean)
    return torch.cat(parts)


def _kept_in(path: list[Latents]) -> StepHook:
    def keep(x: Latents, _sigma: float, /) -> Latents:
        path.append(x)
        return x

    return keep


def _followed(path: list[Latents], shared: int) -> StepHook:
    """Gives a part's first frames, step by step, what the last ones of the part before were."""
    if not path:
        return unchanged
    steps, step = len(path) - 1, 0

    def follow(x: Latents, _sigma: float, /) -> Latents:
        nonlocal step
        step += 1
        longest = [FOLLOWED * steps * (shared - frame) / shared for frame in range(shared)]
        following = sum(step <= last for last in longest)  # the first ones the longest
        if not following:
            return x
        end = path[step][len(path[step]) - shared :]
        return torch.cat([end[:following], x[following:]])

    return follow


def keys_first(walk: LongWalk) -> Latents:
    """Frames spread over the whole clip as one, then those between two of them, whose ends are held. arXiv:2303.12346.

    As NUWA-XL's diffusion over diffusion. Differs: its network was trained to fill in between two frames; here any
    network is held to them, under each level's noise. A network that never saw frames far apart makes the keys as if
    they were neighbours. Raises RequestError for a window of fewer than three frames, which has none between its ends.
    """
    if walk.size < FEWEST:
        raise RequestError(f"a window of {walk.size} frames has none between two keys; say --window {FEWEST} or more")
    last = len(walk.start) - 1
    made = walk.start.clone()
    picks = _spread(0, last, walk.size)
    made[picks] = walk.of(picks, walk.start[picks])
    gaps = list(pairwise(picks.tolist()))
    while gaps:
        first, end = gaps.pop(0)
        if end - first < 2:
            continue
        picks = _spread(first, end, walk.size)
        ends = _held(walk, made[[first, end]], picks)
        made[picks[1:-1]] = walk.of(picks, ends(walk.start[picks], walk.sigmas[0]), ends)[1:-1]
        gaps += pairwise(picks.tolist())
    return made


def _spread(first: int, last: int, size: int) -> Picks:
    """All frames from first to last, or as many as a window has room for, evenly."""
    count = min(max(size, 2), last - first + 1)
    return torch.linspace(first, last, count, dtype=torch.float64).round().long()


def _held(walk: LongWalk, ends: Float[Tensor, "2 c y x"], picks: Picks) -> StepHook:
    """Puts the first and the last frame, under each level's noise, where two known ones are."""
    noise = walk.start[picks[[0, -1]]] / hypot(1, walk.sigmas[0])

    def hold(x: Latents, sigma: float, /) -> Latents:
        known = ends + sigma * noise
        return torch.cat([known[:1], x[1:-1], known[1:]])

    return hold


LONG_WALKS: dict[str, Callable[[LongWalk], Latents]] = {
    "overlap": overlapping,
    "gen-l-video": partial(overlapping, even=True),
    "stream": streamed,
    "keys": keys_first,
}
"""Ways to make a clip that is longer than a window, by name."""
