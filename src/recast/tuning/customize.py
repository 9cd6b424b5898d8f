"""Customization: a trained generator learns a subject from 15 to 30 pictures. Gen-1, arXiv:2302.03011, section 4.4."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from dataclasses import dataclass as plain_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field, FiniteFloat, TypeAdapter
from pydantic.dataclasses import dataclass
from torch import nn

from recast.backbones.backbone import Backbone
from recast.backbones.gen1 import Gen1Backbone
from recast.conditions.subject import NamedSubject
from recast.denoising import Branch
from recast.engine.config import BatchShard, Loss, LossOutput
from recast.engine.distributed import Engine
from recast.engine.loop import fit
from recast.engine.monitor import Monitor, SampleDrawer, unmonitored
from recast.engine.rng import normal_noise, row_rng
from recast.errors import RequestError
from recast.tuning.adapter import OFFSET, SUBJECT, Adapter, AdapterInfo, write_adapter
from recast.tuning.config import PROJECTIONS, Selector, tuning_run
from recast.tuning.losses import prediction_error
from recast.tuning.subjects import SubjectOffset
from recast.tuning.tuned import TunableBackbone, tunable
from recast.tuning.tuner import TunedParts, new_changes, seeded, shown_digest
from recast.types import Condition, Latents, Tokens

EMBEDDING = "embedding"
CUSTOMIZERS: dict[str, Selector] = {
    "full": Selector(("*",), rate=1e-5, last_rate=1.0, temporal=False),
    "lora": Selector(PROJECTIONS, "lora", rate=1e-4, last_rate=1.0, temporal=False),
    EMBEDDING: Selector((), rate=5e-3, last_rate=1.0),
}
"""What is trained, by name. Pictures never reach layers over time, so these stay as they are."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class CustomizeConfig:
    """The settings of one customization. Raises RequestError for what does not go together."""

    train: Literal["full", "lora", "embedding"] = "lora"
    """What is trained: all weights but those over time, low-rank changes of the attention's projections, or embedding:
    only what the token means."""
    steps: Annotated[int, Field(ge=1, le=100_000)] = 400
    """Training steps."""
    batch: Annotated[int, Field(ge=2, le=256)] = 4
    """Pictures in a step, an even number: half of the subject, half prior data."""
    prior: Annotated[int, Field(ge=1, le=10_000)] = 24
    """Pictures of the class that the model makes before it is trained, as prior data."""
    prior_weight: Annotated[FiniteFloat, Field(ge=0)] = 1.0
    """Weight of the prior data's loss."""
    rate: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """Learning rate; of what is trained, if not said."""
    rank: Annotated[int, Field(ge=1)] | None = None
    """Rank of lora; 16 if not said."""
    precision: str = "auto"
    """Of products: bf16, fp32, or auto, which takes what is faster here."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Chooses pictures, noise, noise levels and first weights."""

    def __post_init__(self) -> None:
        if self.batch % 2:
            raise RequestError(f"batch is {self.batch}; half of it is the subject's, so it is even")
        if self.rank is not None and self.train != "lora":
            raise RequestError(f"rank is {self.rank}, and only lora has one; leave it out, or say train=lora")
        tuning_run(self.steps, 1.0, 1.0, self.precision)

    @property
    def trains_network(self) -> bool:
        """Whether the network changes; if not, no prior has to be kept."""
        return self.train != EMBEDDING


@plain_dataclass(frozen=True, eq=False)
class CachedPicture:
    """A picture as the network sees it, encoded once. latents: one. conditions: one for each t_s, with its content."""

    latents: Latents
    conditions: tuple[Condition, ...]


@plain_dataclass(frozen=True, eq=False)
class PictureSet:
    """What a customization learns from. own: of the subject; prior: of its class, none where only an embedding learns.

    base: name and digest of the model.
    """

    subject: NamedSubject
    own: tuple[CachedPicture, ...]
    prior: tuple[CachedPicture, ...]
    base: Mapping[str, str]

    def fingerprint(self) -> str:
        """Of all that the network is shown; a run on other pictures is not gone on with."""
        shown = [*self.own, *self.prior]
        return shown_digest([(each.latents, condition) for each in shown for condition in each.conditions])


def customization_loss(
    backbone: TunableBackbone, pictures: PictureSet, config: CustomizeConfig, tokens: Callable[[], Tokens] | None = None
) -> Loss[Any]:
    """The network's own loss on pictures; of a batch's rows the even ones are the subject's, the odd ones prior data.

    tokens: of the subject, in place of its pictures' own, where they are learned; then all rows are the subject's.
    Picture, t_s, noise level and noise of a row come from (seed, step, row) alone.
    """
    schedule = backbone.schedule

    def row_error(step: int, row: int) -> tuple[torch.Tensor, float]:
        rng = row_rng(config.seed, step, row)
        among = pictures.own if tokens is not None or row % 2 == 0 else pictures.prior
        picture = among[int(rng.integers(len(among)))]
        condition = picture.conditions[int(rng.integers(len(picture.conditions)))]
        level = int(rng.integers(len(schedule.sigmas)))
        sigma = float(schedule.sigmas[level])
        noise = normal_noise(rng, picture.latents.shape).to(picture.latents)
        content = condition.cond if tokens is None else tokens()
        branch = Branch(content, temporal=False)
        [denoised] = backbone.denoise_branches(picture.latents + sigma * noise, sigma, condition, [branch])
        error = prediction_error(schedule.prediction, denoised, picture.latents, sigma)
        return error.square().mean(), level / len(schedule.sigmas)

    def loss(_network: nn.Module, share: BatchShard) -> LossOutput:
        rows = share.rows(config.batch)
        errors, levels = zip(*(row_error(share.step, row) for row in rows), strict=True)
        weights = [1.0 if tokens is not None or row % 2 == 0 else config.prior_weight for row in rows]
        mean = sum(weight * error for weight, error in zip(weights, errors, strict=True)) / len(rows)
        assert isinstance(mean, torch.Tensor)
        return LossOutput(mean=mean, rows=torch.stack(errors).detach(), levels=torch.tensor(levels))

    return loss


def customize_adapter(
    backbone: Backbone,
    pictures: PictureSet,
    offset: SubjectOffset,
    config: CustomizeConfig,
    folder: Path,
    *,
    monitor: Monitor = unmonitored,
    samples: SampleDrawer | None = None,
) -> Adapter:
    """Trains an adapter and writes it to `folder`; checkpoints lie in FOLDER.run meanwhile, and a stopped run goes on.

    offset: what the subject's token adds to its class; it is trained where `config.train` is embedding.
    The backbone's own weights are the same afterwards, bit for bit. Raises what `fit` does, and RequestError.
    """
    own, selector = tunable(backbone), CUSTOMIZERS[config.train]
    with seeded(config.seed):
        changes = new_changes(own, selector, config.rank) if config.trains_network else {}
    parts, run = TunedParts(own, changes, {}, None), folder.with_name(f"{folder.name}.run")
    learned = None if config.trains_network else offset
    configuration = {"customization": asdict(config), "shown": pictures.fingerprint(), "base": pictures.base["digest"]}
    recipe = tuning_run(config.steps, config.rate or selector.rate, selector.last_rate, config.precision)
    engine = Engine(device=str(pictures.own[0].latents.device))
    loss = customization_loss(own, pictures, config, learned)
    with _trained(parts, offset, config) as net:
        shown = {"configuration": configuration, "engine": engine, "monitor": monitor, "samples": samples}
        fit(net, loss, recipe, run, **shown)
        tensors = parts.tensors()
    # A family that reads words has the token itself as a word beside trained weights.
    if learned is not None or isinstance(backbone, Gen1Backbone):
        tensors[f"{SUBJECT}:{OFFSET}"] = offset.offset.detach().clone()
    adapter = Adapter(_info(pictures, config, list(tensors)), tensors)
    write_adapter(adapter, folder)
    shutil.rmtree(run, ignore_errors=True)
    return adapter


def _trained(parts: TunedParts, offset: SubjectOffset, config: CustomizeConfig) -> AbstractContextManager[nn.Module]:
    return parts.trained("own") if config.trains_network else nullcontext(offset)


def _info(pictures: PictureSet, config: CustomizeConfig, tensors: list[str]) -> AdapterInfo:
    change = CUSTOMIZERS[config.train].change
    names = dict.fromkeys(key.rpartition(":")[0] for key in tensors)
    facts = {
        "base": dict(pictures.base),
        "method": f"customize-{config.train}",
        "changes": {name: OFFSET if name == SUBJECT else change for name in names},
        "attention": "own",
        "positions": None,
        "caption": pictures.subject.named,
        "steps": config.steps,
        "settings": asdict(config),
        "recast": version("recast-video"),
        "subject": asdict(pictures.subject),
    }
    return TypeAdapter(AdapterInfo).validate_python(facts)
