"""Self-attention that looks at other frames: at some that are named, at all of a pass, or along trajectories.

Frames are absolute numbers, `AttentionCall.frames`, so that a window means the same frames as the whole clip does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recast.errors import BackboneError
from recast.networks.hooks import Attend, AttentionCall, SiteKind

References = Callable[[int], Sequence[int]]
"""The frames whose keys and values a frame attends to, by absolute numbers; as many for each frame."""
KeyValue = tuple[Tensor, Tensor]


def first_and_previous(first: int, step: int = 1) -> References:
    """The clip's first frame and the one before: sparse-causal attention. Tune-A-Video, arXiv:2212.11565, section 4.

    step: between the numbers of neighbours, a backbone's `temporal_stride`.
    """
    return lambda frame: (first, max(frame - step, first))


def anchored(*frames: int) -> References:
    """The same frames for all: the first one in Text2Video-Zero (arXiv:2303.13439, equation 8)."""
    return lambda _frame: frames


def causal_in_pass(frames: Sequence[int]) -> References:
    """The first frame of a pass and the one before; the first has itself twice."""
    before = dict(zip(frames, (frames[0], *frames), strict=False))
    return lambda frame: (frames[0], before[frame])


def towards_middle(frames: Sequence[int]) -> References:
    """The middle frame of a pass, and a frame's neighbour towards it; the middle has itself twice.

    Gen-L-Video's bi-directional cross-frame attention, arXiv:2305.18264.
    """
    middle = len(frames) // 2
    towards = dict(zip(frames, [*frames[1 : middle + 1], frames[middle], *frames[middle:-1]], strict=True))
    return lambda frame: (frames[middle], towards[frame])


@dataclass(frozen=True, eq=False)
class BankPage:
    """What a bank knows at one site of one branch, without gradient.

    frames: of the latest call. before: of each frame known when it came. held: of each frame that later calls may ask.
    """

    sigma: float | None
    frames: tuple[int, ...]
    before: dict[int, KeyValue]
    held: dict[int, KeyValue]


@dataclass(frozen=True, eq=False)
class FrameBank:
    """Keys and values of frames at one noise level, by which a window attends to frames of those before it.

    anchors: frames that are kept to the level's end; of the others only those of the latest pass are. A call that comes
    again, as where activations are recomputed for gradients, finds what it found the first time.
    """

    anchors: frozenset[int] = frozenset()
    kept: dict[tuple[str, int | None], BankPage] = field(default_factory=dict)
    """By site and branch."""

    def seen(self, call: AttentionCall) -> dict[int, KeyValue]:
        """Keys and values of the call's frames, and of those kept at its level; then keeps the call's."""
        place, frames = (call.site, call.branch), tuple(frames_of(call))
        last = self.kept.get(place)
        before = {} if last is None or last.sigma != call.sigma else last.before if last.frames == frames else last.held
        now = dict(zip(frames, zip(call.k, call.v, strict=True), strict=True))
        known = before | now
        held = {
            frame: (k.detach(), v.detach()) for frame, (k, v) in known.items() if frame in now or frame in self.anchors
        }
        self.kept[place] = BankPage(call.sigma, frames, before, held)
        return known


@dataclass(frozen=True, eq=False)
class ReferenceAttention:
    """Each frame's places attend to the places of the frames that `references` names for it.

    Windows come in order: what they refer to and do not have is taken from the windows before them at the same noise
    level, so that an image network answers as it would for all frames at once. The bank needs every frame that is
    referred to from afar as an anchor; the latest window is always there. Raises BackboneError for a frame that was in
    neither.
    """

    references: References
    bank: FrameBank = field(default_factory=FrameBank)

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In self-attention."""
        return kind is SiteKind.SELF

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The layer's answer with the keys and values of the references."""
        known = self.bank.seen(call)
        named = [tuple(self.references(frame)) for frame in frames_of(call)]
        if missing := {frame for each in named for frame in each} - set(known):
            where = f"frame {min(missing)} at {call.site}, sigma {call.sigma}, from frames {call.frames}"
            raise BackboneError(f"attention refers to {where}, and has not seen it; give windows in order, it first")
        k, v = (torch.stack([torch.cat([known[frame][i] for frame in each]) for each in named]) for i in (0, 1))
        return attend(replace(call, k=k, v=v))


@dataclass(frozen=True, eq=False)
class PassAttention:
    """`ReferenceAttention` within each pass: in windows these are the window's frames, and no window sees the others.

    references: of the pass's frames, such as `causal_in_pass`. Gradients go through, with checkpointing too.
    """

    references: Callable[[Sequence[int]], References]

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In self-attention."""
        return kind is SiteKind.SELF

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The layer's answer with the keys and values of the references."""
        return ReferenceAttention(self.references(frames_of(call)))(call, attend)


class ExtendedAttention:
    """Each frame's places attend to the places of all frames of the pass. TokenFlow, arXiv:2307.10373, equation 3.

    In windows these are the window's frames: no window sees the others.
    """

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In self-attention."""
        return kind is SiteKind.SELF

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The layer's answer with every frame's keys and values."""
        k, v = (repeat(each, "f m e -> b (f m) e", b=len(call.q)) for each in (call.k, call.v))
        return attend(replace(call, k=k, v=v))


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Where the token of each place is in every frame of a clip, at one resolution.

    frames: absolute numbers. grid: rows and columns of places. places: for each token, frame by frame and row by row,
    its place in each frame. reached: false where it is hidden or outside; every token reaches its own frame.
    """

    frames: tuple[int, ...]
    grid: tuple[int, int]
    places: Int[Tensor, "tokens t"]
    reached: Bool[Tensor, "tokens t"]

    @classmethod
    def of_paths(
        cls,
        paths: Int[Tensor, "paths t"],
        reached: Bool[Tensor, "paths t"],
        frames: tuple[int, ...],
        grid: tuple[int, int],
    ) -> "Trajectories":
        """From the place of each path in each frame, where it reaches it; a token on no path goes with itself alone.

        Paths share no token.
        """
        count, size = len(frames), grid[0] * grid[1]
        own = torch.arange(count).repeat_interleave(size)
        places = repeat(torch.arange(size), "p -> (t p) u", t=count, u=count).clone()
        on = own[:, None] == torch.arange(count)
        path, frame = reached.nonzero(as_tuple=True)
        tokens = frame * size + paths[path, frame]
        places[tokens], on[tokens] = paths[path], reached[path]
        return cls(frames, grid, places, on)

    def at(self, frames: Sequence[int]) -> tuple[Int[Tensor, "f p g"], Bool[Tensor, "f p g"]]:
        """Token numbers among those of `frames` alone, and whether they are reached, for each token of `frames`."""
        if strange := set(frames) - set(self.frames):
            raise BackboneError(f"trajectories know frames {self.frames} and were asked for {min(strange)}")
        picks = torch.tensor([self.frames.index(frame) for frame in frames])
        size = self.grid[0] * self.grid[1]
        places, reached = (
            rearrange(each, "(t p) u -> t p u", p=size)[picks][:, :, picks] for each in (self.places, self.reached)
        )
        return places + size * torch.arange(len(frames)), reached


@dataclass(frozen=True, eq=False)
class TrajectoryAttention:
    """After the layer's own answer, each token attends to the answers on its trajectory. FLATTEN, arXiv:2310.05922.

    The answers are queries, keys and values at once, so nothing is trained (section 4.2). Only layers whose grid is
    that of the trajectories. In windows trajectories are cut to the window's frames.
    """

    trajectories: Trajectories

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In self-attention."""
        return kind is SiteKind.SELF

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The answers, mixed along trajectories. Raises BackboneError for frames without any."""
        answer = attend(call)
        if call.grid != self.trajectories.grid:
            return answer
        tokens, reached = (each.to(answer.device) for each in self.trajectories.at(frames_of(call)))
        flat = rearrange(answer, "f p (h d) -> (f p) h d", h=call.heads)
        # Frame by frame: the gathered keys are as many times the answers as there are frames.
        rows = zip(flat.split(answer.shape[1]), tokens, reached, strict=True)
        return torch.stack([attended_along(call.scale, own, flat[on], flat[on], there) for own, on, there in rows])


def attended_along(
    scale: float,
    q: Float[Tensor, "p h d"],
    k: Float[Tensor, "p g h d"],
    v: Float[Tensor, "p g h d"],
    reached: Bool[Tensor, "p g"],
) -> Float[Tensor, "p e"]:
    """One frame's places, each attending to keys of its own that are reached: its trajectory in g frames."""
    likeness = scale * torch.einsum("phd,pghd->phg", q, k)
    weights = likeness.masked_fill(~reached[:, None], -torch.inf).softmax(-1)
    return rearrange(torch.einsum("phg,pghd->phd", weights, v), "p h d -> p (h d)")


def frames_of(call: AttentionCall) -> tuple[int, ...]:
    """The call's frames. Raises BackboneError where the pass does not give them."""
    if call.frames is None:
        raise BackboneError(f"the attention at {call.site} depends on the frames' numbers; ask through a backbone")
    return call.frames
