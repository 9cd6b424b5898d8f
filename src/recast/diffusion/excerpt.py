"""Some frames of an edit walked by themselves, as keyframes are."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from recast.denoising import DenoiseInputs, StepHook
from recast.types import Clip, Latents, Picks

WholeClip = Float[Tensor, "all c y x"]
"""Latents of all frames, where those of some stand beside them."""


def excerpt(inputs: DenoiseInputs, picks: Picks, rest: WholeClip) -> DenoiseInputs:
    """The edit of the picked frames alone; its noise numbers them from the first of them on.

    rest: clean latents of all frames, for step hooks, which see the whole clip: the others with their noise on them.
    """
    frames = Clip(inputs.clip.frames[picks], inputs.clip.fps, inputs.clip.first + int(picks[0]))
    source = None if inputs.source is None else inputs.source.at(picks)
    hook = at_frames(inputs.step_hook, picks, rest, inputs.noise(rest))
    return replace(inputs, clip=frames, condition=inputs.condition.at(picks), source=source, step_hook=hook)


def at_frames(hook: StepHook, picks: Picks, rest: WholeClip, noise: WholeClip) -> StepHook:
    """A hook of all frames for the latents of some; it is given `rest + sigma noise` for the others."""

    def at_picks(x: Latents, sigma: float, /) -> Latents:
        whole = torch.index_copy(rest + sigma * noise, 0, picks.to(rest.device), x)
        return hook(whole, sigma)[picks]

    return at_picks


def in_turn(*hooks: StepHook) -> StepHook:
    """Step hooks one after the other, each on what the one before made."""

    def after_each_other(x: Latents, sigma: float, /) -> Latents:
        for hook in hooks:
            x = hook(x, sigma)
        return x

    return after_each_other
