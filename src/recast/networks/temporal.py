"""The temporal layers of Gen-1 (arXiv:2302.03011, section 3.2 and figure 3), and the context that they share."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.models.attention import BasicTransformerBlock
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from recast.networks.causal_attention import CausalAttnProcessor

Features = Float[Tensor, "b t c h w"]
Answer = Tensor | tuple[Tensor]
"""Output of a spatial layer: a tensor for a convolution, a tuple for a transformer of diffusers."""


FOLLOWER = "temporal"
"""Name, in a spatial layer, of the layer over time that follows it; hooks and weights' names know it by that."""


def is_over_time(name: str) -> bool:
    """Whether a weight of this name is one of a layer over time."""
    return f".{FOLLOWER}." in name


class TemporalConv(nn.Conv2d):
    """A residual convolution over three frames at each pixel, initialised to zero.

    It is a 3 x 1 convolution over (frames, pixels), which is a view of channels-last memory: nothing is copied.
    causal: over a frame and the two before it, in place of the one before and the one behind.
    """

    def __init__(self, channels: int, *, causal: bool = False) -> None:
        super().__init__(channels, channels, (3, 1), padding=(0 if causal else 1, 0))
        self.causal = causal
        for weight in self.parameters():
            nn.init.zeros_(weight)

    def forward(self, input: Features) -> Features:
        """Features of whole clips, changed."""
        lines = rearrange(input, "b t c h w -> b c t (h w)")
        read = F.pad(lines, (0, 0, 2, 0)) if self.causal else lines
        return rearrange(lines + super().forward(read), "b c t (h w) -> b t c h w", h=input.shape[-2])


class TemporalTransformer(nn.Module):
    """A residual transformer over the frames of each pixel, shaped like the spatial one before it, initialised to zero.

    Its second attention is over frames too: the paper does not define its context, and content is the same in every
    frame. Position embeddings are learned, so a clip has at most `max_frames` frames.
    causal: no frame sees a later one.
    """

    def __init__(self, channels: int, *, heads: int, layers: int, max_frames: int, causal: bool = False) -> None:
        super().__init__()
        self.gradient_checkpointing = False  # set by diffusers, which finds every module that has this attribute
        self.norm = nn.LayerNorm(channels)
        self.proj_in = nn.Linear(channels, channels)
        self.position_embedding = nn.Parameter(0.02 * torch.randn(max_frames, channels))
        self.transformer_blocks = nn.ModuleList(
            BasicTransformerBlock(channels, heads, channels // heads, double_self_attention=True) for _ in range(layers)
        )
        self.proj_out = nn.Linear(channels, channels)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)
        if causal:
            for block in self.transformer_blocks:
                block.attn1.set_processor(CausalAttnProcessor())
                block.attn2.set_processor(CausalAttnProcessor())

    def forward(self, x: Features) -> Features:
        """Features of whole clips, changed."""
        _, t, _, h, w = x.shape
        tokens = self.proj_in(self.norm(rearrange(x, "b t c h w -> (b h w) t c"))) + self.position_embedding[:t]
        for block in self.transformer_blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                tokens = self._gradient_checkpointing_func(block, tokens)
            else:
                tokens = block(tokens)
        return x + rearrange(self.proj_out(tokens), "(b h w) t c -> b t c h w", h=h, w=w)


@dataclass(frozen=True, eq=False)
class BatchLayout:
    """How the images of a batch form clips, and which clips temporal layers act on.

    frames: of each clip. videos: indices of the clips that temporal layers act on; None is all of them.
    """

    frames: int = 1
    videos: Int[Tensor, " v"] | None = None


class TemporalContext:
    """The layout of the batch in the current forward pass, shared by all temporal layers of a network; off in between.

    Not thread-safe: two threads need two networks.
    """

    def __init__(self) -> None:
        self.layout: BatchLayout | None = None

    @contextmanager
    def on(self, layout: BatchLayout | None) -> Iterator[None]:
        """Inside the block temporal layers act on batches of this layout; None switches them off."""
        before, self.layout = self.layout, layout
        try:
            yield
        finally:
            self.layout = before

    def follow(self, spatial: nn.Module, temporal: nn.Module) -> None:
        """Applies `temporal` to the output of `spatial`. A forward hook, so that image weights keep their names."""
        spatial.add_module(FOLLOWER, temporal)
        spatial.register_forward_hook(self._through_time)

    def precede(self, spatial: nn.Module, temporal: nn.Module) -> None:
        """Applies `temporal` to the input of `spatial`, by a hook. It is no part of the network: it has no weights."""

        def changed(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            return None if self.layout is None else (_over_frames(temporal, inputs[0], self.layout), *inputs[1:])

        spatial.register_forward_pre_hook(changed)

    def recomputed(self, block: Callable[..., Tensor], *inputs: object, keep: Sequence[object] = ()) -> Tensor:
        """Gradient checkpointing whose recomputation, in the backward pass, has the layout of the forward pass.

        keep: operators whose results are stored, because recomputing them costs too much.
        """
        layout = self.layout

        def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
            first, second = create_selective_checkpoint_contexts(list(keep)) if keep else (nullcontext(), nullcontext())
            return first, _both(second, self.on(layout))

        return checkpoint(block, *inputs, use_reentrant=False, context_fn=contexts)

    def _through_time(self, spatial: nn.Module, _inputs: object, answer: Answer) -> Answer:
        if self.layout is None:
            return answer
        temporal = spatial.get_submodule(FOLLOWER)
        if isinstance(answer, Tensor):
            return _over_frames(temporal, answer, self.layout)
        return (_over_frames(temporal, answer[0], self.layout),)


@contextmanager
def _both(outer: AbstractContextManager, inner: AbstractContextManager) -> Iterator[None]:
    with outer, inner:
        yield


def _over_frames(
    temporal: nn.Module, images: Float[Tensor, "bt c h w"], layout: BatchLayout
) -> Float[Tensor, "bt c h w"]:
    clips = rearrange(images, "(b t) c h w -> b t c h w", t=layout.frames)
    if layout.videos is None:
        changed = temporal(clips)
    else:
        changed = clips.clone()  # index_copy would lose channels-last memory
        changed[layout.videos] = temporal(clips[layout.videos]).to(clips.dtype)
    return rearrange(changed, "b t c h w -> (b t) c h w")
