"""One-shot tuning: a trained generator learns one captioned clip, from cached latents, structure and content."""

import hashlib
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from recast.backbones.backbone import Backbone
from recast.denoising import Branch
from recast.engine.config import BatchShard, Loss, LossOutput
from recast.engine.distributed import Engine
from recast.engine.loop import fit
from recast.engine.monitor import Monitor, unmonitored
from recast.engine.rng import normal_noise, row_rng
from recast.errors import BackboneError, ClipError, RequestError
from recast.networks.temporal import is_over_time
from recast.networks.weight_changes import CHANGES, SpectralChange, WeightChange, changed_weights
from recast.tuning.adapter import NEW, Adapter, AdapterInfo, write_adapter
from recast.tuning.config import Selector, TuneConfig
from recast.tuning.losses import Guess, prediction_error
from recast.tuning.tuned import TunableBackbone, attention_hooks, over_frames, tunable
from recast.types import Condition, Latents


@dataclass(frozen=True, eq=False)
class CachedClip:
    """A clip as the network sees it, encoded once. condition: its caption as `cond`, and its structure.

    caption: in words, for the record. base: name and digest of the model.
    """

    latents: Latents
    condition: Condition
    caption: str
    base: Mapping[str, str]

    def fingerprint(self) -> str:
        """Of all that the network is shown; a run on another clip is not gone on with."""
        return shown_digest([(self.latents, self.condition)])


def shown_digest(shown: Sequence[tuple[Latents, Condition]]) -> str:
    """SHA-256 over latents, tokens and structures."""
    digest = hashlib.sha256()
    for latents, condition in shown:
        pictures = [control.pictures for control in condition.controls]
        for tensor in (latents, condition.cond, condition.structure_channels, *pictures):
            if tensor is not None:
                digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class TunedParts:
    """What is trained of a backbone. changes: of its own weights, by name; new: weights that it did not have."""

    backbone: TunableBackbone
    changes: Mapping[str, WeightChange]
    new: Mapping[str, nn.Parameter]
    positions: int | None

    def tensors(self) -> dict[str, Tensor]:
        """All that was trained, as an adapter holds it."""
        parts = {
            f"{name}:{part}": tensor.clone()
            for name, change in self.changes.items()
            for part, tensor in change.parts().items()
        }
        return parts | {f"{name}:{NEW}": weight.detach().clone() for name, weight in self.new.items()}

    @contextmanager
    def trained(self, attention: str) -> Iterator[nn.Module]:
        """The network with only these parts trained, and its attention in force; afterwards it is as it was."""
        unet = self.backbone.unet.requires_grad_(False)
        training = unet.training
        for weight in self.new.values():
            weight.requires_grad_(True)
        try:
            with changed_weights(unet, self.changes), self.backbone.hooked(*attention_hooks(self.backbone, attention)):
                yield unet
        finally:
            unet.requires_grad_(False).train(training)


def trained_parts(backbone: Backbone, config: TuneConfig) -> TunedParts:
    """What a configuration trains of a backbone, as it begins, the same each time.

    An image model may get layers over time, which stay in its network. Raises RequestError where nothing is selected,
    BackboneError for a family that cannot be tuned, or has no layers over time where these learn the motion.
    """
    own = tunable(backbone)
    if config.selector.dual and not own.has_temporal_layers:
        raise BackboneError(f"{config.train} learns motion in layers over time, and this model has none; take another")
    with seeded(config.seed):
        before = {name for name, _ in own.unet.named_parameters()}
        changed, positions = over_frames(own, config.over_frames, config.frames, config.selector.layers)
        new = {name: weight for name, weight in changed.unet.named_parameters() if name not in before}
        changes = new_changes(changed, config.selector, config.rank, apart=new)
    return TunedParts(changed, changes, new, positions)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside the block the global random stream is that of a seed; afterwards it goes on as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def new_changes(
    backbone: TunableBackbone, selector: Selector, rank: int | None, apart: Collection[str] = ()
) -> dict[str, WeightChange]:
    """A change of each weight that is selected, but for those `apart`, from the global random stream."""
    weights, kind = dict(backbone.unet.named_parameters()), CHANGES[selector.change]
    names = [name for name in selector.selected(backbone.unet) if name not in apart]
    return {name: kind(weights[name].detach(), rank=rank or 16) for name in names}


def tuning_loss(backbone: TunableBackbone, clip: CachedClip, config: TuneConfig) -> Loss[Any]:
    """The network's own loss at a uniform level, and the temporal loss by its weight. The paper's equations 5 and 8.

    Shifts of singular values are held back by `shift_penalty` (SAVE, arXiv:2305.18670).
    Nothing is encoded: a step is one pass of the network, or, in a share of them, of one frame as a picture (the mixed
    finetuning of Dreamix, arXiv:2302.01329). Level, noise and frame come from (seed, step) alone. Where the selector is
    dual, only layers over time learn from the clip; the others learn from pictures, which pass by those over time.
    """
    schedule, temporal = backbone.schedule, config.temporal_loss

    def loss(network: nn.Module, share: BatchShard) -> LossOutput:
        began = time.perf_counter()
        rng = row_rng(config.seed, share.undivided(), 0)
        level = int(rng.integers(len(schedule.sigmas)))
        sigma = float(schedule.sigmas[level])
        noise = normal_noise(rng, clip.latents.shape).to(clip.latents)
        clean, condition = clip.latents, clip.condition
        alone = config.image_share > 0 and float(rng.random()) < config.image_share
        if alone:
            pick = torch.tensor([int(rng.integers(len(clean)))])
            clean, condition, noise = clean[pick], condition.at(pick), noise[pick]
        waited = time.perf_counter() - began
        with _over_time_alone(network) if config.selector.dual and not alone else nullcontext():
            [denoised] = backbone.denoise_branches(clean + sigma * noise, sigma, condition, [Branch(condition.cond)])
        mean = prediction_error(schedule.prediction, denoised, clean, sigma).square().mean()
        rows, levels = mean.detach()[None], torch.tensor([level / len(schedule.sigmas)], device=mean.device)
        if temporal is not None and not alone:
            guess = Guess(denoised, clean, noise, sigma)
            mean = mean + temporal.weight * temporal.between(*guess.latents(temporal.latent))
        if config.shift_penalty:
            shifted = (each for each in network.modules() if isinstance(each, SpectralChange))
            mean = mean + config.shift_penalty * sum(each.penalty() for each in shifted)
        return LossOutput(mean=mean, rows=rows, levels=levels, waited=waited)

    return loss


@contextmanager
def _over_time_alone(network: nn.Module) -> Iterator[None]:
    """Of what is computed inside, gradients reach layers over time alone; changes of the others are in force."""
    held = [weight for name, weight in network.named_parameters() if weight.requires_grad and not is_over_time(name)]
    for weight in held:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in held:
            weight.requires_grad_(True)


def tune_adapter(
    backbone: Backbone, clip: CachedClip, config: TuneConfig, folder: Path, *, monitor: Monitor = unmonitored
) -> Adapter:
    """Trains an adapter and writes it to `folder`; checkpoints lie in FOLDER.run meanwhile, and a stopped run goes on.

    What a dual selector trains of layers over time is the adapter, and the rest another in its subfolder. The
    backbone's own weights are the same afterwards, bit for bit. Raises what `fit` does, RequestError and ClipError.
    """
    _check_frames(backbone, clip, config)
    parts = trained_parts(backbone, config)
    run = folder.with_name(f"{folder.name}.run")
    # Beside the names of TrainConfig, of which "clip" is one.
    configuration = {"tuning": asdict(config), "shown": clip.fingerprint(), "base": clip.base["digest"]}
    engine = Engine(device=str(clip.latents.device))
    with parts.trained(config.over_frames) as network:
        loss = tuning_loss(parts.backbone, clip, config)
        fit(network, loss, config.train_config(), run, configuration=configuration, engine=engine, monitor=monitor)
        tensors = parts.tensors()
    adapter, spatial = Adapter(_info(parts, clip, config), tensors), None
    if config.selector.dual:
        adapter, spatial = (adapter.over_time(on=on) for on in (True, False))
    write_adapter(adapter, folder, spatial)
    shutil.rmtree(run, ignore_errors=True)
    return adapter


def _info(parts: TunedParts, clip: CachedClip, config: TuneConfig) -> AdapterInfo:
    facts = {
        "base": dict(clip.base),
        "method": config.train,
        "changes": dict.fromkeys(parts.changes, config.selector.change) | dict.fromkeys(parts.new, NEW),
        "attention": config.over_frames,
        "positions": parts.positions,
        "layers": config.selector.layers,
        "caption": clip.caption,
        "steps": config.steps,
        "settings": asdict(config),
        "recast": version("recast-video"),
    }
    return TypeAdapter(AdapterInfo).validate_python(facts)


def _check_frames(backbone: Backbone, clip: CachedClip, config: TuneConfig) -> None:
    if len(clip.latents) != config.frames:
        raise ClipError(f"the clip has {len(clip.latents)} latents and {config.frames} frames are to be tuned on")
    if config.frames > backbone.max_frames:
        raise RequestError(f"the model sees at most {backbone.max_frames} frames at once, not {config.frames}")
