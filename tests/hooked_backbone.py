"""What tests of hooks share: a backbone asked under hooks, and hooks that listen."""

from dataclasses import dataclass, replace

import torch

from recast.denoising import Branch
from recast.types import Condition, Kind, Picks, Structure

FRAMES, SIZE = 3, (32, 48)


@dataclass(frozen=True, eq=False)
class Numbered(Condition):
    """A condition that keeps its frames' absolute numbers."""

    frames: Picks | None = None

    def at(self, picks):
        return replace(super().at(picks), frames=self.frames[picks])


def conditioned(backbone, frames):
    rng = torch.Generator().manual_seed(0)
    planes = backbone.structure_channels(Structure(Kind.DEPTH, torch.rand(frames, 1, *SIZE, generator=rng)))
    tokens = backbone.embedding_tokens(torch.ones(12))
    return Numbered(tokens, backbone.null_tokens(), planes, torch.arange(10, 10 + frames))


def noisy(frames=FRAMES):
    return torch.randn(frames, 4, 4, 6, generator=torch.Generator().manual_seed(1))


def branches(condition):
    return [Branch(condition.uncond, temporal=False), Branch(condition.uncond), Branch(condition.cond)]


def asked(backbone, condition, *hooks, x=None, sigma=2.0):
    with backbone.hooked(*hooks):
        return backbone.denoise_branches(noisy() if x is None else x, sigma, condition, branches(condition))


def passing(call, attend):
    return attend(call)


class CallRecord:
    """Keeps every call, of the kinds asked for."""

    def __init__(self, *kinds):
        self.kinds, self.calls = kinds, []

    def interested(self, _site, kind):
        return not self.kinds or kind in self.kinds

    def __call__(self, call, attend):
        self.calls.append(call)
        return attend(call)


class Scaled:
    """Features of some kinds, made larger."""

    def __init__(self, factor, *kinds):
        self.factor, self.kinds, self.calls = factor, kinds, []

    def interested(self, _site, kind):
        return kind in self.kinds

    def feature(self, call):
        self.calls.append(call)
        return call.features * self.factor
