"""Backbones that can be tuned: made ready for training, and with adapters in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from recast.backbones.backbone import Backbone
from recast.backbones.stable_diffusion import StableDiffusionBackbone, inflated
from recast.backbones.stable_diffusion.inflated import TRANSFORMER
from recast.conditions.subject import NamedSubject
from recast.diffusion.schedule import Schedule
from recast.errors import BackboneError, RequestError, WeightsError
from recast.networks.hooks import Hook, PassContext
from recast.networks.weight_changes import CHANGES, WeightChange, merge
from recast.tuning.adapter import Adapter
from recast.tuning.attention import OVER_FRAMES, OverFramesAttention
from recast.tuning.subjects import reads_subject


@runtime_checkable
class TunableBackbone(Backbone, Protocol):
    """What tuning asks of a backbone besides: a UNet whose weights have names, its levels, and the pass at hand."""

    @property
    def unet(self) -> UNet2DConditionModel:
        """The network."""
        ...

    @property
    def schedule(self) -> Schedule:
        """The levels that it was trained on, and what it predicts."""
        ...

    @property
    def pass_context(self) -> PassContext:
        """Tells hooks the pass at hand."""
        ...


@dataclass(frozen=True, eq=False)
class TunedBackbone:
    """A backbone, and the hooks that have to be in force when it is asked."""

    backbone: Backbone
    hooks: tuple[Hook, ...] = ()


def tunable(backbone: Backbone) -> TunableBackbone:
    """The backbone, as tuning needs it. Raises BackboneError for a family without a UNet."""
    if not isinstance(backbone, TunableBackbone):
        raise BackboneError("this model's family cannot be tuned: its network is no UNet; take another model")
    return backbone


def over_frames(
    backbone: TunableBackbone, attention: str, frames: int, layers: str = TRANSFORMER
) -> tuple[TunableBackbone, int | None]:
    """The backbone with what its self-attention needs, and the positions of layers over time that were added.

    An image model gets layers over time, from the global random stream, where frames have to see each other. Raises
    BackboneError where these are asked for, being no transformers, of a model that has its own.
    """
    if layers != TRANSFORMER and backbone.has_temporal_layers:
        raise BackboneError(f"{layers} gives layers over time to an image model, and this one has its own")
    if (
        (attention == "own" and layers == TRANSFORMER)
        or backbone.has_temporal_layers
        or not isinstance(backbone, StableDiffusionBackbone)
    ):
        return backbone, None
    return tunable(inflated(backbone, frames, layers)), frames


def attention_hooks(backbone: TunableBackbone, attention: str) -> tuple[Hook, ...]:
    """The hooks that a kind of attention needs."""
    if attention == "own":
        return ()
    return (OverFramesAttention(backbone.pass_context, OVER_FRAMES[attention]()),)


def with_adapters(backbone: Backbone, adapters: Sequence[tuple[Adapter, float]]) -> TunedBackbone:
    """The backbone with adapters of its model in it, each with its weight; they are merged into its network for good.

    A weight of 0 leaves an adapter out, so that without another the network is the base model's, bit for bit.
    Raises RequestError for a weight that an adapter cannot have, and for two that both add layers over time or look at
    other frames in two ways; WeightsError for an adapter that does not fit the network; BackboneError for a family that
    cannot be tuned.
    """
    for adapter, weight in adapters:
        _check_weight(adapter, weight)
    active = [(adapter, weight) for adapter, weight in adapters if weight]
    if not active:
        return TunedBackbone(backbone)
    changed = _inflated_for(tunable(backbone), [adapter for adapter, _ in active])
    _merge_all(changed.unet, active)
    for adapter, weight in active:
        changed = tunable(_named(changed, adapter, weight))
    [*kinds] = {adapter.info.attention for adapter, _ in active} - {"own"}
    if len(kinds) > 1:
        raise RequestError(f"adapters have attention as {' and as '.join(sorted(kinds))}; take those of one kind")
    return TunedBackbone(changed, attention_hooks(changed, kinds[0] if kinds else "own"))


def _named(backbone: TunableBackbone, adapter: Adapter, weight: float) -> Backbone:
    """The backbone whose prompts may name the adapter's subject, if it has one."""
    if adapter.info.subject is None:
        return backbone
    offset = None if adapter.offset is None else weight * adapter.offset
    return reads_subject(backbone, NamedSubject(**adapter.info.subject), offset)


def _check_weight(adapter: Adapter, weight: float) -> None:
    if weight not in (0, 1) and not adapter.info.scales:
        raise RequestError(
            f"the adapter's weight is {weight:g}; it was trained by {adapter.info.method!r} with layers or attention "
            "that are there or not, so its weight is 0 or 1"
        )


def _inflated_for(backbone: TunableBackbone, adapters: Sequence[Adapter]) -> TunableBackbone:
    adding = [adapter for adapter in adapters if adapter.info.positions is not None]
    if len(adding) > 1:
        raise RequestError("two adapters both add layers over time; take one of them")
    for adapter in adding:
        if backbone.has_temporal_layers or not isinstance(backbone, StableDiffusionBackbone):
            raise WeightsError("the adapter adds layers over time, and this model cannot take them; take its own model")
        own = {name for name, _ in backbone.unet.named_parameters()}
        with torch.random.fork_rng(devices=[]):
            backbone = tunable(inflated(backbone, adapter.info.positions or 1, adapter.info.layers))
        backbone.unet.requires_grad_(False)
        _load_new(backbone.unet, adapter, own)
    return backbone


@torch.no_grad()
def _load_new(unet: UNet2DConditionModel, adapter: Adapter, own: set[str]) -> None:
    weights, new = dict(unet.named_parameters()), adapter.new_weights()
    missing = [name for name in weights if name not in own and name not in new]
    if missing:
        raise WeightsError(f"the adapter lacks {len(missing)} weights of its layers over time, such as {missing[0]}")
    for name, tensor in new.items():
        if name not in weights or weights[name].shape != tensor.shape:
            raise WeightsError(f"the adapter's {name} is no weight of this model's network, or of another shape")
        weights[name].copy_(tensor)


def _merge_all(unet: UNet2DConditionModel, adapters: Sequence[tuple[Adapter, float]]) -> None:
    weights, changes = dict(unet.named_parameters()), {}
    for adapter, scale in adapters:
        for name, how in adapter.info.changes.items():
            if how in CHANGES:
                changes.setdefault(name, []).append(_scaled(adapter, name, weights, scale))
    for name, found in changes.items():
        merge(unet, name, found)


def _scaled(adapter: Adapter, name: str, weights: dict[str, torch.nn.Parameter], scale: float) -> WeightChange:
    if name not in weights:
        raise WeightsError(f"the adapter changes {name}, which this model's network does not have")
    try:
        change = adapter.change(name, weights[name].detach().float())
        change.scale = scale
        assert change(weights[name].detach().float()).shape == weights[name].shape
    except RuntimeError as fault:
        raise WeightsError(f"the adapter's change of {name} has another shape than the weight ({fault})") from fault
    return change
