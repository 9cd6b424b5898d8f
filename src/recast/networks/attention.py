"""Hooks in force on a diffusers network: `with hooked(network, *hooks):` changes it for a while and leaves no trace."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from diffusers.models.attention_processor import Attention
from jaxtyping import Float
from torch import Tensor, nn

from recast.errors import BackboneError
from recast.networks.attention_kernels import kernel
from recast.networks.causal_attention import CausalAttnProcessor
from recast.networks.hooks import (
    Attend,
    AttentionCall,
    AttentionHook,
    DenoisePass,
    FeatureCall,
    FeatureHook,
    Hook,
    PassContext,
    interested,
)
from recast.networks.image_prompt import ImagePromptProcessor
from recast.networks.sites import (
    AttentionSite,
    FeatureSite,
    HookedNetwork,
    attention_sites,
    feature_sites,
    grid_holders,
)
from recast.networks.spacetime import SpaceTimeUNet


@contextmanager
def hooked(
    network: HookedNetwork | SpaceTimeUNet,
    *hooks: Hook,
    context: PassContext | None = None,
    outermost: bool = False,
) -> Iterator[None]:
    """Hooks are in force inside the block, outermost first, around those of an enclosing block's inside.

    outermost: around those of an enclosing block instead, which they may then answer without.
    context: where a backbone tells the pass at hand; without one, hooks get whole batches and no sigma.
    Layers that no hook is interested in keep their processor. Backward passes after the block still see the hooks
    where gradient checkpointing computes layers again. One pass and one thread at a time.
    Raises BackboneError for an attention layer that hooks cannot answer for.
    """
    unet = network.unet if isinstance(network, SpaceTimeUNet) else network
    with _without_hooks(unet) as outer:
        before = outer.hooks if outer else ()
        context = context or (outer.context if outer else PassContext())
        together = (*hooks, *before) if outermost else (*before, *hooks)
        with _in_force(_Installation(unet, together, context)):
            yield


class _Installation:
    """Hooks of one block, ready to be put into the network and taken out again, as often as needed."""

    def __init__(self, unet: HookedNetwork, hooks: Sequence[Hook], context: PassContext) -> None:
        self.unet = unet
        self.hooks = tuple(hooks)
        self.context = context
        self.grids: dict[str, tuple[int, int]] = {}
        self.taken_out = ExitStack()
        self.processors: list[tuple[Attention, _HookedProcessor]] = []
        self.listeners: list[tuple[nn.Module, Callable[..., object]]] = []
        for site in attention_sites(unet):
            attending = [hook for hook in self._interested(site) if isinstance(hook, AttentionHook)]
            if attending:
                self.processors.append((site.layer, _HookedProcessor(site, attending, self)))
        for block in feature_sites(unet):
            looking = [hook for hook in self._interested(block) if isinstance(hook, FeatureHook)]
            if looking:
                self.listeners.append((block.module, partial(self._through_hooks, block, looking)))

    def put_in(self) -> None:
        """Exchanges processors, listens to blocks, and lets checkpointed blocks remember these hooks."""
        with ExitStack() as stack:
            for layer, processor in self.processors:
                _exchange(stack, layer, "processor", processor)
            for module, listener in self.listeners:
                stack.callback(module.register_forward_hook(listener).remove)
            for path, module in grid_holders(self.unet):
                note = partial(self._note_grid, path)
                stack.callback(module.register_forward_pre_hook(note, with_kwargs=True).remove)
            for module in self.unet.modules():
                if getattr(module, "gradient_checkpointing", False):
                    own: Any = module._gradient_checkpointing_func
                    _exchange(stack, module, "_gradient_checkpointing_func", partial(self._checkpointed, own))
            self.taken_out = stack.pop_all()

    def _interested(self, site: AttentionSite | FeatureSite) -> list[Hook]:
        return [hook for hook in self.hooks if interested(hook, site.path, site.kind)]

    def _note_grid(self, path: str, _module: nn.Module, given: tuple, named: dict) -> None:
        features = given[0] if given else named["hidden_states"]
        self.grids[path] = (features.shape[-2], features.shape[-1])

    def _through_hooks(
        self, site: FeatureSite, hooks: Sequence[FeatureHook], _module: nn.Module, _given: object, answer: object
    ) -> object:
        whole = answer[0] if isinstance(answer, tuple) else answer
        assert isinstance(whole, Tensor)
        changed = []
        for branch, rows in self.context.shares(site.kind, len(whole)):
            call = FeatureCall(site.path, site.kind, whole[rows], **self.context.facts(branch))
            for hook in hooks:
                call = replace(call, features=_of_shape(hook.feature(call), call.features, site.path))
            changed.append(call.features)
        joined = _joined(changed)
        return (joined, *answer[1:]) if isinstance(answer, tuple) else joined

    def _checkpointed(self, checkpoint: Callable[..., Tensor], block: Callable[..., Tensor], *inputs: object) -> Tensor:
        denoise_pass, grids = self.context.current, dict(self.grids)

        def again(*inputs: object) -> Tensor:
            # Called twice: now, and during backward, when the hooks, the pass and the grids may be others.
            with _as_now(self, denoise_pass, grids):
                return block(*inputs)

        return checkpoint(again, *inputs)


class _HookedProcessor:
    """Answers for one attention layer by way of hooks; projections and kernel are the layer's own.

    Where the layer reads a picture too, hooks see the words, and what the picture adds is added to their answer.
    """

    def __init__(self, site: AttentionSite, hooks: Sequence[AttentionHook], installation: _Installation) -> None:
        self.site = site
        self.hooks = tuple(hooks)
        self.installation = installation
        self.own = own = site.layer.processor
        self.picture = own.picture if isinstance(own, ImagePromptProcessor) else None
        self.causal = isinstance(own, CausalAttnProcessor)
        self.attend: Attend = kernel(site)
        for hook in reversed(self.hooks):
            self.attend = partial(_by_hook, hook, self.attend)

    def __call__(
        self,
        attn: Attention,
        hidden_states: Float[Tensor, "b n c"],
        encoder_hidden_states: Float[Tensor, "b m d"] | None = None,
        attention_mask: Tensor | None = None,
    ) -> Float[Tensor, "b n c"]:
        """The layer's answer, as diffusers asks for it."""
        if attention_mask is not None:
            raise BackboneError(f"hooks know no attention mask, and {self.site.path} was given one; leave it out")
        shares = self.installation.context.shares(self.site.kind, len(hidden_states))
        if not shares:  # a layer over time of images, each a clip of one frame
            return self.own(attn, hidden_states, encoder_hidden_states)
        told_to, image = hidden_states if encoder_hidden_states is None else encoder_hidden_states, None
        if self.picture is not None:
            told_to, image = self.picture.split(told_to)
        q, k, v = attn.to_q(hidden_states), attn.to_k(told_to), attn.to_v(told_to)
        answers = []
        for branch, rows in shares:
            parts = (each[rows] for each in (hidden_states, q, k, v))
            answers.append(self.attend(self._call(branch, *parts)))
        answer = _joined(answers)
        if self.picture is not None:
            answer = answer + self.picture(q, image, attn.heads)
        projection, dropout = attn.to_out or (nn.Identity(), nn.Identity())
        return dropout(projection(answer)) / attn.rescale_output_factor

    def _call(self, branch: int | None, *parts: Tensor) -> AttentionCall:
        site, grids, context = self.site, self.installation.grids, self.installation.context
        first = (site.path, site.kind, grids[site.holder], site.layer.heads)
        return AttentionCall(*first, *parts, scale=site.layer.scale, causal=self.causal, **context.facts(branch))


def _by_hook(hook: AttentionHook, attend: Attend, call: AttentionCall) -> Tensor:
    return _of_shape(hook(call, attend), call.q, call.site)


def _of_shape(answer: Tensor, like: Tensor, path: str) -> Tensor:
    if answer.shape != like.shape:
        wrong = f"a hook answered {tuple(answer.shape)} at {path}, where {tuple(like.shape)} is needed"
        raise BackboneError(f"{wrong}; give as many rows and features as the call has")
    return answer


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _exchange(stack: ExitStack, holder: nn.Module, name: str, value: object) -> None:
    stack.callback(setattr, holder, name, getattr(holder, name))
    setattr(holder, name, value)


_IN_FORCE: WeakKeyDictionary[HookedNetwork, _Installation] = WeakKeyDictionary()


@contextmanager
def _in_force(installation: _Installation) -> Iterator[None]:
    installation.put_in()
    _IN_FORCE[installation.unet] = installation
    try:
        yield
    finally:
        del _IN_FORCE[installation.unet]
        installation.taken_out.close()


@contextmanager
def _without_hooks(unet: HookedNetwork) -> Iterator[_Installation | None]:
    """The network as it is without hooks; gives what was in force, which is so again after the block."""
    outer = _IN_FORCE.pop(unet, None)
    if outer is None:
        yield None
        return
    outer.taken_out.close()
    try:
        yield outer
    finally:
        outer.put_in()
        _IN_FORCE[unet] = outer


@contextmanager
def _as_now(
    installation: _Installation, denoise_pass: DenoisePass | None, grids: dict[str, tuple[int, int]]
) -> Iterator[None]:
    with ExitStack() as stack:
        if _IN_FORCE.get(installation.unet) is not installation:
            stack.enter_context(_without_hooks(installation.unet))
            stack.enter_context(_in_force(installation))
        stack.enter_context(installation.context.on(denoise_pass))
        installation.grids.update(grids)
        yield
